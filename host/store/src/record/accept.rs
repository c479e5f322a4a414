//! An event with its runs, made ready for the writer.

use tombolo_core::ports::store::{Accept, NewEvent, NewRun};

use super::{Body, Payload, StepRecord};

/// An event with its runs.
#[derive(Debug)]
pub(crate) struct AcceptItem {
    pub(crate) event: NewEvent,
    pub(crate) body: Body,
    pub(crate) runs: Vec<RunItem>,
    /// Of the event and of the runs' steps.
    pub(crate) payloads: Vec<Payload>,
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
        let Accept { event, runs } = accept;
        let mut payloads = Vec::new();
        let body = Body::new(event.tenant, Some(&event.payload), &mut payloads);
        let runs = runs.into_iter().map(|mut run| {
            let steps = std::mem::take(&mut run.steps).into_iter();
            let steps = steps.map(|step| StepRecord::new(event.tenant, step, &mut payloads));
            let steps = steps.collect();
            let output = run.ended.as_ref().and_then(|ended| ended.output.as_ref());
            let output = Body::new(event.tenant, output, &mut payloads);
            RunItem { steps, output, run }
        });
        Self { runs: runs.collect(), body, payloads, event }
    }
}

impl AcceptItem {
    /// Rows it writes.
    pub(crate) fn rows(&self) -> usize {
        let runs = self.runs.iter().map(|run| 2 + run.steps.len()).sum::<usize>();
        1 + runs + self.payloads.len()
    }

    /// Bytes of its long columns, and of the event's payload, which it holds as it came.
    pub(crate) fn bytes(&self) -> usize {
        let steps = self.runs.iter().flat_map(|run| &run.steps).map(StepRecord::len);
        let payloads = self.payloads.iter().map(Payload::len);
        let outputs = self.runs.iter().map(|run| run.output.len());
        self.event.payload.text().len()
            + outputs.sum::<usize>()
            + steps.sum::<usize>()
            + payloads.sum::<usize>()
    }
}
