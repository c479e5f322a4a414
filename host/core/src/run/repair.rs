//! What a person may do with a run that does not go on: let its dead steps try again, or say what
//! became of a step that nobody knows of.

use std::collections::BTreeSet;

use super::cannot::CannotRepair;
use super::model::{Run, StepAt};
use super::state::{Illegal, StepEvent, StepState};
use crate::clock::Timestamp;
use crate::json::Json;
use crate::ports::sandbox::Outcome;
use crate::ports::store::{StepKey, StepRow};
use crate::workflow::NodeIndex;

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

/// What a repair lets go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// Steps that a person let go on.
    pub chosen: Vec<StepAt>,
    /// Those that had been cut off with the run, and go on with them.
    pub resumed: Vec<StepAt>,
}

impl Repaired {
    /// All that go on.
    pub fn all(&self) -> impl Iterator<Item = StepAt> + '_ {
        self.chosen.iter().chain(&self.resumed).copied()
    }
}

impl Run {
    /// Lets dead steps try again; of all of them, those that are not in `given_up`. What was cut off
    /// with the run goes on, too.
    pub fn redrive(
        &mut self,
        redrive: &Redrive,
        given_up: &BTreeSet<StepKey>,
    ) -> Result<Repaired, CannotRepair> {
        let chosen = self.choose(redrive, given_up)?;
        if chosen.is_empty() {
            // It was cut off before anything died: that is what goes on.
            let chosen = self.resume_cancelled()?;
            let nothing = chosen.is_empty();
            let resumed = Vec::new();
            return if nothing {
                Err(CannotRepair::NothingDead)
            } else {
                Ok(Repaired { chosen, resumed })
            };
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
                // The run that was called with the old one is left alone.
                self.step_mut(*at).child = None;
            }
        }
        let resumed = self.resume_cancelled()?;
        Ok(Repaired { chosen, resumed })
    }

    /// The steps that a redrive is for, a list before its items.
    fn choose(
        &self,
        redrive: &Redrive,
        given_up: &BTreeSet<StepKey>,
    ) -> Result<Vec<StepAt>, CannotRepair> {
        let mut chosen: BTreeSet<StepAt> = match (&redrive.step, &redrive.input) {
            (None, Some(_)) => return Err(CannotRepair::InputWithoutStep),
            (Some(key), input) => {
                let at = self.repairable(key)?;
                if input.is_some() {
                    self.takes_input(at, redrive)?;
                }
                [at].into()
            }
            (None, None) => self.dead_letters().into_iter().collect(),
        };
        // A list goes on with its items: those that failed would fail it again.
        for list in chosen.clone().into_iter().filter(|at| !at.is_item()) {
            chosen.extend(self.failed_items(list.node));
        }
        if redrive.step.is_none() {
            chosen.retain(|at| !given_up.contains(&self.step(*at).key()));
        }
        Ok(chosen.into_iter().collect())
    }

    fn failed_items(&self, node: NodeIndex) -> Vec<StepAt> {
        let failed = self.items.get(&node).into_iter().flat_map(|items| items.failed());
        let failed = failed.filter(|row| row.state != StepState::Cancelled);
        failed.map(|row| StepAt { node, item: row.item }).collect()
    }

    fn takes_input(&self, at: StepAt, redrive: &Redrive) -> Result<(), CannotRepair> {
        let node = self.node(at);
        if node.each.is_some() && !at.is_item() {
            return Err(CannotRepair::InputOfList { node: node.name.clone() });
        }
        match self.step(at).child {
            Some(child) if !redrive.forget_calls => {
                Err(CannotRepair::InputOfCall { node: node.name.clone(), child })
            }
            _ => Ok(()),
        }
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

    /// Somebody has looked up what became of a step, or done its work: it has this output. What was
    /// cut off with the run goes on.
    pub fn resolve(
        &mut self,
        key: &StepKey,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<Repaired, CannotRepair> {
        let at = self.repairable(key)?;
        let items = self.items.get(&at.node).filter(|_| !at.is_item());
        if let Some(items) = items {
            let node = key.node.clone();
            return Err(match items.first_unknown() {
                Some(unknown) => CannotRepair::ItemUnknown { node, item: unknown.item },
                None => CannotRepair::OutputOfList { node },
            });
        }
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
        let resumed = self.resume_cancelled()?;
        Ok(Repaired { chosen: vec![at], resumed })
    }

    /// Steps that wait for a person.
    pub fn dead_letters(&self) -> Vec<StepAt> {
        self.places().filter(|at| self.is_dead_letter(self.step(*at))).collect()
    }

    fn repairable(&self, key: &StepKey) -> Result<StepAt, CannotRepair> {
        let at = self
            .find(&key.node, key.item)
            .ok_or_else(|| CannotRepair::NoSuchStep { node: key.node.clone(), item: key.item })?;
        let done = |list: &StepRow| list.state == StepState::Succeeded;
        match self.step(at).state {
            StepState::Dead | StepState::Unknown if at.is_item() && done(self.step(at.node)) => {
                Err(CannotRepair::ListDone { node: key.node.clone(), item: key.item })
            }
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
        step.redriven_after = step.attempt;
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
                self.step_mut(at).error = None;
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
        if matches!(self.step(at).state, StepState::Dead | StepState::Unknown) {
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
