//! Where the node of an address stands.

use tombolo_core::clock::Timestamp;
use tombolo_core::json::Json;
use tombolo_core::ports::store::{StepRow, StoreError};
use tombolo_core::run::StepState;

use super::Asked;
use crate::app::App;

/// Where it stands.
pub(super) enum Standing {
    /// It waits, with what its step was given.
    Open {
        /// The node's `with`, resolved.
        input: Json,
        /// Until when.
        until: Option<Timestamp>,
    },
    /// Nothing is asked yet; an answer would be kept.
    NotYet,
    /// The first answer.
    Answered(Json),
    /// It cannot be answered any more.
    Over,
}

impl Asked {
    /// Where the node stands now.
    pub async fn standing(&self, app: &App) -> Result<Standing, StoreError> {
        let step = self.view.steps.iter().find(|step| step.key() == self.step);
        if let Some(ended) = step.and_then(ended) {
            return Ok(ended);
        }
        let run = &self.view.run;
        if run.state.ended() {
            return Ok(Standing::Over);
        }
        let signals = app.ports.store.signals(run.tenant, run.id).await?;
        if let Some(signal) = signals.into_iter().find(|signal| signal.step == self.step) {
            return Ok(Standing::Answered(signal.body));
        }
        Ok(match step.filter(|step| step.state == StepState::Waiting) {
            Some(step) => {
                Standing::Open { input: step.input.clone().unwrap_or_default(), until: step.due_at }
            }
            None => Standing::NotYet,
        })
    }
}

fn ended(step: &StepRow) -> Option<Standing> {
    match step.state {
        StepState::Succeeded => Some(Standing::Answered(step.output.clone().unwrap_or_default())),
        state if state.ended() => Some(Standing::Over),
        _ => None,
    }
}
