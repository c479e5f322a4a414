//! The end of runs that cannot go on.

use std::sync::Arc;

use tombolo_core::clock::Timestamp;
use tombolo_core::error::StepError;
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::{
    Accept, Lease, Letters, NewLetter, Next, RunRow, Settle, StepKey, StepRow, StoreError,
};
use tombolo_core::run::{
    FailedSteps, Run, RunState, failed_steps, give_up_steps, given_up_letters,
};

use crate::desk::{self, Desk};
use crate::errors::{corrupt, permanent};
use crate::{Inner, cancels, flow, respond};

impl Desk {
    /// Ends a run that cannot go on, and its steps with it, as they are stored: what the run brought
    /// since then may be what cannot be stored. Only its calls are kept, because they were made.
    pub async fn give_up_run(
        &mut self,
        run: &Run,
        code: &str,
        message: String,
    ) -> Result<(), StoreError> {
        let RunRow { tenant, id, .. } = self.row;
        let store = &self.inner.ports.store;
        let stored = match desk::read(&self.inner, || store.run(tenant, id)).await {
            Ok(view) => view.and_then(|view| Run::restore(run.plan().clone(), view.steps).ok()),
            Err(StoreError::Corrupt(_)) => None,
            Err(error) => return Err(error),
        };
        let Some(mut run) = stored else {
            return self.give_up(Vec::new(), code, message).await;
        };
        for call in &self.owed.calls {
            let step = StepKey { node: call.node.clone(), item: call.item };
            run.count_attempt(&step, call.attempt);
        }
        let error = permanent(code, message);
        run.give_up(&error, self.now()).map_err(corrupt)?;
        let failure = self.failure_in_time(&failed_steps(run.rows()), &error).await?;
        let steps = run.take_changes();
        let letters = self.new_letters(&run, &steps);
        self.end_badly(steps, letters, failure, error).await
    }

    /// Ends a run of which there is no more than its stored steps: without a plan, or damaged.
    pub async fn give_up(
        &mut self,
        stored: Vec<StepRow>,
        code: &str,
        message: String,
    ) -> Result<(), StoreError> {
        let error = permanent(code, message);
        let (ended, open): (Vec<_>, _) = stored.into_iter().partition(|step| step.state.ended());
        let steps = give_up_steps(open, &error, self.now()).map_err(corrupt)?;
        let failed = failed_steps(ended.iter().chain(&steps));
        let failure = self.failure_in_time(&failed, &error).await?;
        let opened = given_up_letters(&steps).filter_map(|step| {
            Some(NewLetter {
                step: step.key(),
                workflow: self.row.workflow,
                state: step.state,
                error: step.error.clone()?,
            })
        });
        let letters = Letters { opened: opened.collect(), ..Letters::default() };
        self.end_badly(steps, letters, failure, error).await
    }

    /// The event of the failed run. Where there is no room to make it, that is waited for: how the
    /// run came to its end is known here alone.
    async fn failure_in_time(
        &self,
        failed: &FailedSteps,
        error: &StepError,
    ) -> Result<Option<Accept>, StoreError> {
        let make =
            || async { self.failure(failed, error).await.map_err(|busy| flow::overloaded(&busy)) };
        desk::read(&self.inner, make).await
    }

    async fn end_badly(
        &mut self,
        steps: Vec<StepRow>,
        letters: Letters,
        failure: Option<Accept>,
        error: StepError,
    ) -> Result<(), StoreError> {
        let (id, state) = (self.row.id, RunState::Failed);
        let answer = respond::from_end(id, state, None, Some(&error));
        let mut last = last(self.row.tenant, self.lease.clone(), steps, error, self.now());
        let owed = std::mem::take(&mut self.owed);
        (last.calls, last.journal, last.pauses) = (owed.calls, owed.journal, owed.pauses);
        last.signal = self.end_of_call(&last.next);
        last.letters = letters;
        last.starts = failure.into_iter().collect();
        match desk::write(&self.inner, last.clone()).await {
            // They may be what cannot be stored.
            Err(StoreError::Refused(_)) if !(last.calls.is_empty() && last.journal.is_empty()) => {
                last.calls.clear();
                last.journal.clear();
                desk::write(&self.inner, last.clone()).await?;
            }
            written => written?,
        }
        self.inner.news.note(&last);
        self.tell_caller(&last);
        cancels::tell_after(&self.inner, last.steps.iter(), &last);
        self.inner.wake.notify_one();
        self.inner.followers.answer(id, &answer);
        self.inner.followers.tell(self.row.tenant, id, &last.steps, state, self.now());
        Ok(())
    }
}

/// The last write of a run that cannot go on.
fn last(
    tenant: TenantId,
    lease: Lease,
    steps: Vec<StepRow>,
    error: StepError,
    now: Timestamp,
) -> Settle {
    let next = Next::End { state: RunState::Failed, output: None, error: Some(error) };
    Settle { steps, ..Settle::new(tenant, lease, next, now) }
}

/// Ends a run of which not even its own row, or its event, can be read. Whoever waits for it is told:
/// its caller by the store, which knows it.
pub(crate) async fn bury(inner: &Arc<Inner>, tenant: TenantId, lease: Lease, reason: String) {
    let (run, now) = (lease.run, inner.ports.clock.now());
    tracing::error!(%run, %reason, "the run cannot be read and is given up");
    let error = permanent("stored-run-damaged", reason);
    let answer = respond::from_end(run, RunState::Failed, None, Some(&error));
    let settle = last(tenant, lease, Vec::new(), error, now);
    if let Err(error) = desk::write(inner, settle).await {
        tracing::error!(%run, %error, "the run is left to the next claim");
        return;
    }
    inner.wake.notify_one();
    inner.followers.answer(run, &answer);
    inner.followers.tell(tenant, run, &[], RunState::Failed, now);
}
