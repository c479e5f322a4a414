//! The port of the only way out: connections, calls and their records.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::effect::Effect;
use crate::id::{ConnectionId, RunId, TenantId, WorkflowId};
use crate::secret::Sealed;

/// A named way to one system: where it is, how to authenticate, what is allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Kebab-case, unique per tenant.
    pub name: String,
    /// `https://api.hubapi.com`, without a slash at the end. None for a connection that only keeps
    /// the secret of a webhook.
    pub base_url: Option<String>,
    /// How to authenticate, with sealed credentials.
    pub auth: Auth,
    /// The secret that the system signs its webhooks with (vault field `signing`).
    pub signing: Option<Sealed>,
    /// Hosts that may be called beside the base URL's: `files.example.com`, `*.example.com`.
    pub allowed_hosts: Vec<String>,
    /// Bounds of a call.
    pub limits: CallLimits,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Set while nobody calls through it.
    pub paused: Option<Paused>,
}

/// Since when nobody calls through a connection: the other side refused its credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// When the first refusal was settled.
    pub at: Timestamp,
    /// What the other side said first, for people.
    pub reason: String,
}

/// How a connection authenticates. The name of the vault field is given with each secret.
#[derive(Debug, Clone, PartialEq)]
pub enum Auth {
    /// Not at all.
    None,
    /// `Authorization: Bearer <token>` (vault field `bearer`).
    Bearer {
        /// The token.
        token: Sealed,
    },
    /// `Authorization: Basic ..` (vault field `password`).
    Basic {
        /// In the clear: a name is not a secret.
        user: String,
        /// The password.
        password: Sealed,
    },
    /// A header of one's own (vault field `header`).
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: Sealed,
    },
    /// A query parameter (vault field `query`).
    Query {
        /// Its name.
        name: String,
        /// Its value.
        value: Sealed,
    },
}

impl Auth {
    /// The name in JSON and on the command line.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Bearer { .. } => "bearer",
            Self::Basic { .. } => "basic",
            Self::Header { .. } => "header",
            Self::Query { .. } => "query",
        }
    }
}

/// Bounds of one call. Every field has a default and a documented error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallLimits {
    /// Until the connection stands, TLS included; milliseconds.
    pub connect_timeout_ms: u64,
    /// Until the response is complete; milliseconds.
    pub total_timeout_ms: u64,
    /// Largest response body; bytes.
    pub max_response_bytes: u64,
    /// Largest request body; bytes.
    pub max_request_bytes: u64,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            connect_timeout_ms: 5_000,
            total_timeout_ms: 30_000,
            max_response_bytes: 16 * 1024 * 1024,
            max_request_bytes: 16 * 1024 * 1024,
        }
    }
}

/// Which step makes a call.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Whose run it is.
    pub tenant: TenantId,
    /// The workflow.
    pub workflow: WorkflowId,
    /// The run.
    pub run: RunId,
    /// The node's name.
    pub node: String,
    /// Counted from 1.
    pub attempt: u32,
    /// Stable over every attempt of the step.
    pub idempotency_key: String,
    /// Follows the event to its last call.
    pub correlation_id: String,
    /// What the step may do.
    pub effect: Effect,
}

/// One HTTP request on its way out.
#[derive(Debug, Clone)]
pub struct OutboundCall {
    /// Who calls.
    pub caller: Arc<Caller>,
    /// The node's connection; a call without one is refused.
    pub connection: Option<Arc<Connection>>,
    /// Position among the calls of this attempt, counted from 0.
    pub sequence: u32,
    /// Position among the calls of this attempt that can change the other side, counted from 0;
    /// None for one that cannot.
    pub change: Option<u32>,
    /// Method.
    pub method: Method,
    /// Absolute.
    pub uri: Uri,
    /// What the plugin set. `Host` and hop-by-hop headers are replaced.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// See [`request_hash`](super::journal::request_hash).
    pub request_hash: [u8; 32],
    /// What is left of the attempt's time.
    pub budget: Duration,
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq)]
pub struct InboundResponse {
    /// Status.
    pub status: StatusCode,
    /// Headers, hop-by-hop ones removed.
    pub headers: HeaderMap,
    /// The whole body, decoded as it came.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// Not allowed; nothing was sent.
    #[error("refused: {reason}")]
    Refused {
        /// What was refused and which line would allow it.
        reason: String,
    },
    /// The request itself cannot be sent.
    #[error("invalid request: {reason}")]
    InvalidRequest {
        /// What is wrong with it.
        reason: String,
    },
    /// No connection came about; nothing was sent.
    #[error("no connection to {host}: {reason}")]
    Connect {
        /// Host and port.
        host: String,
        /// Never tells apart closed and silent ports of internal hosts.
        reason: String,
    },
    /// Time ran out. `sent` says whether the other side may have seen the request.
    #[error("no complete answer from {host} within {limit_ms} ms")]
    Timeout {
        /// Host and port.
        host: String,
        /// The limit that applied.
        limit_ms: u64,
        /// True once the request may have been written.
        sent: bool,
    },
    /// The connection broke after the request may have been written.
    #[error("the connection to {host} broke before the answer was complete: {reason}")]
    Broken {
        /// Host and port.
        host: String,
        /// What the protocol says.
        reason: String,
    },
    /// The answer is larger than the connection's limit.
    #[error("the answer of {host} is larger than {limit_bytes} bytes (limit max_response_bytes)")]
    ResponseTooLarge {
        /// Host and port.
        host: String,
        /// The limit.
        limit_bytes: u64,
    },
}

/// A call on record: redacted, bounded, stored with the step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    /// Position among the calls of this attempt, counted from 0.
    pub sequence: u32,
    /// Method.
    pub method: String,
    /// Absolute URL, values of secret query parameters replaced.
    pub url: String,
    /// Redacted.
    pub request_headers: Vec<(String, String)>,
    /// The body as text, at most [`CallRecord::MAX_BODY`] bytes; None if empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_body: Option<String>,
    /// SHA-256 of method, URL and body before credentials, in hexadecimal; empty if the plugin did not
    /// finish the request.
    pub request_hash: String,
    /// Sent as `Idempotency-Key`, if one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The answer's status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Redacted.
    pub response_headers: Vec<(String, String)>,
    /// As the request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_body: Option<String>,
    /// Why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// True if nothing was sent: an earlier attempt's call was answered, and this is its answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_journal: bool,
    /// When it was sent.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration_ms: u64,
}

impl CallRecord {
    /// How much of a body is kept on record, in bytes.
    pub const MAX_BODY: usize = 8 * 1024;
}

/// The only way out.
#[async_trait]
pub trait Egress: Send + Sync {
    /// Sends one request. Always returns the record, whatever came of it.
    async fn send(&self, call: OutboundCall) -> (Result<InboundResponse, EgressError>, CallRecord);
}
