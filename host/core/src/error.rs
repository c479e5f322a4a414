//! How a step fails: a class that says what to do, a code for programs, a sentence for people.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What to do about a failure. The same set as `error-class` in the contract with plugins.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorClass {
    /// The parameters or the record are wrong; the same call will fail again.
    InvalidInput,
    /// The credentials were refused.
    Auth,
    /// The thing addressed does not exist.
    NotFound,
    /// The thing exists already, or was changed by somebody else.
    Conflict,
    /// The other side asks to slow down.
    RateLimited,
    /// Likely to succeed when tried again later.
    Transient,
    /// Will not succeed without a change.
    Permanent,
    /// The call was sent and nobody can know whether it took effect.
    UnknownOutcome,
}

impl ErrorClass {
    /// The name as written in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid-input",
            Self::Auth => "auth",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::RateLimited => "rate-limited",
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::UnknownOutcome => "unknown-outcome",
        }
    }
}

/// A failed attempt of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{}: {code}: {message}", class.name())]
pub struct StepError {
    /// What to do about it.
    pub class: ErrorClass,
    /// Stable and kebab-case, for programs: `deal-not-found`.
    pub code: String,
    /// One sentence for people.
    pub message: String,
    /// How long the other side asks to wait, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// More for people and programs; never a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

impl StepError {
    /// An error without details.
    pub fn new(class: ErrorClass, code: &str, message: impl Into<String>) -> Self {
        Self {
            class,
            code: code.to_owned(),
            message: message.into(),
            retry_after_ms: None,
            details: None,
        }
    }

    /// The same with details.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }
}
