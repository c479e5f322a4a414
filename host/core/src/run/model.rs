//! One run in memory: its steps, which of them can start, and how it ends.
//!
//! Live work and recovery after a crash change steps through the same methods. Knows no clock and
//! no randomness: `now` and `jitter` come with the call.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::retry::{Treatment, Tried, treat};
use super::state::{Illegal, RunState, StepEvent, StepState};
use crate::clock::Timestamp;
use crate::error::{ErrorClass, StepError};
use crate::id::ContentHash;
use crate::json::Json;
use crate::ports::sandbox::{LogLine, Outcome};
use crate::ports::store::StepRow;
use crate::workflow::{Builtin, Edge, Join, NodeIndex, OnError, Plan, PlanNode, Port, Uses};

/// Most that the inputs and outputs of one run may take together, in bytes of JSON text.
pub const MAX_RUN_BYTES: usize = 64 * 1024 * 1024;

/// A run and its steps.
#[derive(Debug, Clone)]
pub struct Run {
    pub(super) plan: Arc<Plan>,
    /// By position of the node.
    pub(super) steps: Vec<StepRow>,
    /// Which steps differ from what is stored.
    pub(super) changed: Vec<bool>,
}

/// Stored steps that do not fit their plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stored step `{node}` belongs to no node of its workflow version")]
pub struct Broken {
    /// The step's node.
    pub node: String,
}

/// Where a run stands when no step is ready.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// Attempts are under way.
    Busy,
    /// Every step that goes on waits for a time; this is the first.
    Parked {
        /// When the first is due.
        due: Timestamp,
    },
    /// Nothing can go on.
    Ended {
        /// `succeeded` or `failed`.
        state: RunState,
        /// What the run answers.
        output: Option<Json>,
        /// Why it failed: the first dead or unknown step's error.
        error: Option<StepError>,
    },
}

/// What an edge tells the node at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    /// Not known yet.
    Open,
    /// Taken.
    Live,
    /// Not taken, and never will be.
    Dead,
    /// Not taken because of a failure that nobody handles; a redrive may still take it.
    Blocked,
}

/// What a node that has not started should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Wait,
    Start,
    Skip,
}

impl Run {
    /// A run as the store has it; steps that are not stored yet are pending.
    pub fn restore(plan: Arc<Plan>, stored: Vec<StepRow>) -> Result<Self, Broken> {
        let mut steps: Vec<StepRow> = plan.nodes.iter().map(pending).collect();
        for row in stored {
            let Some(at) = plan.index.get(&row.node) else {
                return Err(Broken { node: row.node });
            };
            steps[*at] = row;
        }
        let changed = vec![false; steps.len()];
        Ok(Self { plan, steps, changed })
    }

    /// The plan it follows.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The node at that position.
    pub fn node(&self, at: NodeIndex) -> &PlanNode {
        &self.plan.nodes[at]
    }

    /// The step of the node at that position.
    pub fn step(&self, at: NodeIndex) -> &StepRow {
        &self.steps[at]
    }

    /// Skips what is not needed, and returns the steps that can start or try again now, in the
    /// plan's order. Calling it again without a change returns the same steps.
    pub fn ready(&mut self, now: Timestamp) -> Result<Vec<NodeIndex>, Illegal> {
        let mut ready = Vec::new();
        // Nodes stand in topological order, so one pass carries a skip to the end of its path.
        for at in 0..self.steps.len() {
            match self.steps[at].state {
                StepState::Pending => match self.verdict(at) {
                    Verdict::Wait => {}
                    Verdict::Start => ready.push(at),
                    Verdict::Skip => self.skip(at, now)?,
                },
                StepState::Waiting if self.steps[at].due_at.is_none_or(|due| due <= now) => {
                    ready.push(at)
                }
                _ => {}
            }
        }
        Ok(ready)
    }

    fn verdict(&self, at: NodeIndex) -> Verdict {
        let node = &self.plan.nodes[at];
        if node.inputs.is_empty() {
            return Verdict::Start;
        }
        let signals: Vec<Signal> = node.inputs.iter().map(|edge| self.signal(edge)).collect();
        let any = |wanted: Signal| signals.contains(&wanted);
        match node.join {
            Join::Any if any(Signal::Live) => Verdict::Start,
            _ if any(Signal::Open) || any(Signal::Blocked) => Verdict::Wait,
            _ if any(Signal::Live) => Verdict::Start,
            _ => Verdict::Skip,
        }
    }

