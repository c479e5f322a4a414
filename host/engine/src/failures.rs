//! Who is told of a run that ends badly: the workflows that take its failure, unless it descends from
//! a failure itself.

use serde_json::json;
use tombolo_core::error::StepError;
use tombolo_core::ports::intake::Subscriptions;
use tombolo_core::ports::store::Accept;
use tombolo_core::run::{FailedSteps, Run, brief, failed_steps};

use crate::desk::Desk;
use crate::starts::{self, Inside, Origin};

impl Desk {
    /// Lets the workflows that take the failure of this one start with the next settle.
    ///
    /// # Errors
    /// See [`starts::accept`].
    pub(crate) async fn announce(&mut self, run: &Run, error: &StepError) -> Result<(), StepError> {
        let accept = self.failure(&failed_steps(run.rows()), error).await?;
        self.owed.starts.extend(accept);
        Ok(())
    }

    /// The event of the failed run, if somebody takes it.
    ///
    /// # Errors
    /// See [`starts::accept`].
    pub(crate) async fn failure(
        &self,
        failed: &FailedSteps,
        error: &StepError,
    ) -> Result<Option<Accept>, StepError> {
        let (ports, row) = (&self.inner.ports, &self.row);
        let origin = Origin { row, payload: self.event.payload.value() };
        if origin.descends_from_failure() {
            return Ok(None);
        }
        let Some(workflow) = ports.registry.name(row.workflow) else {
            return Ok(None);
        };
        let subscribers = ports.registry.failure(row.tenant, &workflow);
        if subscribers.is_empty() {
            return Ok(None);
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
        starts::accept(ports, origin, inside, now).await.map(Some)
    }
}
