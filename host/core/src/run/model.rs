//! One run in memory: its steps, and what of them is not stored yet.
//!
//! Live work, repair and recovery after a crash change steps through the same methods, which stand
//! in the files beside this one. Knows no clock and no randomness: `now` and `jitter` come with the
//! call.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::items::Items;
use super::logs;
use super::state::{Illegal, StepEvent, StepState};
use crate::error::{ErrorClass, StepError};
use crate::json::Json;
use crate::ports::store::StepRow;
use crate::workflow::{NodeIndex, Plan, PlanNode};

/// Most that the inputs and outputs of one run may take together, in bytes of JSON text.
pub const MAX_RUN_BYTES: usize = 64 * 1024 * 1024;

/// A step of a run: a node, or one item of a for-each node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepAt {
    /// The node's position in the plan.
    pub node: NodeIndex,
    /// 0 for the node itself; items are counted from 1.
    pub item: u32,
}

impl StepAt {
    /// True for an item of a for-each node.
    pub fn is_item(self) -> bool {
        self.item > 0
    }
}

impl From<NodeIndex> for StepAt {
    fn from(node: NodeIndex) -> Self {
        Self { node, item: 0 }
    }
}

/// A run and its steps.
#[derive(Debug, Clone)]
pub struct Run {
    pub(super) plan: Arc<Plan>,
    /// By position of the node.
    pub(super) steps: Vec<StepRow>,
    /// Of for-each nodes that have their list.
    pub(super) items: BTreeMap<NodeIndex, Items>,
    /// Steps that differ from what is stored.
    changed: BTreeSet<StepAt>,
    /// Steps handed out by [`Run::ready`] that have not started yet.
    pub(super) taken: BTreeSet<StepAt>,
    /// Bytes of the inputs and outputs.
    held_bytes: usize,
    /// Bytes of the logs.
    pub(super) held_log_bytes: usize,
}

/// Stored steps that do not fit their plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stored step `{node}` (item {item}) belongs to no node of its workflow version")]
pub struct Broken {
    /// The step's node.
    pub node: String,
    /// The step's item.
    pub item: u32,
}

impl Run {
    /// A run as the store has it; steps that are not stored yet are pending.
    pub fn restore(plan: Arc<Plan>, stored: Vec<StepRow>) -> Result<Self, Broken> {
        let steps = plan.nodes.iter().map(|node| StepRow::pending(&node.name, 0)).collect();
        let (items, changed, taken) = Default::default();
        let mut run = Self { plan, steps, items, changed, taken, held_bytes: 0, held_log_bytes: 0 };
        // Nodes before their items: the list says how many there are.
        let (of_items, of_nodes): (Vec<_>, Vec<_>) =
            stored.into_iter().partition(|row| row.item > 0);
        for row in of_nodes {
            run.put(row)?;
        }
        for at in 0..run.steps.len() {
            if let Some(count) = run.list_length(at) {
                run.items.insert(at, Items::new(&run.plan.nodes[at].name, count));
            }
        }
        for row in of_items {
            run.put(row)?;
        }
        // As in the process that wrote them: or a large run would not fit any more.
        for items in run.items.values_mut() {
            items.slim_ended();
        }
        run.held_bytes = run.rows().map(bytes).sum();
        run.held_log_bytes = logs::held(run.rows());
        for at in run.places() {
            // A result is never written again.
            if matches!(run.step(at).state, StepState::Succeeded | StepState::Skipped) {
                run.forget_logs(at);
            }
        }
        Ok(run)
    }

    fn put(&mut self, row: StepRow) -> Result<(), Broken> {
        let broken = || Broken { node: row.node.clone(), item: row.item };
        let node = *self.plan.index.get(&row.node).ok_or_else(broken)?;
        if row.item == 0 {
            self.steps[node] = row;
            return Ok(());
        }
        let items = self.items.get_mut(&node).ok_or_else(broken)?;
        items.put(row.clone()).map_err(|()| broken())
    }

    /// How many items a for-each node has, once it has its list.
    pub(super) fn list_length(&self, node: NodeIndex) -> Option<usize> {
        self.plan.nodes[node].each.as_ref()?;
        let list = self.steps[node].input.as_ref()?.value().as_array()?;
        Some(list.len())
    }

    /// The plan it follows.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The node of a step.
    pub fn node(&self, at: impl Into<StepAt>) -> &PlanNode {
        &self.plan.nodes[at.into().node]
    }

    /// A step. An item has to be one of its node's list.
    pub fn step(&self, at: impl Into<StepAt>) -> &StepRow {
        let at = at.into();
        match self.items.get(&at.node) {
            Some(items) if at.is_item() => items.row(at.item),
            _ => &self.steps[at.node],
        }
    }

