//! How a call of an operation fails: a class that says what to do, a code for programs, a sentence
//! for people.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde_json::Value;

/// What to do about a failure; `error-class` of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// Will not succeed without a change, for a reason that is none of the above.
    Permanent,
    /// The call was sent and nobody can know whether it took effect.
    UnknownOutcome,
}

impl ErrorClass {
    /// The name as written in JSON and WIT.
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

    /// The class of an HTTP status that is no success: 400 and 422 are `invalid-input`, 401 is
    /// `auth`, 404 and 410 `not-found`, 409 and 412 `conflict`, 429 `rate-limited`, 408, 425 and
    /// every 5xx `transient`, anything else `permanent`.
    pub fn of_status(status: u16) -> Self {
        match status {
            400 | 422 => Self::InvalidInput,
            401 => Self::Auth,
            404 | 410 => Self::NotFound,
            409 | 412 => Self::Conflict,
            429 => Self::RateLimited,
            408 | 425 | 500..=599 => Self::Transient,
            _ => Self::Permanent,
        }
    }
}

/// A failed call of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeError {
    /// What to do about it.
    pub class: ErrorClass,
    /// Stable and kebab-case, for programs: `deal-not-found`.
    pub code: Cow<'static, str>,
    /// One sentence for people: what, where, what to do.
    pub message: String,
    /// How long to wait before the next attempt, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// More for people and programs; never a secret.
    pub details: Option<Box<Value>>,
}

impl NodeError {
    /// An error of any class.
    pub fn new(
        class: ErrorClass,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            class,
            code: code.into(),
            message: message.into(),
            retry_after_ms: None,
            details: None,
        }
    }

    /// The parameters or the record are wrong; the same call will fail again.
    pub fn invalid_input(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::InvalidInput, code, message)
    }

    /// The credentials were refused.
    pub fn auth(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Auth, code, message)
    }

    /// The thing addressed does not exist.
    pub fn not_found(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::NotFound, code, message)
    }

    /// The thing exists already, or was changed by somebody else.
    pub fn conflict(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Conflict, code, message)
    }

    /// The other side asks to slow down.
    pub fn rate_limited(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::RateLimited, code, message)
    }

    /// Likely to succeed when tried again later.
    pub fn transient(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Transient, code, message)
    }

    /// Will not succeed without a change.
    pub fn permanent(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Permanent, code, message)
    }

    /// The call was sent and nobody can know whether it took effect.
    pub fn unknown_outcome(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::UnknownOutcome, code, message)
    }

    /// The same with another code, where the operation has a better one than the SDK.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.code = code.into();
        self
    }

    /// The same with details; never put a secret there.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// The same with a time to wait before the next attempt.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after_ms = Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        self
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.class.name(), self.code, self.message)
    }
}

impl std::error::Error for NodeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_class() {
        let table = [
            (301, ErrorClass::Permanent),
            (400, ErrorClass::InvalidInput),
            (401, ErrorClass::Auth),
            (402, ErrorClass::Permanent),
            (403, ErrorClass::Permanent),
            (404, ErrorClass::NotFound),
            (408, ErrorClass::Transient),
            (409, ErrorClass::Conflict),
            (410, ErrorClass::NotFound),
            (412, ErrorClass::Conflict),
            (418, ErrorClass::Permanent),
            (422, ErrorClass::InvalidInput),
            (425, ErrorClass::Transient),
            (429, ErrorClass::RateLimited),
            (500, ErrorClass::Transient),
            (503, ErrorClass::Transient),
            (599, ErrorClass::Transient),
        ];
        for (status, class) in table {
            assert_eq!(ErrorClass::of_status(status), class, "status {status}");
        }
    }

    #[test]
    fn an_error_reads_as_one_line() {
        let error = NodeError::not_found("deal-not-found", "there is no deal 7");
        assert_eq!(error.to_string(), "not-found: deal-not-found: there is no deal 7");
    }
}
