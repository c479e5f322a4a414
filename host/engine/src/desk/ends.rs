//! How a run leaves the desk: parked, ended or given back. One that cannot go on ends elsewhere (see
//! `give_up`).

use std::collections::BTreeSet;
use std::time::Duration;

use tombolo_core::error::StepError;
use tombolo_core::ports::store::{Next, Signal, StepKey, StoreError};
use tombolo_core::run::{Run, RunState, Standing, end_of_call, error_of_call};

use super::Desk;
use crate::errors::{corrupt, permanent};

/// How long a run is given back whose end cannot be told for lack of room.
const COME_BACK: Duration = Duration::from_secs(1);

impl Desk {
    /// Nothing is under way: parks or ends the run.
    pub async fn rest(&mut self, run: &mut Run) -> Result<(), StoreError> {
        match run.standing() {
            Standing::Parked { due, connections } => {
                let available_at = match (due, self.row.deadline) {
                    (Some(due), Some(deadline)) => Some(due.min(deadline)),
                    (due, deadline) => due.or(deadline),
                };
                let state = RunState::Waiting;
                self.settle(run, Next::Park { state, available_at, connections }).await?;
                self.inner.wake.notify_one();
                Ok(())
            }
            Standing::Ended { state, output, error } => {
                self.end(run, Next::End { state, output, error }).await
            }
            Standing::Busy => {
                Err(StoreError::Corrupt("a step is running that nobody runs".to_owned()))
            }
        }
    }

    /// Ends the run by request, or by its deadline: then with an error, which is told.
    pub async fn cancel(
        &mut self,
        run: &mut Run,
        error: Option<StepError>,
    ) -> Result<(), StoreError> {
        run.cancel(self.now()).map_err(corrupt)?;
        self.end(run, Next::End { state: RunState::Cancelled, output: None, error }).await
    }

    /// Writes the end, with what it starts.
    async fn end(&mut self, run: &mut Run, end: Next) -> Result<(), StoreError> {
        if let Next::End { error: Some(error), .. } = &end
            && let Err(busy) = self.announce(run, error).await
        {
            tracing::warn!(run = %self.row.id, %busy, "its failure is announced later");
            return self.come_back(run).await;
        }
        self.settle(run, end).await
    }

    /// Gives the run back for a moment: it comes to the same end again.
    async fn come_back(&mut self, run: &mut Run) -> Result<(), StoreError> {
        let (state, available_at) = (RunState::Queued, Some(self.now().plus(COME_BACK)));
        self.settle(run, Next::Park { state, available_at, connections: BTreeSet::new() }).await
    }

    /// Gives the run back as far as it has come. Attempts under way are cut off.
    pub async fn leave(&mut self, run: &mut Run) -> Result<(), StoreError> {
        run.recover(self.now()).map_err(corrupt)?;
        let (state, available_at) = (RunState::Queued, Some(self.now()));
        self.settle(run, Next::Park { state, available_at, connections: BTreeSet::new() }).await
    }

    /// What the end of this run tells the step that waits for it.
    pub(crate) fn end_of_call(&self, next: &Next) -> Option<Signal> {
        let parent = self.row.parent.as_ref()?;
        let Next::End { state, output, error } = next else {
            return None;
        };
        let cancelled =
            || permanent("called-run-cancelled", format!("the run {} was cancelled", self.row.id));
        let error = match (state, error) {
            (RunState::Succeeded, _) => None,
            (_, Some(error)) => Some(error.clone()),
            (_, None) => Some(cancelled()),
        };
        let error = error.map(|error| error_of_call(self.row.id, error));
        Some(Signal {
            tenant: self.row.tenant,
            run: parent.run,
            step: StepKey { node: parent.node.clone(), item: parent.item },
            body: end_of_call(output.as_ref(), error.as_ref()),
            at: self.now(),
        })
    }
}
