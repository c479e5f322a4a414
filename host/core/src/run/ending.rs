//! How a run ends before its steps have: by request or deadline, by the death of its worker, or
//! because it cannot go on.

use super::model::Run;
use super::state::{Illegal, StepEvent, StepState};
use crate::clock::Timestamp;
use crate::error::{ErrorClass, StepError};
use crate::ports::store::StepRow;

impl Run {
    /// Decides what became of attempts whose worker died: a step found running was never settled.
    pub fn recover(&mut self, now: Timestamp) -> Result<(), Illegal> {
        for at in 0..self.steps.len() {
            if self.steps[at].state != StepState::Running {
                continue;
            }
            if self.plan.nodes[at].effect.repeatable() {
                self.change(at, StepEvent::Abandon)?;
            } else {
                let message = "the process ended between sending this call and recording its result; whether it took effect has to be looked up at the other side";
                self.lose(at, "worker-lost", message, now)?;
            }
        }
        Ok(())
    }

    /// The run ends now: whatever has not ended is cancelled. An unsafe attempt that is under way
    /// is unknown: it may have taken effect.
    pub fn cancel(&mut self, now: Timestamp) -> Result<(), Illegal> {
        for at in 0..self.steps.len() {
            let state = self.steps[at].state;
            if state.ended() {
                continue;
            }
            if state == StepState::Running && !self.plan.nodes[at].effect.repeatable() {
                let message = "the run was cancelled while this call was under way; whether it took effect has to be looked up at the other side";
                self.lose(at, "cancelled-under-way", message, now)?;
            } else {
                self.change(at, StepEvent::Cancel)?;
                self.steps[at].ended_at = Some(now);
            }
        }
        Ok(())
    }

    /// The run cannot go on: it ends as after the death of its worker. Values that are not stored
    /// yet are dropped, because they may be what cannot be stored.
    pub fn give_up(&mut self, now: Timestamp) -> Result<(), Illegal> {
        for (step, changed) in self.steps.iter_mut().zip(&self.changed) {
            if *changed {
                (step.input, step.output) = (None, None);
                step.logs.clear();
            }
        }
        self.recover(now)?;
        self.cancel(now)
    }

    fn lose(
        &mut self,
        at: usize,
        code: &str,
        message: &str,
        now: Timestamp,
    ) -> Result<(), Illegal> {
        self.change(at, StepEvent::Lose)?;
        let step = &mut self.steps[at];
        step.error = Some(StepError::new(ErrorClass::UnknownOutcome, code, message));
        step.ended_at = Some(now);
        Ok(())
    }
}

/// As [`Run::give_up`] for stored steps whose plan cannot be had. Nobody knows their effects, so one
/// that is under way is unknown. Gives the steps that changed.
pub fn give_up_steps(stored: Vec<StepRow>, now: Timestamp) -> Result<Vec<StepRow>, Illegal> {
    stored
        .into_iter()
        .filter(|step| !step.state.ended())
        .map(|mut step| {
            let under_way = step.state == StepState::Running;
            let event = if under_way { StepEvent::Lose } else { StepEvent::Cancel };
            step.state = step.state.after(event)?;
            step.ended_at = Some(now);
            Ok(step)
        })
        .collect()
}
