//! Where a run stands when nothing of it can start, and what it answers.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::model::Run;
use super::state::{RunState, StepState};
use crate::clock::Timestamp;
use crate::error::{ErrorClass, StepError};
use crate::json::Json;
use crate::ports::store::StepRow;
use crate::workflow::{Builtin, PlanNode};

/// Where a run stands when no step is ready.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// Attempts are under way.
    Busy,
    /// Every step that goes on waits.
    Parked {
        /// When the first is due; None if all of them wait for something from outside.
        due: Option<Timestamp>,
        /// Paused connections that steps wait for.
        connections: BTreeSet<String>,
    },
    /// Nothing can go on.
    Ended {
        /// `succeeded`, `failed`, or `cancelled` if it is as it was cut off.
        state: RunState,
        /// What the run answers.
        output: Option<Json>,
        /// Why it failed: the first dead or unknown step's error.
        error: Option<StepError>,
    },
}

impl Run {
    /// Where the run stands, given that no ready step is left to start.
    pub fn standing(&self) -> Standing {
        let busy = |step: &StepRow| step.state == StepState::Running;
        if !self.taken.is_empty()
            || self.steps.iter().any(busy)
            || self.items.values().any(|items| items.busy())
        {
            return Standing::Busy;
        }
        let waits = |step: &StepRow| step.state == StepState::Waiting || is_postponed(step);
        if self.steps.iter().any(waits) {
            let (due, connections) = (self.first_due(), self.paused_connections());
            return Standing::Parked { due, connections };
        }
        match self.failure() {
            Some(error) => {
                Standing::Ended { state: RunState::Failed, output: None, error: Some(error) }
            }
            // What was cut off is not done.
            None if self.was_cut_off() => {
                Standing::Ended { state: RunState::Cancelled, output: None, error: None }
            }
            None => Standing::Ended {
                state: RunState::Succeeded,
                output: Some(self.output()),
                error: None,
            },
        }
    }

    fn was_cut_off(&self) -> bool {
        self.steps.iter().any(|step| step.state == StepState::Cancelled)
    }

    fn first_due(&self) -> Option<Timestamp> {
        let nodes = self.steps.iter().filter_map(waits_until);
        nodes.chain(self.items.values().filter_map(|items| items.first_due())).min()
    }

    /// When the first step is due of those that are not due at `now`: the others were handed out, or
    /// wait for something else.
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let nodes = self.steps.iter().filter_map(waits_until).filter(|due| *due > now);
        nodes.chain(self.items.values().filter_map(|items| items.first_due_after(now))).min()
    }

    /// Connections whose credentials were refused to a step that waits for new ones.
    pub fn paused_connections(&self) -> BTreeSet<String> {
        let lists = self.items.values().filter(|items| items.waits());
        let items = lists.flat_map(|items| items.rows());
        self.steps
            .iter()
            .chain(items)
            .filter(|step| step.waits_for_connection())
            .filter_map(|step| self.plan.node(&step.node)?.connection.clone())
            .collect()
    }

    /// True if nobody handles the failure of this step: it waits for a person.
    pub fn is_dead_letter(&self, step: &StepRow) -> bool {
        let Some(node) = self.plan.node(&step.node) else {
            return false;
        };
        let class = step.error.as_ref().map(|error| error.class);
        let of_list = step.item > 0;
        match step.state {
            StepState::Dead if of_list => item_counts(node),
            StepState::Dead => !node.handles(class) && !self.failed_by_item(step),
            StepState::Unknown => of_list || !self.failed_by_item(step),
            _ => false,
        }
    }

    /// True for a for-each node whose items wait for a person, so that it need not itself.
    fn failed_by_item(&self, step: &StepRow) -> bool {
        let Some(node) = self.plan.index.get(&step.node) else {
            return false;
        };
        let letter = |item: &StepRow| self.is_dead_letter(item);
        self.items.get(node).is_some_and(|items| items.failed().any(letter))
    }

    /// The error of the first step whose failure nobody handles.
    fn failure(&self) -> Option<StepError> {
        self.steps
            .iter()
            .zip(&self.plan.nodes)
            .find(|(step, node)| match step.state {
                StepState::Dead => !node.handles(step.error.as_ref().map(|error| error.class)),
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
        if let Some(output) = self.response() {
            return output.clone();
        }
        let leaves: Vec<_> =
            self.steps.iter().zip(&self.plan.nodes).filter(|(_, node)| node.leaf).collect();
        let done = |step: &StepRow| step.state == StepState::Succeeded;
        match leaves.as_slice() {
            [] => Json::null(),
            [(only, _)] if done(only) => only.output.clone().unwrap_or_default(),
            [_] => Json::null(),
            several => {
                let several = several.iter().filter(|(step, _)| done(step));
                let fields: Map<String, Value> = several
                    .map(|(step, node)| {
                        let value = step
                            .output
                            .as_ref()
                            .map_or(Value::Null, |output| output.value().clone());
                        (node.name.clone(), value)
                    })
                    .collect();
                if fields.is_empty() { Json::null() } else { Json::from_value(fields.into()) }
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
}

/// The time that a step waits for.
fn waits_until(step: &StepRow) -> Option<Timestamp> {
    step.due_at.filter(|_| matches!(step.state, StepState::Waiting | StepState::Pending))
}

/// True for a step that was to start when the host was too busy for it.
pub(super) fn is_postponed(step: &StepRow) -> bool {
    step.state == StepState::Pending && step.due_at.is_some()
}

/// True if an item that fails fails its node. Where it is skipped or collected, the workflow has
/// said what becomes of it.
fn item_counts(node: &PlanNode) -> bool {
    use crate::workflow::OnItemError;
    node.each.as_ref().is_some_and(|each| each.on_item_error == OnItemError::Fail)
        && !node.handles(None)
}

fn is_respond(node: &PlanNode) -> bool {
    node.builtin() == Some(Builtin::Respond)
}
