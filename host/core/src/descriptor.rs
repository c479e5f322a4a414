//! What a plugin says of itself: the JSON of `describe`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::effect::{Effect, World};
use crate::error::ErrorClass;

/// The contract version this host speaks. A component of a newer one is refused at upload.
pub const CONTRACT: &str = "1.0";

/// A plugin's descriptor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Descriptor {
    /// `major.minor` of the contract it was compiled against.
    pub contract: String,
    /// Kebab-case; the first half of `use`.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// One line for people.
    #[serde(default)]
    pub summary: String,
    /// What it may reach.
    pub world: World,
    /// True if a call is independent of earlier ones, so that the host may keep a warm instance.
    #[serde(default)]
    pub reuse: bool,
    /// Host names it usually talks to, for the operator who writes a connection.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Kinds of connection it understands.
    #[serde(default)]
    pub connections: Vec<ConnectionKind>,
    /// What it offers.
    pub operations: Vec<Operation>,
}

/// A kind of connection that a plugin understands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionKind {
    /// Kebab-case.
    pub kind: String,
    /// Ways to authenticate: `bearer`, `header`, `basic`, `query`.
    #[serde(default)]
    pub auth: Vec<String>,
    /// One line for people.
    #[serde(default)]
    pub summary: String,
}

/// One operation of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Operation {
    /// Kebab-case; the second half of `use`.
    pub name: String,
    /// One line for people.
    #[serde(default)]
    pub summary: String,
    /// What it does to the outside.
    pub effect: Effect,
    /// JSON Schema of the node's `with`.
    pub params: Value,
    /// JSON Schema of the output.
    pub output: Value,
    /// Ports it may fire; empty if it has only the default port.
    #[serde(default)]
    pub ports: Vec<String>,
    /// JSON pointers into the parameters whose keys (object), items (array) or text (string) are
    /// further ports.
    #[serde(default)]
    pub dynamic_ports: Vec<String>,
    /// True if a node that uses it has to name a connection.
    #[serde(default)]
    pub connection: bool,
    /// Errors a workflow may want to handle.
    #[serde(default)]
    pub errors: Vec<DeclaredError>,
}

/// An error that an operation declares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeclaredError {
    /// Kebab-case.
    pub code: String,
    /// What to do about it.
    #[schemars(with = "String")]
    pub class: ErrorClass,
    /// One line for people.
    #[serde(default)]
    pub summary: String,
}

impl Descriptor {
    /// The operation that `use` names: `plugin.operation`, or `plugin` where the operation has the
    /// plugin's name.
    pub fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.name == name)
    }
}
