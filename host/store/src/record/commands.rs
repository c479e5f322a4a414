//! The two frequent writes, made ready for the writer: JSON written and hashed, sizes known.

use tombolo_core::clock::Timestamp;
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::{Accept, Lease, NewEvent, NewRun, Next, Settle, StateChange};
use tombolo_core::run::RunState;

use super::{Body, EffectRecord, JournalRecord, Payload, StepRecord, to_json};

/// An event with its runs.
#[derive(Debug)]
pub(crate) struct AcceptItem {
    pub(crate) event: NewEvent,
    pub(crate) body: Body,
    pub(crate) payload: Option<Payload>,
    pub(crate) runs: Vec<NewRun>,
}

impl From<Accept> for AcceptItem {
    fn from(accept: Accept) -> Self {
        let mut payloads = Vec::new();
        let event = accept.event;
        Self {
            body: Body::new(event.tenant, Some(&event.payload), &mut payloads),
            payload: payloads.pop(),
            event,
            runs: accept.runs,
        }
    }
}

impl AcceptItem {
    /// Rows it writes.
    pub(crate) fn rows(&self) -> usize {
        1 + 2 * self.runs.len()
    }

    /// Bytes of its long columns.
    pub(crate) fn bytes(&self) -> usize {
        self.event.payload.text().len()
    }
}

/// Results of a run.
#[derive(Debug)]
pub(crate) struct SettleItem {
    pub(crate) tenant: TenantId,
    pub(crate) lease: Lease,
    pub(crate) steps: Vec<StepRecord>,
    pub(crate) effects: Vec<EffectRecord>,
    pub(crate) journal: Vec<JournalRecord>,
    pub(crate) payloads: Vec<Payload>,
    pub(crate) state: Vec<StateChange>,
    pub(crate) next: Outcome,
}

/// What becomes of the run, as columns.
#[derive(Debug)]
pub(crate) enum Outcome {
    Hold,
    /// Due at `now` if somebody asked for the run's end.
    Park {
        state: RunState,
        available_at: Timestamp,
        now: Timestamp,
    },
    End {
        state: RunState,
        ended_at: Timestamp,
        output: Body,
        error: Option<String>,
    },
}

impl From<Settle> for SettleItem {
    fn from(settle: Settle) -> Self {
        let tenant = settle.tenant;
        let mut payloads = Vec::new();
        let steps = settle
            .steps
            .into_iter()
            .map(|step| StepRecord::new(tenant, step, &mut payloads))
            .collect();
        let next = match settle.next {
            Next::Hold => Outcome::Hold,
            Next::Park { state, available_at } => {
                Outcome::Park { state, available_at, now: settle.now }
            }
            Next::End { state, output, error } => Outcome::End {
                state,
                ended_at: settle.now,
                output: Body::new(tenant, output.as_ref(), &mut payloads),
                error: error.as_ref().map(to_json),
            },
        };
        Self {
            tenant,
            lease: settle.lease,
            steps,
            effects: settle.calls.into_iter().map(EffectRecord::new).collect(),
            journal: settle.journal.into_iter().map(JournalRecord::new).collect(),
            payloads,
            state: settle.state,
            next,
        }
    }
}

impl SettleItem {
    /// Rows it writes.
    pub(crate) fn rows(&self) -> usize {
        let below = self.steps.len() + self.effects.len() + self.journal.len();
        2 + below + self.payloads.len() + self.state.len()
    }

    /// Bytes of its long columns.
    pub(crate) fn bytes(&self) -> usize {
        let steps: usize = self.steps.iter().map(StepRecord::len).sum();
        let effects: usize = self.effects.iter().map(|effect| effect.record.len()).sum();
        let journal: usize = self.journal.iter().map(JournalRecord::len).sum();
        let payloads: usize = self.payloads.iter().map(|payload| payload.bytes.len()).sum();
        let state: usize = self.state.iter().map(|change| change.write.value.text().len()).sum();
        steps + effects + journal + payloads + state
    }
}