    pub(super) fn step_mut(&mut self, at: StepAt) -> &mut StepRow {
        self.changed.insert(at);
        match self.items.get_mut(&at.node) {
            Some(items) if at.is_item() => items.row_mut(at.item),
            _ => &mut self.steps[at.node],
        }
    }

    /// Every step: the nodes, then the items.
    pub fn rows(&self) -> impl Iterator<Item = &StepRow> {
        self.steps.iter().chain(self.items.values().flat_map(Items::rows))
    }

    /// Where every step stands in the run.
    pub fn places(&self) -> impl Iterator<Item = StepAt> + use<> {
        let mut places: Vec<StepAt> = (0..self.steps.len()).map(StepAt::from).collect();
        for (node, items) in &self.items {
            places.extend((1..=items.count()).map(|item| StepAt { node: *node, item }));
        }
        places.into_iter()
    }

    /// The step of that name and item, if there is one.
    pub fn find(&self, node: &str, item: u32) -> Option<StepAt> {
        let at = StepAt { node: *self.plan.index.get(node)?, item };
        let exists = match self.items.get(&at.node) {
            _ if item == 0 => true,
            Some(items) => item <= items.count(),
            None => false,
        };
        exists.then_some(at)
    }

    /// The one place where the state of a step changes.
    pub(super) fn change(&mut self, at: StepAt, event: StepEvent) -> Result<StepState, Illegal> {
        let before = self.step(at).state;
        let after = before.after(event)?;
        self.step_mut(at).state = after;
        self.taken.remove(&at);
        Ok(after)
    }

    /// Keeps an item's place in the order of work up to date; to be called when it has changed.
    pub(super) fn sort_in(&mut self, at: StepAt) {
        if at.is_item()
            && let Some(items) = self.items.get_mut(&at.node)
        {
            items.sort_in(at.item);
        }
    }

    /// Room for a value of so many bytes, beside the inputs and outputs that are there.
    ///
    /// # Errors
    /// Of the step whose value it is.
    pub fn admit(&self, bytes: usize) -> Result<(), StepError> {
        if self.held_bytes.saturating_add(bytes) <= MAX_RUN_BYTES {
            return Ok(());
        }
        let message = format!(
            "with these {bytes} bytes the inputs and outputs of the run are larger than {MAX_RUN_BYTES} bytes (limit max_run_bytes)"
        );
        Err(StepError::new(ErrorClass::Permanent, "run-too-large", message))
    }

    /// Sets a step's input and counts its bytes.
    pub(super) fn set_input(&mut self, at: StepAt, input: Option<Json>) {
        let before = bytes(self.step(at));
        self.step_mut(at).input = input;
        self.held_bytes = self.held_bytes.saturating_sub(before) + bytes(self.step(at));
    }

    /// Sets a step's output and counts its bytes.
    pub(super) fn set_output(&mut self, at: StepAt, output: Option<Json>) {
        let before = bytes(self.step(at));
        self.step_mut(at).output = output;
        self.held_bytes = self.held_bytes.saturating_sub(before) + bytes(self.step(at));
    }

    /// True if a step differs from what is stored.
    pub fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Steps that differ from what is stored.
    pub fn unsettled(&self) -> usize {
        self.changed.len()
    }

    pub(super) fn is_changed(&self, at: StepAt) -> bool {
        self.changed.contains(&at)
    }

    /// Steps that changed since the last call, whole, for the store.
    pub fn take_changes(&mut self) -> Vec<StepRow> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|at| self.step(at).clone()).collect()
    }

    /// Takes changes back that could not be stored.
    pub fn put_back(&mut self, rows: &[StepRow]) {
        let places = rows.iter().filter_map(|row| self.find(&row.node, row.item));
        let places: Vec<_> = places.collect();
        self.changed.extend(places);
    }

    /// Forgets what nobody asks for again of steps that have ended, once it is stored.
    pub fn slim(&mut self, stored: &[StepRow]) {
        for row in stored.iter().filter(|row| row.state.ended()) {
            let Some(at) = self.find(&row.node, row.item) else {
                continue;
            };
            if self.is_changed(at) {
                continue;
            }
            self.forget_logs(at);
            let before = bytes(self.step(at));
            if let Some(items) = self.items.get_mut(&at.node).filter(|_| at.is_item()) {
                items.slim(at.item);
            }
            self.held_bytes = self.held_bytes.saturating_sub(before) + bytes(self.step(at));
        }
    }
}

fn bytes(row: &StepRow) -> usize {
    let held = |json: &Option<Json>| json.as_ref().map_or(0, |json| json.text().len());
    held(&row.input) + held(&row.output)
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
