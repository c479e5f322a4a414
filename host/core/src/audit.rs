//! What people did, on record: who, what, to what, and what it was before.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;

/// Who does something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor(pub String);

/// One entry of the record. Nothing changes it later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// `token:<id>`, or `callback` for who knew an address.
    pub actor: Actor,
    /// Kebab-case: `step-redriven`, `letter-discarded`, `connection-resumed`.
    pub action: String,
    /// What it was done to: `run_../steps/<node>/<item>`.
    pub subject: String,
    /// What was before and after, as far as it is not stored elsewhere. Never a secret.
    pub detail: Value,
}
