//! Alerts as a POST to one address.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use tombolo_core::ports::alert::{Alert, Alerts};
use tombolo_core::ports::egress::Egress;

use crate::host_webhook::{HostWebhook, InvalidHostUrl};

/// Sends alerts to one address. Its body is `{"text": "..", "alert": {..}}`: `text` is what chat
/// systems show of an incoming webhook.
pub struct AlertWebhook(HostWebhook);

impl AlertWebhook {
    /// For alerts to `url`. A private address needs its line in `egress.allow`.
    pub fn new(egress: Arc<dyn Egress>, url: &str) -> Result<Self, InvalidHostUrl> {
        HostWebhook::new(egress, url, "alerts").map(Self)
    }
}

#[async_trait]
impl Alerts for AlertWebhook {
    async fn send(&self, alert: &Alert) -> Result<(), String> {
        self.0.post(&json!({"text": alert.text(), "alert": alert})).await
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use tombolo_core::clock::Timestamp;
    use tombolo_core::id::TenantId;

    use super::*;
    use crate::testing::Seen;

    fn alert() -> Alert {
        Alert::DeadLetters { tenant: TenantId(uuid::Uuid::nil()), count: 3, at: Timestamp(0) }
    }

    #[tokio::test]
    async fn an_alert_is_a_post_that_chat_systems_understand() {
        let seen = Arc::new(Seen::answering(StatusCode::OK));
        let alerts = AlertWebhook::new(seen.clone(), "https://chat.example.com/in?k=1").unwrap();
        alerts.send(&alert()).await.unwrap();
        let calls = seen.calls();
        assert_eq!(calls[0].method, Method::POST);
        assert_eq!(calls[0].uri, "https://chat.example.com/in?k=1");
        let body: serde_json::Value = serde_json::from_slice(&calls[0].body).unwrap();
        assert!(body["text"].as_str().unwrap().contains("3 dead letter(s)"));
        assert_eq!(body["alert"]["kind"], "dead-letters");
        assert_eq!(body["alert"]["count"], 3);
    }

    #[tokio::test]
    async fn a_refusal_is_told() {
        let seen = Arc::new(Seen::answering(StatusCode::FORBIDDEN));
        let alerts = AlertWebhook::new(seen, "https://chat.example.com/in").unwrap();
        assert!(alerts.send(&alert()).await.unwrap_err().contains("403"));
    }

    #[test]
    fn an_address_needs_a_host() {
        let seen = || Arc::new(Seen::answering(StatusCode::OK));
        for url in ["", "chat.example.com", "/in", "https://"] {
            assert!(AlertWebhook::new(seen(), url).is_err(), "{url}");
        }
    }
}
