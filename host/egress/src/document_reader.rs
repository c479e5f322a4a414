//! Documents that the host itself reads, through the same way out as every call: the address guard
//! and its bounds hold here, too.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method, Uri};
use tombolo_core::clock::Timestamp;
use tombolo_core::effect::Effect;
use tombolo_core::id::{ConnectionId, RunId, TenantId, WorkflowId};
use tombolo_core::ports::documents::Documents;
use tombolo_core::ports::egress::{Auth, CallLimits, Caller, Connection, Egress, OutboundCall};
use tombolo_core::ports::journal::request_hash;

/// How long a document may take, and how long its connection.
const WITHIN: Duration = Duration::from_secs(5);
const CONNECT_WITHIN_MS: u64 = 2_000;

/// Largest document, in bytes.
pub const MAX_DOCUMENT_BYTES: u64 = 256 * 1024;

/// Reads documents over HTTP.
pub struct DocumentReader {
    egress: Arc<dyn Egress>,
}

impl DocumentReader {
    /// A private address needs its line in `egress.allow`.
    pub fn new(egress: Arc<dyn Egress>) -> Self {
        Self { egress }
    }
}

#[async_trait]
impl Documents for DocumentReader {
    async fn get(&self, uri: &Uri) -> Result<Bytes, String> {
        let place = uri.scheme_str().zip(uri.authority());
        let (scheme, host) = place.ok_or_else(|| "the address has no host".to_owned())?;
        let (answer, _) = self.egress.send(call(uri, connection(scheme, host.as_str()))).await;
        match answer {
            Ok(answer) if answer.status.is_success() => Ok(answer.body),
            Ok(answer) => Err(format!("{host} answered {}", answer.status)),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn connection(scheme: &str, host: &str) -> Connection {
    Connection {
        id: ConnectionId(uuid::Uuid::nil()),
        tenant: nobody(),
        name: "documents".to_owned(),
        base_url: Some(format!("{scheme}://{host}")),
        auth: Auth::None,
        signing: None,
        allowed_hosts: Vec::new(),
        limits: CallLimits {
            connect_timeout_ms: CONNECT_WITHIN_MS,
            total_timeout_ms: u64::try_from(WITHIN.as_millis()).unwrap_or(u64::MAX),
            max_response_bytes: MAX_DOCUMENT_BYTES,
            max_request_bytes: 0,
        },
        updated_at: Timestamp(0),
        paused: None,
    }
}

fn call(uri: &Uri, connection: Connection) -> OutboundCall {
    let caller = Caller {
        tenant: nobody(),
        workflow: WorkflowId(uuid::Uuid::nil()),
        run: RunId(uuid::Uuid::nil()),
        node: "documents".to_owned(),
        attempt: 1,
        idempotency_key: String::new(),
        correlation_id: "documents".to_owned(),
        effect: Effect::Read,
    };
    OutboundCall {
        request_hash: request_hash(&Method::GET, uri, b""),
        caller: Arc::new(caller),
        connection: Some(Arc::new(connection)),
        sequence: 0,
        change: None,
        method: Method::GET,
        uri: uri.clone(),
        headers: HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]),
        body: Bytes::new(),
        budget: WITHIN,
    }
}

/// The host's own calls belong to no tenant.
fn nobody() -> TenantId {
    TenantId(uuid::Uuid::nil())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use http::StatusCode;
    use tombolo_core::ports::egress::{CallRecord, EgressError, InboundResponse};

    use super::*;

    struct Seen(Mutex<Vec<OutboundCall>>, StatusCode);

    #[async_trait]
    impl Egress for Seen {
        async fn send(
            &self,
            call: OutboundCall,
        ) -> (Result<InboundResponse, EgressError>, CallRecord) {
            let record = crate::testing::record(&call);
            self.0.lock().unwrap().push(call);
            let body = Bytes::from_static(b"{}");
            (Ok(InboundResponse { status: self.1, headers: HeaderMap::new(), body }), record)
        }
    }

    #[tokio::test]
    async fn a_document_is_a_bounded_get_at_the_host_of_its_address() {
        let seen = Arc::new(Seen(Mutex::default(), StatusCode::OK));
        let reader = DocumentReader::new(seen.clone());
        let uri = Uri::from_static("https://id.example.com/.well-known/openid-configuration");
        assert_eq!(reader.get(&uri).await.unwrap(), "{}");
        let calls = seen.0.lock().unwrap();
        let connection = calls[0].connection.as_ref().unwrap();
        assert_eq!((&calls[0].method, &calls[0].uri), (&Method::GET, &uri));
        assert_eq!(connection.base_url.as_deref(), Some("https://id.example.com"));
        assert_eq!(connection.limits.max_response_bytes, MAX_DOCUMENT_BYTES);
        assert_eq!(calls[0].budget, WITHIN);
    }

    #[tokio::test]
    async fn an_answer_that_is_no_success_is_no_document() {
        let reader = DocumentReader::new(Arc::new(Seen(Mutex::default(), StatusCode::FOUND)));
        let uri = Uri::from_static("https://id.example.com/secret/path");
        let error = reader.get(&uri).await.unwrap_err();
        assert_eq!(error, "id.example.com answered 302 Found");
    }
}
