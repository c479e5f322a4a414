//! One entry of the record: who, what, to what, and what it was before.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::Timestamp;

/// Who does something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor(pub String);

impl Actor {
    /// Somebody at the command line of the server's machine.
    pub fn command_line() -> Self {
        Self("command-line".to_owned())
    }

    /// The host itself, as at its first start.
    pub fn host() -> Self {
        Self("host".to_owned())
    }
}

/// One entry of the record. Nothing changes it later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// `token:<id>`, `callback` for who knew an address, `command-line`, or `host`.
    pub actor: Actor,
    /// Kebab-case: `step-redriven`, `letter-discarded`, `connection-resumed`.
    pub action: String,
    /// What it was done to: `run_../steps/<node>/<item>`.
    pub subject: String,
    /// What was before and after, as far as it is not stored elsewhere. Never a secret. Numbers that
    /// are no whole ones of at most [`MAX_SAFE_INTEGER`](super::MAX_SAFE_INTEGER) are recorded as
    /// strings.
    pub detail: Value,
    /// Of the request that asked for it; None where there was no request.
    pub correlation_id: Option<String>,
}

impl AuditEntry {
    /// The same with what came of it, beside what its detail says already.
    pub(super) fn with(mut self, more: &[(&str, Value)]) -> Self {
        if !self.detail.is_object() {
            self.detail = match self.detail {
                Value::Null => json!({}),
                detail => json!({ "detail": detail }),
            };
        }
        for (name, value) in more {
            self.detail[*name] = value.clone();
        }
        self
    }
}
