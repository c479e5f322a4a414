//! How a run ends before its steps have: by request or deadline, by the death of its worker, or
//! because it cannot go on.

use super::model::{Run, StepAt};
use super::ready::failure_of;
use super::standing::is_postponed;
use super::state::{Illegal, StepEvent, StepState};
use crate::clock::Timestamp;
use crate::error::{ErrorClass, StepError};
use crate::ports::store::{StepKey, StepRow};

/// Of a step that was under way when its process ended.
const UNDER_WAY: &str = "the process ended between sending this call and recording its result; whether it took effect has to be looked up at the other side";

impl Run {
    /// Decides what became of attempts whose worker died: a step found running was never settled.
    pub fn recover(&mut self, now: Timestamp) -> Result<(), Illegal> {
        self.taken.clear();
        for at in self.under_way() {
            self.abandon_or_lose(at, unknown("worker-lost", UNDER_WAY), now)?;
        }
        Ok(())
    }

    /// Steps with an attempt that has begun and not ended.
    pub fn under_way(&self) -> Vec<StepAt> {
        self.places().filter(|at| self.step(*at).state == StepState::Running).collect()
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
        self.hasten(now);
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

    /// Steps that were postponed are next.
    fn hasten(&mut self, now: Timestamp) {
        for at in self.places() {
            if is_postponed(self.step(at)) {
                self.step_mut(at).due_at = Some(now);
                self.sort_in(at);
            }
        }
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

/// As [`Run::give_up`] for stored steps whose plan cannot be had, or that do not fit it. Nobody knows
/// their effects, so one that is under way is unknown; what waited or was next is dead of `error`, so
/// that it waits for a person. Items that had not begun go with their list. Gives the steps that
/// changed.
pub fn give_up_steps(
    stored: Vec<StepRow>,
    error: &StepError,
    now: Timestamp,
) -> Result<Vec<StepRow>, Illegal> {
    let open = stored.into_iter().filter(|step| !step.state.ended());
    open.map(|mut step| {
        let event = match step.state {
            StepState::Running => StepEvent::Lose,
            _ if step.item > 0 => StepEvent::Cancel,
            _ => StepEvent::Die,
        };
        step.state = step.state.after(event)?;
        step.error = match step.state {
            StepState::Unknown => Some(unknown("worker-lost", UNDER_WAY)),
            StepState::Dead => Some(error.clone()),
            _ => step.error,
        };
        step.due_at = None;
        step.ended_at = Some(now);
        Ok(step)
    })
    .collect()
}

/// Those of the steps of [`give_up_steps`] that wait for a person. A list does not if one of its items
/// does.
pub fn given_up_letters(steps: &[StepRow]) -> impl Iterator<Item = &StepRow> {
    let lost: Vec<&str> = steps
        .iter()
        .filter(|step| step.item > 0 && step.state == StepState::Unknown)
        .map(|step| step.node.as_str())
        .collect();
    steps.iter().filter(move |step| match step.state {
        StepState::Unknown => true,
        StepState::Dead => !lost.contains(&step.node.as_str()),
        _ => false,
    })
}

fn unknown(code: &str, message: &str) -> StepError {
    StepError::new(ErrorClass::UnknownOutcome, code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_steps_that_are_given_up_wait_for_a_person() {
        let step = |node: &str, item, state| StepRow { state, ..StepRow::pending(node, item) };
        let stored = vec![
            step("done", 0, StepState::Succeeded),
            step("next", 0, StepState::Pending),
            step("sent", 0, StepState::Running),
            step("list", 0, StepState::Waiting),
            step("list", 1, StepState::Succeeded),
            step("list", 2, StepState::Waiting),
            step("calls", 0, StepState::Waiting),
            step("calls", 1, StepState::Running),
        ];
        let error = StepError::new(ErrorClass::Permanent, "version-unusable", "it is gone");
        let given_up = give_up_steps(stored, &error, Timestamp(5)).unwrap();
        let states: Vec<_> =
            given_up.iter().map(|step| (step.node.as_str(), step.item, step.state)).collect();
        assert_eq!(
            states,
            [
                ("next", 0, StepState::Dead),
                ("sent", 0, StepState::Unknown),
                ("list", 0, StepState::Dead),
                ("list", 2, StepState::Cancelled),
                ("calls", 0, StepState::Dead),
                ("calls", 1, StepState::Unknown),
            ]
        );
        let letters: Vec<_> = given_up_letters(&given_up)
            .map(|step| (step.node.as_str(), step.item, step.error.as_ref().unwrap().code.as_str()))
            .collect();
        assert_eq!(
            letters,
            [
                ("next", 0, "version-unusable"),
                ("sent", 0, "worker-lost"),
                ("list", 0, "version-unusable"),
                ("calls", 1, "worker-lost"),
            ]
        );
    }
}
