//! Who is told of a run that ends badly: the workflows that take its failure, unless it descends from
//! a failure itself.

use serde_json::json;
use tombolo_core::error::StepError;
use tombolo_core::ports::intake::Subscriptions;
use tombolo_core::ports::store::{Accept, Next, StoreError};
use tombolo_core::run::{FailedSteps, Run, RunState, brief, failed_steps};

use crate::desk::Desk;
use crate::errors::corrupt;
use crate::starts::{self, Inside, Origin};

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

    /// The event of the failed run, if somebody takes it.
    pub(crate) async fn failure(&self, failed: FailedSteps, error: &StepError) -> Option<Accept> {
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
