//! Bounds of a connection's calls, as they are sent and as they are shown.

use serde::{Deserialize, Serialize};
use tombolo_core::ports::egress::CallLimits;
use utoipa::ToSchema;

use super::input::wrong;
use crate::problem::Problem;

/// Longest time limit of a call.
const MAX_CALL_MS: u64 = 15 * 60 * 1_000;
/// Largest body limit of a call.
const MAX_CALL_BYTES: u64 = 256 * 1024 * 1024;

/// Bounds of a call. What is left out stays as it is; a new connection has the defaults.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NewLimits {
    /// Until the connection stands, TLS included. Milliseconds.
    #[schema(minimum = 1, maximum = 900_000, example = 5_000)]
    connect_timeout_ms: Option<u64>,
    /// Until the response is complete. Milliseconds.
    #[schema(minimum = 1, maximum = 900_000, example = 30_000)]
    total_timeout_ms: Option<u64>,
    /// Largest response body. Bytes.
    #[schema(minimum = 1, maximum = 268_435_456, example = 16_777_216)]
    max_response_bytes: Option<u64>,
    /// Largest request body. Bytes.
    #[schema(minimum = 1, maximum = 268_435_456, example = 16_777_216)]
    max_request_bytes: Option<u64>,
}

impl NewLimits {
    /// The first limit out of its bounds, as a problem.
    pub fn check(&self) -> Result<(), Problem> {
        let bounds = [
            ("connect_timeout_ms", self.connect_timeout_ms, MAX_CALL_MS),
            ("total_timeout_ms", self.total_timeout_ms, MAX_CALL_MS),
            ("max_response_bytes", self.max_response_bytes, MAX_CALL_BYTES),
            ("max_request_bytes", self.max_request_bytes, MAX_CALL_BYTES),
        ];
        let outside =
            |value: Option<u64>, max| value.is_some_and(|value| !(1..=max).contains(&value));
        match bounds.into_iter().find(|(_, value, max)| outside(*value, *max)) {
            None => Ok(()),
            Some((name, _, max)) => {
                Err(wrong(format!("/limits/{name}"), &format!("it has to be between 1 and {max}")))
            }
        }
    }

    /// These, and those before where nothing was sent.
    pub fn over(&self, before: CallLimits) -> CallLimits {
        CallLimits {
            connect_timeout_ms: self.connect_timeout_ms.unwrap_or(before.connect_timeout_ms),
            total_timeout_ms: self.total_timeout_ms.unwrap_or(before.total_timeout_ms),
            max_response_bytes: self.max_response_bytes.unwrap_or(before.max_response_bytes),
            max_request_bytes: self.max_request_bytes.unwrap_or(before.max_request_bytes),
        }
    }
}

/// Bounds of a call.
#[derive(Serialize, ToSchema)]
pub(super) struct LimitsShape {
    /// Until the connection stands, TLS included. Milliseconds.
    connect_timeout_ms: u64,
    /// Until the response is complete. Milliseconds.
    total_timeout_ms: u64,
    /// Largest response body. Bytes.
    max_response_bytes: u64,
    /// Largest request body. Bytes.
    max_request_bytes: u64,
}

impl From<CallLimits> for LimitsShape {
    fn from(limits: CallLimits) -> Self {
        Self {
            connect_timeout_ms: limits.connect_timeout_ms,
            total_timeout_ms: limits.total_timeout_ms,
            max_response_bytes: limits.max_response_bytes,
            max_request_bytes: limits.max_request_bytes,
        }
    }
}
