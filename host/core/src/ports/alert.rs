//! The port of alerts: what people are told without asking.

use async_trait::async_trait;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::id::TenantId;

/// Something that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Alert {
    /// Dead letters wait, and there were none before, or fewer.
    DeadLetters {
        /// Whose they are.
        tenant: TenantId,
        /// How many wait now.
        count: u64,
        /// When they were counted.
        at: Timestamp,
    },
    /// A connection's credentials were refused: its steps wait for new ones.
    ConnectionPaused {
        /// Whose it is.
        tenant: TenantId,
        /// Its name.
        connection: String,
        /// What the other side said.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// The record of what people did is not the one that was signed: somebody has changed it.
    RecordContradicted {
        /// Whose record.
        tenant: TenantId,
        /// What does not fit.
        reason: String,
        /// When it was found.
        at: Timestamp,
    },
}

impl Alert {
    /// One sentence for people, with what to do.
    pub fn text(&self) -> String {
        match self {
            Self::DeadLetters { count, .. } => format!(
                "Tombolo: {count} dead letter(s) wait for a person. See `tombolo dead-letter list`."
            ),
            Self::RecordContradicted { tenant, reason, .. } => format!(
                "Tombolo: the record of what people did was changed ({tenant}): {reason}. See \
                 `tombolo audit verify`."
            ),
            Self::ConnectionPaused { connection, reason, .. } => format!(
                "Tombolo: the connection `{connection}` is paused, its credentials were refused: \
                 {reason}. Set new ones: `tombolo connection set {connection} ..`."
            ),
        }
    }
}

/// Tells people.
#[async_trait]
pub trait Alerts: Send + Sync {
    /// Sends one alert.
    ///
    /// # Errors
    /// Why it was not taken, for the log. It is sent again later, as what it tells stands then.
    async fn send(&self, alert: &Alert) -> Result<(), String>;
}

/// For a host that nobody has told where to send alerts.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAlerts;

#[async_trait]
impl Alerts for NoAlerts {
    async fn send(&self, _: &Alert) -> Result<(), String> {
        Ok(())
    }
}
