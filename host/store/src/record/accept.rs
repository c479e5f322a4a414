//! An event with its runs, made ready for the writer.

use tombolo_core::audit::AuditEntry;
use tombolo_core::ports::store::{Accept, NewEvent, NewRun};

use super::{Body, DedupeKey, Gathered, Lasts, StepRecord, Texts};

/// An event with its runs.
#[derive(Debug)]
pub(crate) struct AcceptItem {
    pub(crate) event: NewEvent,
    pub(crate) key: DedupeKey,
    pub(crate) body: Body,
    pub(crate) runs: Vec<RunItem>,
    /// Of the event and of the runs' steps.
    pub(crate) texts: Gathered,
    pub(crate) audit: Option<AuditEntry>,
}

/// A run with the steps that it takes over.
#[derive(Debug)]
pub(crate) struct RunItem {
    /// Without its steps.
    pub(crate) run: NewRun,
    pub(crate) steps: Vec<StepRecord>,
    /// Of a run that has ended.
    pub(crate) output: Body,
}

impl From<Accept> for AcceptItem {
    fn from(accept: Accept) -> Self {
        let Accept { event, runs, audit } = accept;
        let mut texts = Texts::default();
        let runs = runs.into_iter().map(|mut run| {
            let steps = std::mem::take(&mut run.steps).into_iter();
            let steps = steps.map(|step| StepRecord::new(event.tenant, step, &mut texts));
            let steps = steps.collect();
            let output = run.ended.as_ref().and_then(|ended| ended.output.as_ref());
            texts.begin_row(Lasts::Long);
            let output = texts.json(event.tenant, output);
            RunItem { steps, output, run }
        });
        let runs = runs.collect();
        // At the end: an event names the last of its packs, and its payload is in that one.
        texts.begin_row(Lasts::Long);
        let body = texts.json(event.tenant, Some(&event.payload));
        Self { key: DedupeKey::of(&event), runs, body, texts: texts.finish(), audit, event }
    }
}

impl AcceptItem {
    /// Rows it writes.
    pub(crate) fn rows(&self) -> usize {
        let runs = self.runs.iter().map(|run| 2 + run.steps.len()).sum::<usize>();
        2 + runs + self.texts.rows()
    }

    /// Bytes of its long columns, and of the event's payload, which it holds as it came.
    pub(crate) fn bytes(&self) -> usize {
        let steps = self.runs.iter().flat_map(|run| &run.steps).map(StepRecord::len);
        self.event.payload.text().len() + steps.sum::<usize>() + self.texts.len()
    }
}

#[cfg(test)]
mod tests {
    use tombolo_core::clock::Timestamp;
    use tombolo_core::id::{EventId, RunId, TenantId, WorkflowId};
    use tombolo_core::json::Json;
    use tombolo_core::ports::store::{RunLimits, StepRow};
    use tombolo_core::run::StepState;
    use uuid::Uuid;

    use super::*;
    use crate::record::{INLINE_LIMIT_BYTES, Text};

    #[test]
    fn the_payload_is_in_the_last_pack_however_much_the_runs_bring() {
        let text = |n: u32| format!("\"{n:0width$}\"", width = INLINE_LIMIT_BYTES - 2);
        let step = |item| StepRow {
            state: StepState::Running,
            input: Some(Json::from_trusted(text(item))),
            ..StepRow::pending("a", item)
        };
        let run = NewRun {
            id: RunId(Uuid::nil()),
            workflow: WorkflowId(Uuid::nil()),
            version: 1,
            trigger: String::new(),
            deadline: None,
            lease: None,
            parent: None,
            depth: 0,
            replay_of: None,
            steps: (0..300).map(step).collect(),
            ended: None,
            flow: RunLimits::default(),
        };
        let event = NewEvent {
            id: EventId(Uuid::nil()),
            tenant: TenantId(Uuid::nil()),
            source: String::new(),
            dedupe_key: String::new(),
            fingerprint: None,
            // The same as the first step's input, which is in another pack.
            payload: Json::from_trusted(text(0)),
            correlation_id: String::new(),
            received_at: Timestamp(0),
        };
        let item = AcceptItem::from(Accept { event, runs: vec![run], audit: None });
        assert_eq!(item.texts.packs.len(), 3);
        assert_eq!(item.body.text.as_ref().and_then(Text::pack), Some(2));
        assert_eq!(item.runs[0].steps[0].pack(), Some(0));
    }
}
