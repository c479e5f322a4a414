//! The end of runs that cannot go on.

use tombolo_core::clock::Timestamp;
use tombolo_core::error::StepError;
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::{
    Lease, Letters, Next, RunRow, Settle, StepKey, StepRow, StoreError,
};
use tombolo_core::run::{Run, RunState};

use crate::desk::{self, Desk};
use crate::errors::{corrupt, permanent};
use crate::respond;

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
        let stored = match self.inner.ports.store.run(tenant, id).await {
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
        let steps = run.take_changes();
        let letters = self.new_letters(&run, &steps);
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
        let owed = std::mem::take(&mut self.owed);
        (last.calls, last.journal, last.pauses) = (owed.calls, owed.journal, owed.pauses);
        last.signal = self.end_of_call(&last.next);
        last.letters = letters;
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
        self.inner.wake.notify_one();
        self.inner.followers.answer(id, &answer);
        self.inner.followers.tell(self.row.tenant, id, &last.steps, state, self.now());
        Ok(())
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
