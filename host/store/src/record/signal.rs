//! What comes for a step from outside, as columns.

use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::store::{Signal, StepKey};

use super::{Body, Payload};

/// A row of `signal`.
#[derive(Debug)]
pub(crate) struct SignalItem {
    pub(crate) tenant: TenantId,
    pub(crate) run: RunId,
    pub(crate) step: StepKey,
    pub(crate) body: Body,
    /// Of the body.
    pub(crate) payloads: Vec<Payload>,
    pub(crate) at: Timestamp,
    /// Who sent it.
    pub(crate) audit: Option<AuditEntry>,
}

impl From<Signal> for SignalItem {
    fn from(signal: Signal) -> Self {
        let mut payloads = Vec::new();
        Self {
            body: Body::in_row(signal.tenant, &signal.body, &mut payloads),
            payloads,
            tenant: signal.tenant,
            run: signal.run,
            step: signal.step,
            at: signal.at,
            audit: None,
        }
    }
}

impl SignalItem {
    /// Bytes of its long columns.
    pub(crate) fn bytes(&self) -> usize {
        self.body.len() + self.payloads.iter().map(Payload::len).sum::<usize>()
    }
}
