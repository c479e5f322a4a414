//! The parameters of built-in nodes, as JSON Schemas.

use serde_json::{Value, json};

use crate::wait::wait_schema;
use crate::workflow::plan::Builtin;

/// The schema of the node's `with`; None if it may be anything.
pub(super) fn parameter_schema(builtin: Builtin) -> Option<Value> {
    match builtin {
        Builtin::Set => None,
        Builtin::Wait => Some(wait_schema()),
        Builtin::Respond => Some(object(
            json!({
                "status": {"type": "integer", "minimum": 200, "maximum": 599},
                "headers": {"type": "object", "additionalProperties": {"type": "string"}},
                "body": true,
            }),
            &[],
        )),
        Builtin::Callback => Some(object(json!({"expires": span()}), &[])),
        Builtin::Approval => Some(object(
            json!({
                "title": {"type": "string", "maxLength": 200},
                "details": true,
                "expires": span(),
            }),
            &["title"],
        )),
        Builtin::Workflow => Some(object(
            json!({
                "name": {"type": "string", "minLength": 1, "maxLength": 100},
                "input": true,
                "wait": {"type": "boolean"},
            }),
            &["name"],
        )),
        Builtin::Publish => Some(object(
            json!({"event": {"type": "string", "maxLength": 200}, "data": true}),
            &["event"],
        )),
    }
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// A length of time, see [`crate::workflow::Span`].
fn span() -> Value {
    json!({"type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$"})
}
