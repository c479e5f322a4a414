//! Runs that end badly: what is written last, and who is told. Each starts the workflows that take its
//! failure, unless it descends from a failure itself.

use std::sync::Arc;

use serde_json::json;
use tombolo_core::error::StepError;
use tombolo_core::id::TenantId;
use tombolo_core::ports::intake::Subscriptions;
use tombolo_core::ports::store::{Accept, Lease, Letters, NewLetter, Next, StepRow, StoreError};
use tombolo_core::run::{
    FailedSteps, Run, RunState, brief, failed_steps, give_up_steps, given_up_letters,
};

use crate::desk::{self, Desk};
use crate::errors::{corrupt, permanent};
use crate::starts::{self, Inside, Origin};
use crate::{Inner, respond};

impl Desk {
    /// Lets the workflows that take the failure of this one start with the next settle.
    pub(crate) async fn announce(&mut self, run: &Run, error: &StepError) {
        let failed = failed_steps(run.rows());
        let accept = self.failure(failed, error).await;
        self.owed.starts.extend(accept);
    }

    /// Ends the run by request, or by its deadline: then with an error, which is told.
    pub async fn cancel(
        &mut self,
        run: &mut Run,
        error: Option<StepError>,
    ) -> Result<(), StoreError> {
        run.cancel(self.now()).map_err(corrupt)?;
        if let Some(error) = &error {
            self.announce(run, error).await;
        }
        self.settle(run, Next::End { state: RunState::Cancelled, output: None, error }).await
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
        let failure = self.failure(failed_steps(run.rows()), &error).await;
        let steps = run.take_changes();
        let letters = self.new_letters(run, &steps);
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
        let failure = self.failure(failed, &error).await;
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

    /// The event of the failed run, if somebody takes it.
    async fn failure(&self, failed: FailedSteps, error: &StepError) -> Option<Accept> {
        let (ports, row) = (&self.inner.ports, &self.row);
        let origin = Origin { row, payload: self.event.payload.value() };
        if origin.descends_from_failure() {
            return None;
        }
        let workflow = ports.registry.name(row.workflow)?;
        let subscribers = ports.registry.failure(row.tenant, &workflow);
        if subscribers.is_empty() {
            return None;
        }
        let now = self.now();
        let trigger = json!({
            "run": row.id, "workflow": workflow, "version": row.version, "error": brief(error),
            "steps": failed.told, "failed_steps": failed.count,
            "trigger": origin.payload["trigger"],
        });
        let inside = Inside {
            kind: starts::FAILURE,
            name: workflow,
            // A run that was redriven may fail again.
            dedupe_key: format!("{}/{}", row.id, now.0),
            trigger,
            subscribers,
            parent: None,
            // Nothing descends from two failures, so the way to this one need not count.
            depth: 0,
            may_join: true,
        };
        Some(starts::accept(ports, origin, inside, now).await)
    }
}

/// Ends a run of which not even its own row, or its event, can be read. Whoever waits for it is told:
/// its caller by the store, which knows it.
pub(crate) async fn bury(inner: &Arc<Inner>, tenant: TenantId, lease: Lease, reason: String) {
    let (run, now) = (lease.run, inner.ports.clock.now());
    tracing::error!(%run, %reason, "the run cannot be read and is given up");
    let error = permanent("stored-run-damaged", reason);
    let answer = respond::from_end(run, RunState::Failed, None, Some(&error));
    let settle = desk::last(tenant, lease, Vec::new(), error, now);
    if let Err(error) = desk::write(inner, settle).await {
        tracing::error!(%run, %error, "the run is left to the next claim");
        return;
    }
    inner.wake.notify_one();
    inner.followers.answer(run, &answer);
    inner.followers.tell(tenant, run, &[], RunState::Failed, now);
}