    fn signal(&self, edge: &Edge) -> Signal {
        let step = &self.steps[edge.from];
        let node = &self.plan.nodes[edge.from];
        let taken = |yes: bool| if yes { Signal::Live } else { Signal::Dead };
        match step.state {
            StepState::Pending | StepState::Running | StepState::Waiting => Signal::Open,
            StepState::Skipped | StepState::Cancelled => Signal::Dead,
            StepState::Succeeded => match &edge.port {
                Port::Done => Signal::Live,
                Port::Error => Signal::Dead,
                Port::Named(port) => taken(step.ports.contains(port)),
            },
            StepState::Dead => match &edge.port {
                Port::Error => Signal::Live,
                Port::Done if node.on_error == OnError::Continue => Signal::Live,
                _ if node.failure_is_handled() => Signal::Dead,
                _ => Signal::Blocked,
            },
            StepState::Unknown => Signal::Blocked,
        }
    }

    /// The node's condition is false, or nothing leads to it.
    pub fn skip(&mut self, at: NodeIndex, now: Timestamp) -> Result<(), Illegal> {
        self.change(at, StepEvent::Skip)?;
        self.steps[at].ended_at = Some(now);
        Ok(())
    }

    /// An attempt starts. A built-in keeps no input: its output is its input.
    pub fn start(
        &mut self,
        at: NodeIndex,
        input: Option<Json>,
        now: Timestamp,
    ) -> Result<(), Illegal> {
        self.change(at, StepEvent::Start)?;
        let plugin = plugin_of(&self.plan.nodes[at]);
        let step = &mut self.steps[at];
        step.attempt += 1;
        step.started_at.get_or_insert(now);
        step.input = input;
        step.due_at = None;
        step.plugin = plugin;
        Ok(())
    }

    /// The attempt gave an output.
    pub fn succeed(
        &mut self,
        at: NodeIndex,
        outcome: Outcome,
        logs: Vec<LogLine>,
        now: Timestamp,
    ) -> Result<(), Illegal> {
        self.change(at, StepEvent::Succeed)?;
        let step = &mut self.steps[at];
        step.spent += 1;
        step.output = Some(outcome.output);
        step.ports = outcome.ports;
        step.error = None;
        step.logs = logs;
        step.ended_at = Some(now);
        Ok(())
    }

    /// The attempt failed. Says what follows.
    pub fn fail(
        &mut self,
        at: NodeIndex,
        error: StepError,
        logs: Vec<LogLine>,
        now: Timestamp,
        jitter: f64,
    ) -> Result<Treatment, Illegal> {
        let node = &self.plan.nodes[at];
        let spent = self.steps[at].spent + u32::from(error.class != ErrorClass::RateLimited);
        let tried = Tried { attempts: self.steps[at].attempt, spent };
        let treatment = treat(&error, node.effect, &node.retry, tried, now, jitter);
        self.change(
            at,
            match treatment {
                Treatment::Retry { .. } => StepEvent::Delay,
                Treatment::Dead => StepEvent::Die,
                Treatment::Unknown => StepEvent::Lose,
            },
        )?;
        let step = &mut self.steps[at];
        step.spent = spent;
        step.error = Some(error);
        step.logs = logs;
        match treatment {
            Treatment::Retry { at } => step.due_at = Some(at),
            Treatment::Dead | Treatment::Unknown => step.ended_at = Some(now),
        }
        Ok(treatment)
    }

    /// The step cannot start: its parameters have no value.
    pub fn refuse(
        &mut self,
        at: NodeIndex,
        error: StepError,
        now: Timestamp,
    ) -> Result<(), Illegal> {
        self.change(at, StepEvent::Die)?;
        let step = &mut self.steps[at];
        step.error = Some(error);
        step.ended_at = Some(now);
        Ok(())
    }

    /// Where the run stands, given that no ready step is left to start.
    pub fn standing(&self) -> Standing {
        if self.steps.iter().any(|step| step.state == StepState::Running) {
            return Standing::Busy;
        }
        let due = self
            .steps
            .iter()
            .filter(|step| step.state == StepState::Waiting)
            .filter_map(|step| step.due_at)
            .min();
        if let Some(due) = due {
            return Standing::Parked { due };
        }
        match self.failure() {
            Some(error) => {
                Standing::Ended { state: RunState::Failed, output: None, error: Some(error) }
            }
            None => Standing::Ended {
                state: RunState::Succeeded,
                output: Some(self.output()),
                error: None,
            },
        }
    }

