//! What surrounds a sandbox that only computes: a clock that stands, and nothing else to reach.

use async_trait::async_trait;
use bytes::Bytes;
use tombolo_core::clock::{Clock, Timestamp};
use tombolo_core::id::ContentHash;
use tombolo_core::json::Json;
use tombolo_core::ports::egress::{CallRecord, Egress, EgressError, InboundResponse, OutboundCall};
use tombolo_core::ports::sandbox::{ComponentSource, StateReader, StateUnavailable};

/// A clock that stands.
pub struct Standing(pub Timestamp);

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// No component but those that were installed.
pub struct Nothing;

#[async_trait]
impl ComponentSource for Nothing {
    async fn component(&self, _hash: ContentHash) -> Result<Option<Bytes>, String> {
        Ok(None)
    }
}

/// No state from earlier runs.
#[derive(Debug)]
pub struct NoState;

#[async_trait]
impl StateReader for NoState {
    async fn get(&self, _key: &str) -> Result<Option<(Json, u64)>, StateUnavailable> {
        Ok(None)
    }
}

/// Refuses every call: what is measured here makes none.
pub struct NoWayOut;

#[async_trait]
impl Egress for NoWayOut {
    async fn send(&self, call: OutboundCall) -> (Result<InboundResponse, EgressError>, CallRecord) {
        let reason = "this benchmark has no way out".to_owned();
        let record = CallRecord {
            sequence: call.sequence,
            method: call.method.to_string(),
            url: call.uri.to_string(),
            request_headers: Vec::new(),
            request_body: None,
            request_hash: String::new(),
            idempotency_key: None,
            status: None,
            response_headers: Vec::new(),
            response_body: None,
            error: Some(reason.clone()),
            from_journal: false,
            started_at: Timestamp(0),
            duration_ms: 0,
        };
        (Err(EgressError::Refused { reason }), record)
    }
}
