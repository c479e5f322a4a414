//! A connection, a call and a way out to start a unit test from.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use tombolo_core::clock::Timestamp;
use tombolo_core::effect::Effect;
use tombolo_core::id::{ConnectionId, RunId, TenantId, WorkflowId};
use tombolo_core::ports::egress::{
    Auth, CallLimits, CallRecord, Caller, Connection, Egress, EgressError, InboundResponse,
    OutboundCall,
};
use tombolo_core::ports::journal::{changes, request_hash};
use uuid::Uuid;

/// `https://api.example.com`, without credentials.
pub(crate) fn connection() -> Connection {
    Connection {
        id: ConnectionId(Uuid::from_u128(1)),
        tenant: TenantId(Uuid::from_u128(2)),
        name: "crm".to_owned(),
        base_url: Some("https://api.example.com".to_owned()),
        auth: Auth::None,
        signing: None,
        allowed_hosts: Vec::new(),
        limits: CallLimits::default(),
        updated_at: Timestamp(0),
        paused: None,
    }
}

/// What is on record of a call that an answer came to.
pub(crate) fn record(call: &OutboundCall) -> CallRecord {
    CallRecord {
        sequence: call.sequence,
        method: call.method.to_string(),
        url: call.uri.to_string(),
        request_headers: Vec::new(),
        request_body: None,
        request_hash: String::new(),
        idempotency_key: None,
        status: Some(200),
        response_headers: Vec::new(),
        response_body: None,
        error: None,
        from_journal: false,
        started_at: Timestamp(0),
        duration_ms: 1,
    }
}

/// The first call of node `deal`.
pub(crate) fn call(method: &str, uri: &str, connection: Option<Connection>) -> OutboundCall {
    let method: Method = method.parse().unwrap();
    let uri: http::Uri = uri.parse().unwrap();
    OutboundCall {
        request_hash: request_hash(&method, &uri, &[]),
        caller: Arc::new(Caller {
            tenant: TenantId(Uuid::from_u128(2)),
            workflow: WorkflowId(Uuid::from_u128(3)),
            run: RunId(Uuid::from_u128(4)),
            node: "deal".to_owned(),
            attempt: 1,
            idempotency_key: "step-key".to_owned(),
            correlation_id: "event-1".to_owned(),
            effect: Effect::Read,
        }),
        connection: connection.map(Arc::new),
        sequence: 0,
        change: changes(&method).then_some(0),
        method,
        uri,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        budget: Duration::from_secs(10),
    }
}

/// A way out that goes nowhere: it keeps what was sent, and answers with one status.
pub(crate) struct Seen {
    calls: Mutex<Vec<OutboundCall>>,
    status: StatusCode,
}

impl Seen {
    pub(crate) fn answering(status: StatusCode) -> Self {
        Self { calls: Mutex::default(), status }
    }

    pub(crate) fn calls(&self) -> Vec<OutboundCall> {
        self.calls.lock().unwrap().clone()
    }
}

#[async_trait]
impl Egress for Seen {
    async fn send(&self, call: OutboundCall) -> (Result<InboundResponse, EgressError>, CallRecord) {
        let record = record(&call);
        self.calls.lock().unwrap().push(call);
        let (status, headers, body) = (self.status, HeaderMap::new(), Bytes::new());
        (Ok(InboundResponse { status, headers, body }), record)
    }
}
