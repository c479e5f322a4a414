//! What a person may do with a run that does not go on: let its dead steps try again, or say what
//! became of a step that nobody knows of.

use super::model::{Run, StepAt};
use super::state::{Illegal, StepEvent, StepState};
use crate::clock::Timestamp;
use crate::json::Json;
use crate::ports::sandbox::Outcome;
use crate::ports::store::StepKey;

/// How steps are redriven.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Redrive {
    /// Only this step. None: every dead one.
    pub step: Option<StepKey>,
    /// What to run it with instead of its input; only with `step`.
    pub input: Option<Json>,
    /// Make the calls again that succeeded in earlier attempts, under a new idempotency key.
    pub forget_calls: bool,
    /// Repeat unsafe calls whose outcome nobody knows.
    pub repeat_unknown: bool,
}

/// Why a run cannot be repaired in that way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotRepair {
    /// The run has no such step.
    #[error("the run has no step `{node}` (item {item})")]
    NoSuchStep {
        /// The node.
        node: String,
        /// The item.
        item: u32,
    },
    /// It is neither dead nor unknown.
    #[error("the step `{node}` is {}: only a step that is dead or unknown can be repaired", state.name())]
    NotDead {
        /// The node.
        node: String,
        /// Where it stands.
        state: StepState,
    },
    /// No step of the run is dead.
    #[error("no step of the run is dead: there is nothing to redrive")]
    NothingDead,
    /// Nobody knows whether it took effect.
    #[error(
        "nobody knows whether the unsafe step `{node}` took effect: look it up at the other side, then say its output (resolve), or repeat it (`repeat_unknown`)"
    )]
    Unknown {
        /// The node.
        node: String,
    },
    /// An input without a step.
    #[error("a new input belongs to one step: name it")]
    InputWithoutStep,
    /// A state that the laws do not know.
    #[error(transparent)]
    Illegal(#[from] Illegal),
}

impl CannotRepair {
    /// Stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoSuchStep { .. } => "no-such-step",
            Self::NotDead { .. } => "step-not-dead",
            Self::NothingDead => "nothing-dead",
            Self::Unknown { .. } => "outcome-unknown",
            Self::InputWithoutStep => "input-without-step",
            Self::Illegal(_) => "stored-run-damaged",
        }
    }
}

impl Run {
    /// Lets dead steps try again, and gives those that will. What was cut off with the run goes on,
    /// too.
    pub fn redrive(&mut self, redrive: &Redrive) -> Result<Vec<StepAt>, CannotRepair> {
        if redrive.input.is_some() && redrive.step.is_none() {
            return Err(CannotRepair::InputWithoutStep);
        }
        let chosen = match &redrive.step {
            Some(key) => vec![self.repairable(key)?],
            None => self.dead_letters(),
        };
        if chosen.is_empty() {
            // It was cut off before anything died.
            let resumed = self.resume_cancelled()?;
            return if resumed.is_empty() { Err(CannotRepair::NothingDead) } else { Ok(resumed) };
        }
        if !redrive.repeat_unknown
            && let Some(at) = chosen.iter().find(|at| self.must_not_repeat(**at))
        {
            return Err(CannotRepair::Unknown { node: self.node(*at).name.clone() });
        }
        for at in &chosen {
            self.reopen(*at, redrive.forget_calls)?;
            if let Some(input) = &redrive.input {
                self.set_input(*at, Some(input.clone()));
            }
        }
        self.resume_cancelled()?;
        Ok(chosen)
    }

    /// A step that was let go on waits for the end of its run again, as that goes on, too.
    pub fn wait_again(&mut self, at: StepAt) -> Result<(), Illegal> {
        self.change(at, StepEvent::Start)?;
        self.suspend(at, None)
    }

    /// What was cut off with the run goes on where it was.
    fn resume_cancelled(&mut self) -> Result<Vec<StepAt>, Illegal> {
        let cut_off = |at: &StepAt| self.step(*at).state == StepState::Cancelled;
        let resumed: Vec<StepAt> = self.places().filter(cut_off).collect();
        for at in &resumed {
            self.reopen(*at, false)?;
        }
        Ok(resumed)
    }

    /// Somebody has looked up what became of a step, or done its work: it has this output.
    pub fn resolve(
        &mut self,
        key: &StepKey,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<StepAt, CannotRepair> {
        let at = self.repairable(key)?;
        self.change(at, StepEvent::Resolve)?;
        self.set_output(at, Some(outcome.output));
        let step = self.step_mut(at);
        step.ports = outcome.ports;
        step.error = None;
        step.ended_at = Some(now);
        self.sort_in(at);
        if at.is_item() {
            self.revive_list(at)?;
        }
        Ok(at)
    }

    /// Steps that wait for a person.
    pub fn dead_letters(&self) -> Vec<StepAt> {
        self.places().filter(|at| self.is_dead_letter(self.step(*at))).collect()
    }

    fn repairable(&self, key: &StepKey) -> Result<StepAt, CannotRepair> {
        let at = self
            .find(&key.node, key.item)
            .ok_or_else(|| CannotRepair::NoSuchStep { node: key.node.clone(), item: key.item })?;
        match self.step(at).state {
            StepState::Dead | StepState::Unknown => Ok(at),
            state => Err(CannotRepair::NotDead { node: key.node.clone(), state }),
        }
    }

    fn must_not_repeat(&self, at: StepAt) -> bool {
        self.step(at).state == StepState::Unknown && !self.node(at).effect.repeatable()
    }

    fn reopen(&mut self, at: StepAt, forget_calls: bool) -> Result<(), Illegal> {
        self.change(at, StepEvent::Redrive)?;
        let step = self.step_mut(at);
        step.spent = 0;
        step.due_at = None;
        step.ended_at = None;
        step.edits += u32::from(forget_calls);
        self.begin_anew(at);
        if at.is_item() {
            self.sort_in(at);
            return self.revive_list(at);
        }
        if self.node(at).each.is_some() {
            if self.items.contains_key(&at.node) && self.step(at).output.is_none() {
                // It was cut off in the middle of its list.
                self.change(at, StepEvent::Start)?;
                self.change(at, StepEvent::Suspend)?;
            } else {
                self.items.remove(&at.node);
                self.set_input(at, None);
            }
        }
        Ok(())
    }

    /// The time that a node gives its attempts (`retry.within`) begins with the next one.
    fn begin_anew(&mut self, at: StepAt) {
        let node = self.node(at);
        let attempts = node.builtin().is_none() && (at.is_item() || node.each.is_none());
        if attempts && node.retry.within.is_some() {
            self.step_mut(at).started_at = None;
        }
    }

    /// A for-each node goes on when one of its items does.
    fn revive_list(&mut self, item: StepAt) -> Result<(), Illegal> {
        let at = StepAt::from(item.node);
        if self.step(at).state == StepState::Dead {
            self.change(at, StepEvent::Redrive)?;
            self.change(at, StepEvent::Start)?;
            self.change(at, StepEvent::Suspend)?;
            let step = self.step_mut(at);
            step.error = None;
            step.ended_at = None;
        }
        Ok(())
    }
}
