//! What the host itself says, as a POST to one address, through the same way out as every other call:
//! the address guard and its bounds hold here, too.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Uri};
use serde_json::Value;
use tombolo_core::clock::Timestamp;
use tombolo_core::effect::Effect;
use tombolo_core::id::{ConnectionId, RunId, TenantId, WorkflowId};
use tombolo_core::ports::egress::{Auth, CallLimits, Caller, Connection, Egress, OutboundCall};
use tombolo_core::ports::journal::request_hash;

/// How long a call may take.
const WITHIN: Duration = Duration::from_secs(10);

/// One address that the host posts to.
pub(crate) struct HostWebhook {
    egress: Arc<dyn Egress>,
    uri: Uri,
    connection: Arc<Connection>,
    /// What it is for, in records and logs.
    purpose: &'static str,
}

/// An address that nothing can be posted to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` is no address for {purpose}: write https://host/path")]
pub struct InvalidHostUrl {
    /// What was given.
    pub url: String,
    /// What it was to be for.
    pub purpose: &'static str,
}

impl HostWebhook {
    /// For calls of `url`. A private address needs its line in `egress.allow`.
    pub(crate) fn new(
        egress: Arc<dyn Egress>,
        url: &str,
        purpose: &'static str,
    ) -> Result<Self, InvalidHostUrl> {
        let invalid = || InvalidHostUrl { url: url.to_owned(), purpose };
        let uri: Uri = url.parse().map_err(|_| invalid())?;
        let (scheme, host) = uri.scheme_str().zip(uri.authority()).ok_or_else(invalid)?;
        let connection = Connection {
            id: ConnectionId(uuid::Uuid::nil()),
            tenant: nobody(),
            name: purpose.to_owned(),
            base_url: Some(format!("{scheme}://{host}")),
            auth: Auth::None,
            signing: None,
            allowed_hosts: Vec::new(),
            limits: CallLimits::default(),
            updated_at: Timestamp(0),
            paused: None,
        };
        Ok(Self { egress, uri, connection: Arc::new(connection), purpose })
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// Why it was not taken, for the log.
    pub(crate) async fn post(&self, body: &Value) -> Result<(), String> {
        let (answer, _) = self.egress.send(self.call(body)).await;
        match answer {
            Ok(answer) if answer.status.is_success() => Ok(()),
            // The address may hold a secret; the host does not.
            Ok(answer) => {
                let host = self.uri.host().unwrap_or_default();
                Err(format!("{host} answered {}", answer.status))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    fn call(&self, body: &Value) -> OutboundCall {
        let caller = Caller {
            tenant: nobody(),
            workflow: WorkflowId(uuid::Uuid::nil()),
            run: RunId(uuid::Uuid::nil()),
            node: self.purpose.to_owned(),
            attempt: 1,
            idempotency_key: String::new(),
            correlation_id: self.purpose.to_owned(),
            effect: Effect::Unsafe,
        };
        let body = body.to_string();
        let json = HeaderValue::from_static("application/json");
        OutboundCall {
            request_hash: request_hash(&Method::POST, &self.uri, body.as_bytes()),
            caller: Arc::new(caller),
            connection: Some(Arc::clone(&self.connection)),
            sequence: 0,
            change: None,
            method: Method::POST,
            uri: self.uri.clone(),
            headers: HeaderMap::from_iter([(CONTENT_TYPE, json)]),
            body: Bytes::from(body),
            budget: WITHIN,
        }
    }
}

/// The host's own calls belong to no tenant.
fn nobody() -> TenantId {
    TenantId(uuid::Uuid::nil())
}
