//! Alerts as a POST to one address, through the same way out as every other call: the address guard
//! and its bounds hold here, too.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Uri};
use serde_json::json;
use tombolo_core::clock::Timestamp;
use tombolo_core::effect::Effect;
use tombolo_core::id::{ConnectionId, RunId, TenantId, WorkflowId};
use tombolo_core::ports::alert::{Alert, Alerts};
use tombolo_core::ports::egress::{Auth, CallLimits, Caller, Connection, Egress, OutboundCall};
use tombolo_core::ports::journal::request_hash;

/// How long an alert may take.
const WITHIN: Duration = Duration::from_secs(10);

/// Sends alerts to one address. Its body is `{"text": "..", "alert": {..}}`: `text` is what chat
/// systems show of an incoming webhook.
pub struct AlertWebhook {
    egress: Arc<dyn Egress>,
    uri: Uri,
    connection: Arc<Connection>,
}

/// An address that alerts cannot be sent to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` is no address for alerts: write https://host/path")]
pub struct InvalidAlertUrl {
    /// What was given.
    pub url: String,
}

impl AlertWebhook {
    /// For alerts to `url`. A private address needs its line in `egress.allow`.
    pub fn new(egress: Arc<dyn Egress>, url: &str) -> Result<Self, InvalidAlertUrl> {
        let invalid = || InvalidAlertUrl { url: url.to_owned() };
        let uri: Uri = url.parse().map_err(|_| invalid())?;
        let (scheme, host) = uri.scheme_str().zip(uri.authority()).ok_or_else(invalid)?;
        let connection = Connection {
            id: ConnectionId(uuid::Uuid::nil()),
            tenant: nobody(),
            name: "alerts".to_owned(),
            base_url: Some(format!("{scheme}://{host}")),
            auth: Auth::None,
            signing: None,
            allowed_hosts: Vec::new(),
            limits: CallLimits::default(),
            updated_at: Timestamp(0),
            paused: None,
        };
        Ok(Self { egress, uri, connection: Arc::new(connection) })
    }

    fn call(&self, alert: &Alert) -> OutboundCall {
        let caller = Caller {
            tenant: nobody(),
            workflow: WorkflowId(uuid::Uuid::nil()),
            run: RunId(uuid::Uuid::nil()),
            node: "alert".to_owned(),
            attempt: 1,
            idempotency_key: String::new(),
            correlation_id: "alert".to_owned(),
            effect: Effect::Unsafe,
        };
        let body = json!({"text": alert.text(), "alert": alert}).to_string();
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

#[async_trait]
impl Alerts for AlertWebhook {
    async fn send(&self, alert: &Alert) -> Result<(), String> {
        let (answer, _) = self.egress.send(self.call(alert)).await;
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
            let (status, headers, body) = (self.1, HeaderMap::new(), Bytes::new());
            (Ok(InboundResponse { status, headers, body }), record)
        }
    }

    fn alert() -> Alert {
        Alert::DeadLetters { tenant: nobody(), count: 3, at: Timestamp(0) }
    }

    #[tokio::test]
    async fn an_alert_is_a_post_that_chat_systems_understand() {
        let seen = Arc::new(Seen(Mutex::default(), StatusCode::OK));
        let alerts = AlertWebhook::new(seen.clone(), "https://chat.example.com/in?k=1").unwrap();
        alerts.send(&alert()).await.unwrap();
        let calls = seen.0.lock().unwrap();
        assert_eq!(calls[0].method, Method::POST);
        assert_eq!(calls[0].uri, "https://chat.example.com/in?k=1");
        let body: serde_json::Value = serde_json::from_slice(&calls[0].body).unwrap();
        assert!(body["text"].as_str().unwrap().contains("3 dead letter(s)"));
        assert_eq!(body["alert"]["kind"], "dead-letters");
        assert_eq!(body["alert"]["count"], 3);
    }

    #[tokio::test]
    async fn a_refusal_is_told() {
        let seen = Arc::new(Seen(Mutex::default(), StatusCode::FORBIDDEN));
        let alerts = AlertWebhook::new(seen, "https://chat.example.com/in").unwrap();
        assert!(alerts.send(&alert()).await.unwrap_err().contains("403"));
    }

    #[test]
    fn an_address_needs_a_host() {
        let seen = || Arc::new(Seen(Mutex::default(), StatusCode::OK));
        for url in ["", "chat.example.com", "/in", "https://"] {
            assert!(AlertWebhook::new(seen(), url).is_err(), "{url}");
        }
    }
}
