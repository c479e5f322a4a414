//! HubSpot's objects as the output of a node: properties at the top, numbers as numbers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::object::Object;

/// An object as HubSpot sends it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Received {
    id: String,
    #[serde(default)]
    properties: Map<String, Value>,
    created_at: Option<String>,
    updated_at: Option<String>,
    #[serde(default)]
    archived: bool,
}

/// An object as a node's output.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    id: String,
    /// The deal's or company's name, the contact's first and last name.
    name: Option<String>,
    created_at: Option<String>,
    updated_at: Option<String>,
    archived: bool,
    /// The properties, by their names in HubSpot.
    #[serde(flatten)]
    properties: Map<String, Value>,
}

/// The members that stand beside the properties.
const OWN: [&str; 5] = ["id", "name", "createdAt", "updatedAt", "archived"];

impl Record {
    /// Flattens what came.
    pub fn of(object: &Object, received: Received) -> Self {
        let name = name(object, &received.properties);
        let properties = received
            .properties
            .into_iter()
            .filter(|(property, _)| !OWN.contains(&property.as_str()))
            .map(|(property, value)| {
                let value =
                    if object.numbers.contains(&property.as_str()) { number(value) } else { value };
                (property, value)
            })
            .collect();
        Self {
            id: received.id,
            name,
            created_at: received.created_at,
            updated_at: received.updated_at,
            archived: received.archived,
            properties,
        }
    }
}

fn name(object: &Object, properties: &Map<String, Value>) -> Option<String> {
    let parts: Vec<&str> = object
        .name_of
        .iter()
        .filter_map(|property| properties.get(*property)?.as_str())
        .filter(|part| !part.is_empty())
        .collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// `"1500.00"` is 1500, `""` is null; what is no number stays as it is.
fn number(value: Value) -> Value {
    let Value::String(text) = &value else {
        return value;
    };
    if text.is_empty() {
        return Value::Null;
    }
    if let Ok(integer) = text.parse::<i64>() {
        return integer.into();
    }
    match text.parse::<f64>() {
        // Below 2^53 every integer is exact.
        Ok(float) if float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 => {
            (float as i64).into()
        }
        Ok(float) if float.is_finite() => float.into(),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_come_out_of_text() {
        let table = [
            (json!("1500.00"), json!(1500)),
            (json!("12500.5"), json!(12500.5)),
            (json!("-3"), json!(-3)),
            (json!(""), Value::Null),
            (Value::Null, Value::Null),
            (json!("n/a"), json!("n/a")),
            (json!("NaN"), json!("NaN")),
            (json!(7), json!(7)),
        ];
        for (given, expected) in table {
            assert_eq!(number(given), expected);
        }
    }
}
