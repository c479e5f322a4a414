//! Results of a run, made ready for the writer: JSON written, hashed and compressed, sizes known.

use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::{Lease, Letters, Next, Pause, Settle, StateChange, StepKey};
use tombolo_core::run::RunState;

use super::{
    AcceptItem, Body, EffectRecord, Gathered, JournalRecord, Lasts, LetterRecord, SignalItem,
    StepRecord, Texts, to_json,
};

/// Results of a run.
#[derive(Debug)]
pub(crate) struct SettleItem {
    pub(crate) tenant: TenantId,
    pub(crate) lease: Lease,
    pub(crate) steps: Vec<StepRecord>,
    pub(crate) effects: Vec<EffectRecord>,
    pub(crate) journal: Vec<JournalRecord>,
    /// Of the steps, the calls and the run's output.
    pub(crate) texts: Gathered,
    pub(crate) state: Vec<StateChange>,
    pub(crate) starts: Vec<AcceptItem>,
    pub(crate) signal: Option<SignalItem>,
    pub(crate) used: Vec<StepKey>,
    pub(crate) forgets: Vec<StepKey>,
    pub(crate) letters: LetterChanges,
    pub(crate) pauses: Vec<Pause>,
    pub(crate) audit: Vec<AuditEntry>,
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) next: Outcome,
    pub(crate) now: Timestamp,
}

/// Dead letters that come and go.
#[derive(Debug, Default)]
pub(crate) struct LetterChanges {
    pub(crate) opened: Vec<LetterRecord>,
    pub(crate) closed: Vec<StepKey>,
}

/// What becomes of the run, as columns.
#[derive(Debug)]
pub(crate) enum Outcome {
    Hold,
    Park {
        state: RunState,
        available_at: Timestamp,
        /// Names of the connections it waits for, as a JSON array.
        connections: Option<String>,
    },
    End {
        state: RunState,
        output: Body,
        error: Option<String>,
    },
}

impl Outcome {
    fn new(tenant: TenantId, next: Next, texts: &mut Texts) -> Self {
        match next {
            Next::Hold => Self::Hold,
            Next::Park { state, available_at, connections } => Self::Park {
                state,
                available_at: available_at.unwrap_or(NEVER),
                connections: (!connections.is_empty()).then(|| to_json(&connections)),
            },
            Next::End { state, output, error } => {
                texts.begin_row(Lasts::Long);
                Self::End {
                    state,
                    output: texts.json(tenant, output.as_ref()),
                    error: error.as_ref().map(to_json),
                }
            }
        }
    }
}

/// When a run is due that is not due by itself.
pub(crate) const NEVER: Timestamp = Timestamp(i64::MAX);

/// The time at which a run is due by itself, if there is one.
pub(crate) fn due(available_at: Timestamp) -> Option<Timestamp> {
    Some(available_at).filter(|at| *at < NEVER)
}

impl From<Settle> for SettleItem {
    fn from(settle: Settle) -> Self {
        let tenant = settle.tenant;
        let mut texts = Texts::default();
        let steps = settle.steps.into_iter();
        let steps = steps.map(|step| StepRecord::new(tenant, step, &mut texts)).collect();
        let effects = settle.calls.into_iter();
        let effects = effects.map(|call| EffectRecord::new(call, &mut texts)).collect();
        Self {
            tenant,
            lease: settle.lease,
            steps,
            effects,
            journal: settle.journal.into_iter().map(JournalRecord::new).collect(),
            state: settle.state,
            starts: settle.starts.into_iter().map(AcceptItem::from).collect(),
            signal: settle.signal.map(SignalItem::from),
            used: settle.used,
            forgets: settle.forgets,
            letters: settle.letters.into(),
            pauses: settle.pauses,
            audit: settle.audit,
            deadline: settle.deadline,
            next: Outcome::new(tenant, settle.next, &mut texts),
            now: settle.now,
            texts: texts.finish(),
        }
    }
}

impl From<Letters> for LetterChanges {
    fn from(letters: Letters) -> Self {
        Self {
            opened: letters.opened.into_iter().map(LetterRecord::new).collect(),
            closed: letters.closed,
        }
    }
}

impl SettleItem {
    /// True if it ends the run by request or deadline.
    pub(crate) fn cancels(&self) -> bool {
        matches!(self.next, Outcome::End { state: RunState::Cancelled, .. })
    }

    /// Rows it writes.
    pub(crate) fn rows(&self) -> usize {
        let below = self.steps.len() + self.effects.len() + self.journal.len();
        let starts: usize = self.starts.iter().map(AcceptItem::rows).sum();
        let letters = &self.letters;
        let letters = letters.opened.len() + letters.closed.len();
        let gone = self.used.len() + self.forgets.len();
        let beside = self.pauses.len() + self.audit.len() + usize::from(self.signal.is_some());
        2 + below + self.texts.rows() + self.state.len() + starts + letters + gone + beside
    }

    /// Bytes of its packs, payloads and long columns.
    pub(crate) fn bytes(&self) -> usize {
        let steps: usize = self.steps.iter().map(StepRecord::len).sum();
        let effects: usize = self.effects.iter().map(|effect| effect.record.len()).sum();
        let journal: usize = self.journal.iter().map(JournalRecord::len).sum();
        let state: usize = self.state.iter().map(|change| change.write.value.text().len()).sum();
        let starts: usize = self.starts.iter().map(AcceptItem::bytes).sum();
        let signal = self.signal.as_ref().map_or(0, SignalItem::bytes);
        steps + effects + journal + self.texts.len() + state + starts + signal
    }
}
