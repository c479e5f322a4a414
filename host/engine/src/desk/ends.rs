//! How a run leaves the desk: parked, ended, given up or given back.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tombolo_core::clock::Timestamp;
use tombolo_core::error::StepError;
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::{
    Lease, Letters, Next, Settle, Signal, StepKey, StepRow, StoreError,
};
use tombolo_core::run::{Run, RunState, Standing, end_of_call};

use super::{Desk, write};
use crate::errors::{corrupt, permanent};
use crate::{respond, starts};

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
                if let Some(error) = &error
                    && let Err(busy) = self.announce_failure(run, error).await
                {
                    tracing::warn!(run = %self.row.id, %busy, "its failure is announced later");
                    return self.come_back(run).await;
                }
                self.settle(run, Next::End { state, output, error }).await
            }
            Standing::Busy => {
                Err(StoreError::Corrupt("a step is running that nobody runs".to_owned()))
            }
        }
    }

    /// Starts the workflows that take the failure of this one.
    async fn announce_failure(&mut self, run: &Run, error: &StepError) -> Result<(), StepError> {
        let steps: Vec<StepRow> = run.rows().cloned().collect();
        let (name, payload) = (&run.plan().name, self.event.payload.value());
        let (ports, now) = (&self.inner.ports, self.now());
        let accept = starts::failure(ports, &self.row, name, payload, error, &steps, now).await?;
        self.owed.starts.extend(accept);
        Ok(())
    }

    /// Gives the run back for a moment: it comes to the same end again.
    async fn come_back(&mut self, run: &mut Run) -> Result<(), StoreError> {
        let (state, available_at) = (RunState::Queued, Some(self.now().plus(COME_BACK)));
        self.settle(run, Next::Park { state, available_at, connections: BTreeSet::new() }).await
    }

    /// Ends the run by request or deadline.
    pub async fn cancel(
        &mut self,
        run: &mut Run,
        error: Option<StepError>,
    ) -> Result<(), StoreError> {
        run.cancel(self.now()).map_err(corrupt)?;
        self.settle(run, Next::End { state: RunState::Cancelled, output: None, error }).await
    }

    /// Gives the run back as far as it has come. Attempts under way are cut off.
    pub async fn leave(&mut self, run: &mut Run) -> Result<(), StoreError> {
        run.recover(self.now()).map_err(corrupt)?;
        let (state, available_at) = (RunState::Queued, Some(self.now()));
        self.settle(run, Next::Park { state, available_at, connections: BTreeSet::new() }).await
    }

    /// Ends a run that cannot go on, and its steps with it.
    pub async fn give_up_run(
        &mut self,
        run: &mut Run,
        code: &str,
        message: String,
    ) -> Result<(), StoreError> {
        let error = permanent(code, message);
        run.give_up(&error, self.now()).map_err(corrupt)?;
        let steps = run.take_changes();
        let letters = self.new_letters(run, &steps);
        self.end_badly(steps, letters, error).await
    }

    /// Ends a run that cannot go on, with the steps that changed by that.
    pub async fn give_up(
        &mut self,
        steps: Vec<StepRow>,
        code: &str,
        message: String,
    ) -> Result<(), StoreError> {
        self.end_badly(steps, Letters::default(), permanent(code, message)).await
    }

    async fn end_badly(
        &mut self,
        steps: Vec<StepRow>,
        letters: Letters,
        error: StepError,
    ) -> Result<(), StoreError> {
        let (id, state) = (self.row.id, RunState::Failed);
        let answer = respond::from_end(id, state, None, Some(&error));
        let mut last = last(self.row.tenant, self.lease.clone(), steps, error, self.now());
        last.signal = self.end_of_call(&last.next);
        last.letters = letters;
        write(&self.inner, last.clone()).await?;
        self.inner.news.note(&last);
        self.tell_caller(&last);
        self.inner.wake.notify_one();
        self.inner.followers.answer(id, &answer);
        self.inner.followers.tell(self.row.tenant, id, &last.steps, state, self.now());
        Ok(())
    }

    /// What the end of this run tells the step that waits for it.
    pub(super) fn end_of_call(&self, next: &Next) -> Option<Signal> {
        let parent = self.row.parent.as_ref()?;
        let Next::End { state, output, error } = next else {
            return None;
        };
        let cancelled =
            || permanent("called-run-cancelled", format!("the run {} was cancelled", self.row.id));
        let mut error = match (state, error) {
            (RunState::Succeeded, _) => None,
            (_, Some(error)) => Some(error.clone()),
            (_, None) => Some(cancelled()),
        };
        if let Some(error) = &mut error {
            error.details = Some(json!({"run": self.row.id, "details": error.details}));
        }
        Some(Signal {
            tenant: self.row.tenant,
            run: parent.run,
            step: StepKey { node: parent.node.clone(), item: parent.item },
            body: end_of_call(output.as_ref(), error.as_ref()),
            at: self.now(),
        })
    }
}

/// The last write of a run that cannot go on.
pub(crate) fn last(
    tenant: TenantId,
    lease: Lease,
    steps: Vec<StepRow>,
    error: StepError,
    now: Timestamp,
) -> Settle {
    let next = Next::End { state: RunState::Failed, output: None, error: Some(error) };
    Settle { steps, ..Settle::new(tenant, lease, next, now) }
}
