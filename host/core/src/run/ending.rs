//! How a run ends before its steps have: by request or deadline, by the death of its worker, or
//! because it cannot go on.

use super::model::{Run, StepAt};
use super::state::{Illegal, StepEvent, StepState};
use crate::clock::Timestamp;
use crate::error::{ErrorClass, StepError};
use crate::ports::store::StepRow;

impl Run {
    /// Decides what became of attempts whose worker died: a step found running was never settled.
    pub fn recover(&mut self, now: Timestamp) -> Result<(), Illegal> {
        self.taken.clear();
        for at in self.places() {
            if self.step(at).state != StepState::Running {
                continue;
            }
            if self.node(at).effect.repeatable() {
                self.change(at, StepEvent::Abandon)?;
                self.sort_in(at);
            } else {
                let message = "the process ended between sending this call and recording its result; whether it took effect has to be looked up at the other side";
                self.lose(at, "worker-lost", message, now)?;
            }
        }
        Ok(())
    }

    /// The attempt was cut off before it changed anything that another would change again.
    pub fn abandon(&mut self, at: StepAt) -> Result<(), Illegal> {
        self.change(at, StepEvent::Abandon)?;
        self.sort_in(at);
        Ok(())
    }

    /// The run ends now: whatever has not ended is cancelled. An unsafe attempt that is under way
    /// is unknown: it may have taken effect.
    pub fn cancel(&mut self, now: Timestamp) -> Result<(), Illegal> {
        self.taken.clear();
        for at in self.places() {
            let state = self.step(at).state;
            if state.ended() {
                continue;
            }
            // Of a list, only the items that had begun are worth a row.
            if at.is_item() && state == StepState::Pending && self.step(at).attempt == 0 {
                continue;
            }
            if state == StepState::Running && !self.node(at).effect.repeatable() {
                let message = "the run was cancelled while this call was under way; whether it took effect has to be looked up at the other side";
                self.lose(at, "cancelled-under-way", message, now)?;
            } else {
                self.change(at, StepEvent::Cancel)?;
                let step = self.step_mut(at);
                step.due_at = None;
                step.ended_at = Some(now);
                self.sort_in(at);
            }
        }
        Ok(())
    }

    /// The run cannot go on: it ends as after the death of its worker, and the steps that were next
    /// are dead of `error`, so that somebody can let it go on. Values that are not stored yet are
    /// dropped, because they may be what cannot be stored.
    pub fn give_up(&mut self, error: &StepError, now: Timestamp) -> Result<(), Illegal> {
        for at in self.places() {
            if self.is_changed(at) {
                self.set_input(at, None);
                self.set_output(at, None);
                self.set_logs(at, Vec::new());
            }
        }
        self.recover(now)?;
        for at in self.ready(now)? {
            self.refuse(at, error.clone(), now)?;
        }
        for at in self.places() {
            // A list waits for its items, which are dead now, or were not next.
            if self.step(at).state == StepState::Waiting {
                self.refuse(at, error.clone(), now)?;
            }
        }
        self.taken.clear();
        Ok(())
    }

    fn lose(
        &mut self,
        at: StepAt,
        code: &str,
        message: &str,
        now: Timestamp,
    ) -> Result<(), Illegal> {
        self.change(at, StepEvent::Lose)?;
        let step = self.step_mut(at);
        step.error = Some(StepError::new(ErrorClass::UnknownOutcome, code, message));
        step.ended_at = Some(now);
        self.sort_in(at);
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
