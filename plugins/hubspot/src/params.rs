//! Parameters of the operations, and what HubSpot wants to have of them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tombolo_sdk::NodeError;

/// An object's id. Events carry it as a number, the API as text.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a number or text")]
pub enum Id {
    /// As in events.
    Number(u64),
    /// As in the API; or the value of `id_property`.
    Text(String),
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// Of `get-..`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The object's id.
    pub id: Id,
    /// Properties to bring; the common ones if there are none.
    #[serde(default)]
    pub properties: Vec<String>,
    /// The unique property that `id` is a value of, such as `email`.
    pub id_property: Option<String>,
}

/// Of `create-..`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// Values by property name.
    pub properties: Map<String, Value>,
    /// Associations as in HubSpot's API: `[{"to": {"id": ..}, "types": [..]}]`.
    #[serde(default)]
    pub associations: Vec<Value>,
}

/// Of `update-..`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// The object's id.
    pub id: Id,
    /// Values by property name; null clears a property.
    pub properties: Map<String, Value>,
    /// The unique property that `id` is a value of, such as `email`.
    pub id_property: Option<String>,
}

/// Of `search-..`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// All of them have to hold.
    #[serde(default)]
    pub filters: Vec<Filter>,
    /// Text to look for in the common properties.
    pub query: Option<String>,
    /// What to order by.
    #[serde(default)]
    pub sorts: Vec<Sort>,
    /// Properties to bring; the common ones if there are none.
    #[serde(default)]
    pub properties: Vec<String>,
    /// How many to bring, at most 200.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 200))]
    pub limit: u16,
    /// The `after` of the page before.
    pub after: Option<String>,
}

fn default_limit() -> u16 {
    100
}

/// A condition on one property.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    property: String,
    operator: Operator,
    /// For every operator but those of lists and of presence.
    value: Option<Value>,
    /// The upper end of `BETWEEN`.
    high_value: Option<Value>,
    /// For `IN` and `NOT_IN`.
    #[serde(default)]
    values: Vec<Value>,
}

/// HubSpot's operators.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Operator {
    Eq,
    Neq,
    Lt,
    Lte,
    Gt,
    Gte,
    Between,
    In,
    NotIn,
    HasProperty,
    NotHasProperty,
    ContainsToken,
    NotContainsToken,
}

/// An order.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sort {
    property: String,
    /// The greatest first.
    #[serde(default)]
    descending: bool,
}

impl Search {
    /// The body of HubSpot's search.
    pub fn body(&self, properties: &[&str]) -> Result<Value, NodeError> {
        let filters: Vec<Value> =
            self.filters.iter().map(Filter::body).collect::<Result<_, _>>()?;
        let sorts: Vec<Value> = self
            .sorts
            .iter()
            .map(|sort| {
                let direction = if sort.descending { "DESCENDING" } else { "ASCENDING" };
                json!({ "propertyName": sort.property, "direction": direction })
            })
            .collect();
        let mut body = json!({ "properties": properties, "limit": self.limit, "sorts": sorts });
        if !filters.is_empty() {
            body["filterGroups"] = json!([{ "filters": filters }]);
        }
        if let Some(query) = &self.query {
            body["query"] = json!(query);
        }
        if let Some(after) = &self.after {
            body["after"] = json!(after);
        }
        Ok(body)
    }
}

impl Filter {
    fn body(&self) -> Result<Value, NodeError> {
        let mut body = json!({ "propertyName": self.property, "operator": self.operator });
        if let Some(value) = &self.value {
            body["value"] = text(&self.property, value)?;
        }
        if let Some(value) = &self.high_value {
            body["highValue"] = text(&self.property, value)?;
        }
        if !self.values.is_empty() {
            let values = self.values.iter().map(|value| text(&self.property, value));
            body["values"] = values.collect::<Result<Value, _>>()?;
        }
        Ok(body)
    }
}

/// Values as HubSpot takes them: all text, and empty text to clear a property.
pub fn values(properties: &Map<String, Value>) -> Result<Value, NodeError> {
    properties
        .iter()
        .map(|(name, value)| Ok((name.clone(), text(name, value)?)))
        .collect::<Result<Map<String, Value>, NodeError>>()
        .map(Value::Object)
}

fn text(property: &str, value: &Value) -> Result<Value, NodeError> {
    match value {
        Value::Null => Ok(json!("")),
        Value::String(_) => Ok(value.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(json!(value.to_string())),
        Value::Array(_) | Value::Object(_) => Err(NodeError::invalid_input(
            "invalid-params",
            format!("property `{property}` has to be text, a number, true, false or null"),
        )
        .with_details(json!({ "property": property }))),
    }
}
