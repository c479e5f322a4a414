//! What happens to a step while its run is worked on: it starts, waits, and comes to an end.

use super::builtin;
use super::model::{Run, StepAt};
use super::retry::{Treatment, Tried, treat};
use super::state::{Illegal, StepEvent, StepState};
use crate::clock::Timestamp;
use crate::error::{ErrorClass, StepError};
use crate::id::{ContentHash, RunId};
use crate::json::Json;
use crate::ports::sandbox::{LogLine, Outcome};
use crate::workflow::{PlanNode, Uses};

/// Said of a step that has attempts left and no time for them.
const NO_TIME_LEFT: &str =
    " (not tried again: the next attempt would be due later than the node's `retry.within` allows)";

/// What is known of a failed attempt beside its error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Failed {
    /// What the node's `retry.if` says, if it has one.
    pub judged: Option<bool>,
    /// Now.
    pub now: Timestamp,
    /// A random number from 0 to 1.
    pub jitter: f64,
}

impl Run {
    /// The node's condition is false, or nothing leads to it.
    pub fn skip(&mut self, at: impl Into<StepAt>, now: Timestamp) -> Result<(), Illegal> {
        let at = at.into();
        self.change(at, StepEvent::Skip)?;
        let step = self.step_mut(at);
        (step.error, step.due_at, step.ended_at) = (None, None, Some(now));
        self.sort_in(at);
        Ok(())
    }

    /// An attempt starts. A built-in that gives its input back keeps none.
    pub fn start(
        &mut self,
        at: impl Into<StepAt>,
        input: Option<Json>,
        now: Timestamp,
    ) -> Result<(), Illegal> {
        let at = at.into();
        self.change(at, StepEvent::Start)?;
        let plugin = plugin_of(self.node(at));
        let step = self.step_mut(at);
        step.attempt += 1;
        step.started_at.get_or_insert(now);
        step.due_at = None;
        step.plugin = plugin;
        self.set_input(at, input);
        self.sort_in(at);
        Ok(())
    }

    /// The attempt gave an output.
    pub fn succeed(
        &mut self,
        at: impl Into<StepAt>,
        outcome: Outcome,
        logs: Vec<LogLine>,
        now: Timestamp,
    ) -> Result<(), Illegal> {
        let at = at.into();
        self.change(at, StepEvent::Succeed)?;
        self.set_output(at, Some(outcome.output));
        let step = self.step_mut(at);
        step.spent += 1;
        step.ports = outcome.ports;
        step.error = None;
        step.ended_at = Some(now);
        self.set_logs(at, logs);
        self.sort_in(at);
        Ok(())
    }

    /// The step waits: until `due`, or for something that comes from outside.
    pub fn suspend(
        &mut self,
        at: impl Into<StepAt>,
        due: Option<Timestamp>,
    ) -> Result<(), Illegal> {
        let at = at.into();
        self.change(at, StepEvent::Suspend)?;
        self.step_mut(at).due_at = due;
        self.sort_in(at);
        Ok(())
    }

    /// The host is too busy for the step, which has done nothing: it begins anew at `due`, and no
    /// attempt is spent.
    pub fn postpone(
        &mut self,
        at: impl Into<StepAt>,
        error: StepError,
        due: Timestamp,
    ) -> Result<(), Illegal> {
        let at = at.into();
        if self.step(at).state == StepState::Running {
            self.change(at, StepEvent::Abandon)?;
        }
        self.taken.remove(&at);
        let step = self.step_mut(at);
        step.error = Some(error);
        step.due_at = Some(due);
        self.sort_in(at);
        Ok(())
    }

    /// The step waits for the end of a run that it started.
    pub fn wait_for_run(&mut self, at: impl Into<StepAt>, child: RunId) -> Result<(), Illegal> {
        let at = at.into();
        // First: where an item waits is told by it.
        self.step_mut(at).child = Some(child);
        self.suspend(at, None)
    }

