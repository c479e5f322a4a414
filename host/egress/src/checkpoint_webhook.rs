//! Checkpoints of the record of what people did as a POST to one address: a second place, in other
//! hands than the database's.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use tombolo_core::audit::SignedCheckpoint;
use tombolo_core::clock::Timestamp;
use tombolo_core::ports::checkpoints::Checkpoints;
use tombolo_core::ports::egress::Egress;

use crate::host_webhook::{HostWebhook, InvalidHostUrl};

/// Sends checkpoints to one address. Its body is
/// `{"at": "..", "tenant": "..", "size": 256, "root": "..", "note": ".."}`; `at` and `note` are a line
/// of the file of checkpoints.
pub struct CheckpointWebhook(HostWebhook);

impl CheckpointWebhook {
    /// For checkpoints to `url`. A private address needs its line in `egress.allow`.
    pub fn new(egress: Arc<dyn Egress>, url: &str) -> Result<Self, InvalidHostUrl> {
        HostWebhook::new(egress, url, "checkpoints").map(Self)
    }
}

#[async_trait]
impl Checkpoints for CheckpointWebhook {
    async fn keep(&self, signed: &SignedCheckpoint, at: Timestamp) -> Result<(), String> {
        let checkpoint = &signed.checkpoint;
        let body = json!({
            "at": at,
            "tenant": checkpoint.tenant,
            "size": checkpoint.size,
            "root": checkpoint.root,
            "note": signed.note,
        });
        self.0.post(&body).await
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use tombolo_core::audit::{AuditHash, Checkpoint};
    use tombolo_core::id::TenantId;

    use super::*;
    use crate::testing::Seen;

    #[tokio::test]
    async fn a_checkpoint_is_posted_with_its_note_and_a_refusal_is_told() {
        let checkpoint =
            Checkpoint { tenant: TenantId(uuid::Uuid::nil()), size: 256, root: AuditHash::ZERO };
        let signed = SignedCheckpoint { checkpoint, note: "signed".to_owned() };
        let seen = Arc::new(Seen::answering(StatusCode::ACCEPTED));
        let url = "https://witness.example.com/in";
        let webhook = CheckpointWebhook::new(seen.clone(), url).unwrap();
        webhook.keep(&signed, Timestamp(0)).await.unwrap();
        let calls = seen.calls();
        let body: serde_json::Value = serde_json::from_slice(&calls[0].body).unwrap();
        assert_eq!((&body["size"], &body["note"]), (&json!(256), &json!("signed")));
        assert_eq!(body["at"], "1970-01-01T00:00:00.000Z");

        let full = Arc::new(Seen::answering(StatusCode::INSUFFICIENT_STORAGE));
        let refused = CheckpointWebhook::new(full, url).unwrap().keep(&signed, Timestamp(0)).await;
        assert!(refused.unwrap_err().contains("507"));
    }
}
