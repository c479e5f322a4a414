//! `validate`: data against a JSON Schema (2020-12 unless the schema says otherwise). Never fetches
//! a schema that another one refers to.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tombolo_sdk::{Effect, ErrorClass, NodeError, Operation};

/// How many violations are reported.
const MAX_VIOLATIONS: usize = 50;

/// Longest message of a violation, in characters: it may quote the value.
const MAX_MESSAGE_CHARACTERS: usize = 200;

/// The input unchanged if it fits; `{"input": {"a": 1}, "schema": {"required": ["a"]}}`.
pub fn validate() -> Operation {
    Operation::new("validate", "Passes `input` on if it fits a JSON Schema", Effect::Pure, run)
        .with_error(
            "schema-violation",
            ErrorClass::InvalidInput,
            "The input does not fit; the details list where and why",
        )
        .with_error("invalid-schema", ErrorClass::InvalidInput, "The schema is no JSON Schema")
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Validate {
    input: Value,
    /// A JSON Schema.
    schema: Value,
}

fn run(params: Validate) -> Result<Value, NodeError> {
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&params.schema)
        .map_err(|error| {
            NodeError::invalid_input("invalid-schema", format!("the schema: {}", brief(&error)))
                .with_details(json!({ "pointer": error.instance_path().to_string() }))
        })?;
    let violations: Vec<Value> = validator
        .iter_errors(&params.input)
        .take(MAX_VIOLATIONS)
        .map(|error| {
            json!({ "pointer": error.instance_path().to_string(), "message": brief(&error) })
        })
        .collect();
    match violations.first() {
        None => Ok(params.input),
        Some(first) => {
            let message = format!(
                "the input does not fit the schema: {}: {}",
                place(&first["pointer"]),
                first["message"].as_str().unwrap_or_default()
            );
            Err(NodeError::invalid_input("schema-violation", message)
                .with_details(Value::Array(violations)))
        }
    }
}

fn place(pointer: &Value) -> &str {
    match pointer.as_str() {
        Some("") | None => "at its top",
        Some(pointer) => pointer,
    }
}

fn brief(error: &jsonschema::ValidationError<'_>) -> String {
    error.to_string().chars().take(MAX_MESSAGE_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tombolo_sdk::NodeError;
    use tombolo_sdk::testing::invoke;

    use super::Value;
    use crate::plugin;

    fn run(input: Value, schema: Value) -> Result<Value, NodeError> {
        let params = json!({ "input": input, "schema": schema });
        invoke(&plugin(), "validate", params).map(|called| called.output)
    }

    fn deal() -> Value {
        json!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "minLength": 1 },
                "contacts": { "type": "array", "items": { "$ref": "#/$defs/contact" } }
            },
            "required": ["name"],
            "$defs": { "contact": {
                "type": "object",
                "properties": { "email": { "type": "string", "format": "email" } },
                "required": ["email"]
            } }
        })
    }

    #[test]
    fn what_fits_is_passed_on() {
        let input = json!({"name": "x", "contacts": [{"email": "a@b.test"}]});
        assert_eq!(run(input.clone(), deal()), Ok(input));
    }

    #[test]
    fn every_violation_has_its_pointer() {
        let input = json!({"contacts": [{"email": "a@b.test"}, {"email": 3}]});
        let error = run(input, deal()).expect_err("does not fit");
        assert_eq!(error.code, "schema-violation");
        let details = error.details.expect("has details");
        let mut pointers: Vec<&str> = details
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|violation| violation["pointer"].as_str())
            .collect();
        pointers.sort_unstable();
        assert_eq!(pointers, ["", "/contacts/1/email"]);
    }

    #[test]
    fn a_format_is_checked() {
        let input = json!({"name": "x", "contacts": [{"email": "nobody"}]});
        assert!(run(input, deal()).is_err());
    }

    #[test]
    fn a_schema_that_is_none_is_refused() {
        let error = run(json!(1), json!({"type": "nothing"})).expect_err("no such type");
        assert_eq!(error.code, "invalid-schema");
    }

    #[test]
    fn a_schema_elsewhere_is_not_fetched() {
        let error = run(json!(1), json!({"$ref": "https://schemas.test/deal.json"}))
            .expect_err("cannot be resolved");
        assert_eq!(error.code, "invalid-schema");
    }
}
