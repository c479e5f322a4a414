//! What an operation may do to the outside, which decides how its steps are made durable.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a step does to the outside, from harmless to dangerous.
///
/// The order is the order of strictness: a workflow may declare a node stricter than the operation
/// does, or `keyed` where its author knows that the other side recognises repeated calls.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Reaches nothing outside; run again, it gives the same answer.
    Pure,
    /// Reads from outside; repeating it is harmless.
    Read,
    /// Changes the outside, and repeating it with the same idempotency key changes it once.
    Keyed,
    /// Changes the outside, and repeating it changes it again.
    Unsafe,
}

impl Effect {
    /// The name as written in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pure => "pure",
            Self::Read => "read",
            Self::Keyed => "keyed",
            Self::Unsafe => "unsafe",
        }
    }

    /// True if the attempt may be repeated when nobody knows whether it took effect.
    pub fn repeatable(self) -> bool {
        self != Self::Unsafe
    }

    /// True if the intent has to be durable before the attempt starts.
    pub fn needs_intent(self) -> bool {
        self == Self::Unsafe
    }
}

/// The four worlds a component can be compiled against: its permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum World {
    /// Computes.
    Transform,
    /// Asks a model and chooses ports.
    Router,
    /// Calls out through the host's egress.
    Connector,
    /// A connector that also feeds a polling trigger.
    Source,
}

impl World {
    /// The name in WIT.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transform => "transform",
            Self::Router => "router",
            Self::Connector => "connector",
            Self::Source => "source",
        }
    }

    /// True if a component of this world can have this effect at all.
    pub fn permits(self, effect: Effect) -> bool {
        match self {
            Self::Transform => effect == Effect::Pure,
            Self::Router => effect <= Effect::Read,
            Self::Connector | Self::Source => true,
        }
    }
}