    /// The error of the first step whose failure nobody handles.
    fn failure(&self) -> Option<StepError> {
        self.steps
            .iter()
            .zip(&self.plan.nodes)
            .find(|(step, node)| match step.state {
                StepState::Dead => !node.failure_is_handled(),
                StepState::Unknown => true,
                _ => false,
            })
            .map(|(step, node)| {
                let mut error = step.error.clone().unwrap_or_else(|| {
                    StepError::new(ErrorClass::Permanent, "no-error-stored", "the step failed")
                });
                error.message = format!("node `{}`: {}", node.name, error.message);
                error
            })
    }

    /// What the run answers: the `respond` node's output, the only leaf's output, or the leaves'
    /// outputs by name.
    fn output(&self) -> Json {
        let done = |wanted: &dyn Fn(&PlanNode) -> bool| -> Vec<(&str, Json)> {
            self.steps
                .iter()
                .zip(&self.plan.nodes)
                .filter(|(step, node)| step.state == StepState::Succeeded && wanted(node))
                .map(|(step, node)| (node.name.as_str(), step.output.clone().unwrap_or_default()))
                .collect()
        };
        let responds = done(&is_respond);
        if let Some((_, output)) = responds.into_iter().next() {
            return output;
        }
        let leaves = done(&|node| node.leaf);
        match leaves.as_slice() {
            [] => Json::null(),
            [(_, only)] if self.plan.nodes.iter().filter(|node| node.leaf).count() == 1 => {
                only.clone()
            }
            several => {
                let fields: Map<String, Value> = several
                    .iter()
                    .map(|(name, output)| ((*name).to_owned(), output.value().clone()))
                    .collect();
                Json::from_value(Value::Object(fields))
            }
        }
    }

    /// The output of a `respond` node that is done.
    pub fn response(&self) -> Option<&Json> {
        self.steps
            .iter()
            .zip(&self.plan.nodes)
            .find(|(step, node)| step.state == StepState::Succeeded && is_respond(node))
            .and_then(|(step, _)| step.output.as_ref())
    }

    /// True if a step differs from what is stored.
    pub fn has_changes(&self) -> bool {
        self.changed.contains(&true)
    }

    /// Room for a value of so many bytes, beside the inputs and outputs that are there.
    ///
    /// # Errors
    /// Of the step whose value it is.
    pub fn admit(&self, bytes: usize) -> Result<(), StepError> {
        let held = |json: &Option<Json>| json.as_ref().map_or(0, |json| json.text().len());
        let sum: usize = self.steps.iter().map(|step| held(&step.input) + held(&step.output)).sum();
        if sum.saturating_add(bytes) <= MAX_RUN_BYTES {
            return Ok(());
        }
        let message = format!(
            "with these {bytes} bytes the inputs and outputs of the run are larger than {MAX_RUN_BYTES} bytes (limit max_run_bytes)"
        );
        Err(StepError::new(ErrorClass::Permanent, "run-too-large", message))
    }

    /// Steps that changed since the last call, whole, for the store.
    pub fn take_changes(&mut self) -> Vec<StepRow> {
        let rows = self
            .steps
            .iter()
            .zip(&self.changed)
            .filter(|(_, changed)| **changed)
            .map(|(step, _)| step.clone())
            .collect();
        self.changed.fill(false);
        rows
    }

    /// Takes changes back that could not be stored.
    pub fn put_back(&mut self, rows: &[StepRow]) {
        for (step, changed) in self.steps.iter().zip(&mut self.changed) {
            *changed |= rows.iter().any(|row| row.node == step.node && row.item == step.item);
        }
    }

    pub(super) fn change(&mut self, at: NodeIndex, event: StepEvent) -> Result<(), Illegal> {
        self.steps[at].state = self.steps[at].state.after(event)?;
        self.changed[at] = true;
        Ok(())
    }
}

fn is_respond(node: &PlanNode) -> bool {
    node.uses == Uses::Builtin(Builtin::Respond)
}

fn plugin_of(node: &PlanNode) -> Option<ContentHash> {
    match &node.uses {
        Uses::Plugin { hash, .. } => Some(*hash),
        Uses::Builtin(_) => None,
    }
}

fn pending(node: &PlanNode) -> StepRow {
    StepRow {
        node: node.name.clone(),
        item: 0,
        state: StepState::Pending,
        attempt: 0,
        spent: 0,
        input: None,
        output: None,
        ports: Vec::new(),
        error: None,
        due_at: None,
        started_at: None,
        ended_at: None,
        plugin: None,
        logs: Vec::new(),
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
