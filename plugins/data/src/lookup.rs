//! `lookup`: the row of a table that has a value in a column.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tombolo_sdk::{Effect, ErrorClass, NodeError, Operation};

use crate::field;

/// A row: `{"table": [{"code": "DE", "name": "Germany"}], "column": "code", "value": "DE"}` gives
/// that row.
pub fn lookup() -> Operation {
    Operation::new(
        "lookup",
        "Finds the first row of a table with a value in a column",
        Effect::Pure,
        run,
    )
    .with_error(
        "no-row",
        ErrorClass::NotFound,
        "No row has the value, and there is no default",
    )
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Lookup {
    /// The rows.
    table: Vec<Value>,
    /// Dotted path of the column to compare.
    column: String,
    /// What the column has to hold.
    value: Value,
    /// The output when no row has it.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Value")]
    default: Option<Value>,
}

/// Tells `"default": null` from no default.
fn present<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(reader).map(Some)
}

fn run(params: Lookup) -> Result<Value, NodeError> {
    let wanted = field::key(&params.value, &[]);
    let found = params
        .table
        .into_iter()
        .find(|row| field::key(field::get(row, &params.column), &[]) == wanted);
    found.or(params.default).ok_or_else(|| {
        NodeError::not_found(
            "no-row",
            format!(
                "no row has {} in column `{}`; add it to the table, or a `default`",
                params.value, params.column
            ),
        )
        .with_details(json!({ "column": params.column, "value": params.value }))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tombolo_sdk::testing::invoke;
    use tombolo_sdk::{ErrorClass, NodeError};

    use super::Value;
    use crate::plugin;

    fn run(value: Value, rest: Value) -> Result<Value, NodeError> {
        let mut params = json!({
            "table": [{"code": 1, "team": "a"}, {"code": "DE", "team": "b"}, {"code": "DE"}],
            "column": "code", "value": value
        });
        if let (Some(params), Some(rest)) = (params.as_object_mut(), rest.as_object()) {
            params.extend(rest.clone());
        }
        invoke(&plugin(), "lookup", params).map(|called| called.output)
    }

    #[test]
    fn the_first_row_is_found() {
        assert_eq!(run(json!("DE"), json!({})), Ok(json!({"code": "DE", "team": "b"})));
        assert_eq!(run(json!(1.0), json!({})), Ok(json!({"code": 1, "team": "a"})));
    }

    #[test]
    fn without_a_row_the_default_or_an_error_comes() {
        assert_eq!(run(json!("FR"), json!({"default": null})), Ok(Value::Null));
        let error = run(json!("1"), json!({})).expect_err("the number 1 is not the text");
        assert_eq!((error.class, &*error.code), (ErrorClass::NotFound, "no-row"));
    }
}
