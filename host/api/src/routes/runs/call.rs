//! How a call to the outside is shown: as it is on record, redacted and bounded.

use serde::Serialize;
use tombolo_core::clock::Timestamp;
use tombolo_core::ports::egress::CallRecord;
use tombolo_core::ports::store::Call;
use utoipa::ToSchema;

/// A call to the outside.
#[derive(Serialize, ToSchema)]
pub(super) struct CallItem {
    /// Which attempt made it.
    attempt: u32,
    /// Position among the calls of this attempt, counted from 0.
    sequence: u32,
    method: String,
    /// Absolute; values of secret query parameters replaced.
    url: String,
    /// Names and values; redacted.
    #[schema(value_type = Vec<Vec<String>>)]
    request_headers: Vec<(String, String)>,
    /// The first 8 KiB as text; left out if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_body: Option<String>,
    /// SHA-256 of method, URL and body before credentials, in hexadecimal.
    request_hash: String,
    /// Sent as `Idempotency-Key`; left out if none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<String>,
    /// The answer's; left out if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// As the request's.
    #[schema(value_type = Vec<Vec<String>>)]
    response_headers: Vec<(String, String)>,
    /// As the request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    response_body: Option<String>,
    /// Why there is no answer; left out if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// True if nothing was sent: an earlier attempt's call was answered, and this is its answer.
    /// Left out if not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    from_journal: bool,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    duration_ms: u64,
}

impl From<Call> for CallItem {
    fn from(call: Call) -> Self {
        let CallRecord {
            sequence,
            method,
            url,
            request_headers,
            request_body,
            request_hash,
            idempotency_key,
            status,
            response_headers,
            response_body,
            error,
            from_journal,
            started_at,
            duration_ms,
        } = call.record;
        Self {
            attempt: call.attempt,
            sequence,
            method,
            url,
            request_headers,
            request_body,
            request_hash,
            idempotency_key,
            status,
            response_headers,
            response_body,
            error,
            from_journal,
            started_at,
            duration_ms,
        }
    }
}
