//! How a run ends before its steps have: by request or deadline, by the death of its worker, or
//! because it cannot go on.

use super::model::{Run, StepAt};
use super::ready::failure_of;
use super::state::{Illegal, StepEvent, StepState};
use crate::clock::Timestamp;
use crate::error::{ErrorClass, StepError};
use crate::ports::store::{StepKey, StepRow};

impl Run {
    /// Decides what became of attempts whose worker died: a step found running was never settled.
    pub fn recover(&mut self, now: Timestamp) -> Result<(), Illegal> {
        self.taken.clear();
        for at in self.places() {
            if self.step(at).state != StepState::Running {
                continue;
            }
            let message = "the process ended between sending this call and recording its result; whether it took effect has to be looked up at the other side";
            self.abandon_or_lose(at, unknown("worker-lost", message), now)?;
        }
        Ok(())
    }

    /// The result of the attempt is not known here: it is repeated where that is safe.
    fn abandon_or_lose(
        &mut self,
        at: StepAt,
        error: StepError,
        now: Timestamp,
    ) -> Result<(), Illegal> {
        if self.node(at).effect.repeatable() { self.abandon(at) } else { self.lose(at, error, now) }
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
                self.lose(at, unknown("cancelled-under-way", message), now)?;
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

    /// Counts an attempt whose result is lost, but whose calls are on record: the next one has another
    /// number.
    pub fn count_attempt(&mut self, step: &StepKey, attempt: u32) {
        let at = self.find(&step.node, step.item);
        if let Some(at) = at.filter(|at| self.step(*at).attempt < attempt) {
            self.step_mut(at).attempt = attempt;
        }
    }

    /// The run, which is as it is stored, cannot go on: it ends as after the death of its worker, and
    /// the nodes that were next are dead of `error`, so that somebody can let it go on.
    pub fn give_up(&mut self, error: &StepError, now: Timestamp) -> Result<(), Illegal> {
        let lost = "what this call brought could not be recorded; whether it took effect has to be looked up at the other side";
        self.taken.clear();
        for at in self.places() {
            if self.step(at).state == StepState::Running {
                self.abandon_or_lose(at, unknown(&error.code, lost), now)?;
            }
        }
        // Items that have not begun are left to their list: a redrive of it lets them begin.
        for at in self.ready(now)?.into_iter().filter(|at| !at.is_item()) {
            self.refuse(at, error.clone(), now)?;
        }
        for at in self.places() {
            if self.step(at).state != StepState::Waiting {
                continue;
            }
            let unknown = self.items.get(&at.node).filter(|_| !at.is_item());
            match unknown.and_then(|items| items.first_unknown()).map(failure_of) {
                Some(unknown) => self.lose(at, unknown, now)?,
                None => self.refuse(at, error.clone(), now)?,
            }
        }
        self.taken.clear();
        Ok(())
    }

    /// Nobody knows whether the step took effect.
    pub(super) fn lose(
        &mut self,
        at: StepAt,
        error: StepError,
        now: Timestamp,
    ) -> Result<(), Illegal> {
        self.change(at, StepEvent::Lose)?;
        let step = self.step_mut(at);
        step.error = Some(error);
        step.ended_at = Some(now);
        self.sort_in(at);
        Ok(())
    }
}

fn unknown(code: &str, message: &str) -> StepError {
    StepError::new(ErrorClass::UnknownOutcome, code, message)
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
