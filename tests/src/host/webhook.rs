//! Deliveries of webhooks.

use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::{Answer, Host, TENANT};
use crate::hubspot;

impl Host {
    /// The whole address of a webhook, as its sender knows it.
    pub fn hook(&self, path: &str) -> String {
        format!("{}/hooks/{TENANT}/{path}", self.origin())
    }

    /// Sends a body with these headers.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn post_hook(
        &self,
        path: &str,
        headers: HeaderMap,
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Answer> {
        let address = format!("/hooks/{TENANT}/{path}");
        self.answer(self.anonymous("POST", &address).headers(headers).body(body.into())).await
    }

    /// Sends JSON to a webhook that anybody may call.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn deliver(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.post_hook(path, HeaderMap::new(), body.to_string()).await
    }

    /// Sends JSON as HubSpot does: signed with the app's secret, now.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn deliver_signed(
        &self,
        path: &str,
        secret: &str,
        body: &Value,
    ) -> anyhow::Result<Answer> {
        let body = body.to_string();
        let headers =
            hubspot::signed_delivery(secret, &self.hook(path), body.as_bytes(), super::now_ms());
        self.post_hook(path, headers, body).await
    }
}