    /// The time that a built-in waited for has come. Nothing, if it does not wait for that any more:
    /// what it waited for came first.
    pub fn time_has_come(
        &mut self,
        at: impl Into<StepAt>,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<(), Illegal> {
        let at = at.into();
        let step = self.step(at);
        match self.node(at).builtin() {
            Some(builtin) if step.state == StepState::Waiting && step.due_at == Some(due) => {
                self.resume(at, builtin::due(builtin, due), now)
            }
            _ => Ok(()),
        }
    }

    /// What the step has waited for is there, or will not come.
    pub fn resume(
        &mut self,
        at: impl Into<StepAt>,
        result: Result<Outcome, StepError>,
        now: Timestamp,
    ) -> Result<(), Illegal> {
        let at = at.into();
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => return self.refuse(at, error, now),
        };
        self.change(at, StepEvent::Complete)?;
        self.set_output(at, Some(outcome.output));
        let step = self.step_mut(at);
        step.spent += 1;
        step.ports = outcome.ports;
        step.error = None;
        step.due_at = None;
        step.ended_at = Some(now);
        self.sort_in(at);
        Ok(())
    }

    /// The attempt failed. Says what follows.
    pub fn fail(
        &mut self,
        at: impl Into<StepAt>,
        mut error: StepError,
        logs: Vec<LogLine>,
        failed: Failed,
    ) -> Result<Treatment, Illegal> {
        let at = at.into();
        let treatment = self.treatment(at, &error, failed);
        if treatment == Treatment::TooLate {
            error.message.push_str(NO_TIME_LEFT);
        }
        let counts = !matches!(error.class, ErrorClass::RateLimited)
            && !matches!(treatment, Treatment::Pause);
        self.change(
            at,
            match treatment {
                Treatment::Retry { .. } | Treatment::Pause => StepEvent::Delay,
                Treatment::Dead | Treatment::TooLate => StepEvent::Die,
                Treatment::Unknown => StepEvent::Lose,
            },
        )?;
        let step = self.step_mut(at);
        step.spent += u32::from(counts);
        step.error = Some(error);
        match treatment {
            Treatment::Retry { at: due } => step.due_at = Some(due),
            Treatment::Pause => step.due_at = None,
            Treatment::Dead | Treatment::TooLate | Treatment::Unknown => {
                step.ended_at = Some(failed.now);
            }
        }
        self.set_logs(at, logs);
        self.sort_in(at);
        Ok(treatment)
    }

    fn treatment(&self, at: StepAt, error: &StepError, failed: Failed) -> Treatment {
        let (node, step) = (self.node(at), self.step(at));
        let spent = step.spent + u32::from(error.class != ErrorClass::RateLimited);
        let attempts = step.attempt.saturating_sub(step.redriven_after);
        let since = step.started_at.unwrap_or(failed.now);
        let tried = Tried { attempts, spent, since };
        treat(error, node, tried, failed)
    }

    /// Lets steps that wait for a paused connection try again at once, where it is mended.
    pub fn release(&mut self, now: Timestamp, mended: impl Fn(&str) -> bool) {
        for at in self.places() {
            let connection = self.node(at).connection.as_deref();
            if self.step(at).waits_for_connection() && connection.is_some_and(&mended) {
                self.step_mut(at).due_at = Some(now);
                self.sort_in(at);
            }
        }
    }

    /// The step cannot start, or what it waits for will not come.
    pub fn refuse(
        &mut self,
        at: impl Into<StepAt>,
        error: StepError,
        now: Timestamp,
    ) -> Result<(), Illegal> {
        let at = at.into();
        self.change(at, StepEvent::Die)?;
        let step = self.step_mut(at);
        step.error = Some(error);
        step.due_at = None;
        step.ended_at = Some(now);
        self.sort_in(at);
        Ok(())
    }
}

fn plugin_of(node: &PlanNode) -> Option<ContentHash> {
    match &node.uses {
        Uses::Plugin { hash, .. } => Some(*hash),
        Uses::Builtin(_) => None,
    }
}
