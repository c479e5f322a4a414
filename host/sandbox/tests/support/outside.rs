//! An egress that answers as it is told and remembers what it was asked.

use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tombolo_core::ports::egress::{CallRecord, Egress, EgressError, InboundResponse, OutboundCall};

use super::NOW;

/// How the other side answers.
pub enum Answer {
    /// At once.
    Now(Result<InboundResponse, EgressError>),
    /// Never.
    Never,
}

type Script = Box<dyn Fn(&OutboundCall) -> Answer + Send + Sync>;

/// The other side.
#[derive(Default)]
pub struct Outside {
    script: Mutex<Option<Script>>,
    calls: Mutex<Vec<OutboundCall>>,
}

impl Outside {
    /// From now on.
    pub fn answers(&self, script: impl Fn(&OutboundCall) -> Answer + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Some(Box::new(script));
    }

    /// What was asked.
    pub fn calls(&self) -> Vec<OutboundCall> {
        self.calls.lock().unwrap().clone()
    }
}

/// A response with a body.
pub fn response(status: u16, body: impl Into<Bytes>) -> Answer {
    Answer::Now(Ok(InboundResponse {
        status: StatusCode::from_u16(status).expect("a status"),
        headers: HeaderMap::new(),
        body: body.into(),
    }))
}

#[async_trait]
impl Egress for Outside {
    async fn send(&self, call: OutboundCall) -> (Result<InboundResponse, EgressError>, CallRecord) {
        self.calls.lock().unwrap().push(call.clone());
        let answer = match self.script.lock().unwrap().as_ref() {
            Some(script) => script(&call),
            None => response(200, "{}"),
        };
        let answer = match answer {
            Answer::Now(answer) => answer,
            Answer::Never => std::future::pending().await,
        };
        let record = CallRecord {
            sequence: call.sequence,
            method: call.method.to_string(),
            url: call.uri.to_string(),
            request_headers: Vec::new(),
            request_body: None,
            request_hash: String::new(),
            idempotency_key: None,
            status: answer.as_ref().ok().map(|answer| answer.status.as_u16()),
            response_headers: Vec::new(),
            response_body: None,
            error: answer.as_ref().err().map(ToString::to_string),
            from_journal: false,
            started_at: NOW,
            duration_ms: 1,
        };
        (answer, record)
    }
}
