//! The JSON that `describe` answers; its shape is fixed in docs/reference/descriptor.md.

use serde_json::{Value, json};

use crate::operation::Operation;
use crate::plugin::{ConnectionKind, Plugin};

/// The version of the contract this SDK is made for.
pub const CONTRACT: &str = "1.0";

impl Plugin {
    /// The plugin's descriptor.
    pub fn descriptor(&self) -> Value {
        json!({
            "contract": CONTRACT,
            "name": self.name,
            "version": self.version,
            "summary": self.summary,
            "world": self.world.name(),
            "reuse": self.reuse,
            "hosts": self.hosts,
            "connections": self.connections.iter().map(connection).collect::<Vec<_>>(),
            "operations": self.operations.iter().map(operation).collect::<Vec<_>>(),
        })
    }
}

fn connection(kind: &ConnectionKind) -> Value {
    json!({
        "kind": kind.kind,
        "auth": kind.auth.iter().map(|auth| auth.name()).collect::<Vec<_>>(),
        "summary": kind.summary,
    })
}

fn operation(operation: &Operation) -> Value {
    let errors: Vec<Value> = operation
        .errors
        .iter()
        .map(|error| {
            json!({ "code": error.code, "class": error.class.name(), "summary": error.summary })
        })
        .collect();
    json!({
        "name": operation.name,
        "summary": operation.summary,
        "effect": operation.effect.name(),
        "params": (operation.schemas.params)(),
        "output": (operation.schemas.output)(),
        "ports": operation.ports,
        "dynamic_ports": operation.dynamic_ports,
        "connection": operation.connection,
        "errors": errors,
    })
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::error::ErrorClass;
    use crate::operation::{Effect, Operation};
    use crate::plugin::Auth;

    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Params {
        /// The record's id.
        id: String,
    }

    #[derive(Serialize, JsonSchema)]
    struct Output {
        name: Option<String>,
    }

    #[test]
    fn a_descriptor_has_the_fixed_shape() {
        let plugin = Plugin::connector("crm", "1.2.3", "A CRM")
            .host("api.crm.example")
            .connection("crm", [Auth::Bearer], "A private app's token")
            .operation(
                Operation::new("get", "Reads one", Effect::Read, |params: Params| {
                    Ok(Output { name: Some(params.id) })
                })
                .with_connection()
                .with_ports(["big"])
                .with_dynamic_ports(["/ports"])
                .with_error("gone", ErrorClass::NotFound, "There is none"),
            );
        assert_eq!(
            plugin.descriptor(),
            json!({
                "contract": "1.0", "name": "crm", "version": "1.2.3", "summary": "A CRM",
                "world": "connector", "reuse": false, "hosts": ["api.crm.example"],
                "connections": [
                    {"kind": "crm", "auth": ["bearer"], "summary": "A private app's token"}
                ],
                "operations": [{
                    "name": "get", "summary": "Reads one", "effect": "read",
                    "params": {
                        "title": "Params", "type": "object", "additionalProperties": false,
                        "properties": {
                            "id": {"description": "The record's id.", "type": "string"}
                        },
                        "required": ["id"]
                    },
                    "output": {
                        "title": "Output", "type": "object",
                        "properties": {"name": {"type": ["string", "null"]}},
                        "required": ["name"]
                    },
                    "ports": ["big"], "dynamic_ports": ["/ports"], "connection": true,
                    "errors": [
                        {"code": "gone", "class": "not-found", "summary": "There is none"}
                    ]
                }]
            })
        );
    }
}
