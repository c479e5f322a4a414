//! A new run from an old one's input: which results it takes over, and which effects it repeats.

use std::collections::BTreeSet;

use serde::Serialize;

use super::model::Run;
use super::state::StepState;
use crate::effect::Effect;
use crate::ports::store::{StepKey, StepRow};
use crate::workflow::{Builtin, NodeIndex, Plan, PlanNode, Uses};

/// Where a replay begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// With the first step.
    Start,
    /// With the steps that did not succeed.
    Failed,
    /// With this node and everything after it.
    Node(String),
}

/// What a replay takes over and what it does again.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// Steps that are done already, and lists of which some items are.
    pub steps: Vec<StepRow>,
    /// Steps that were tried in the old run and will be tried again with an effect.
    pub repeats: Vec<Repeat>,
    /// Steps among them of which nobody knows whether they took effect.
    pub unknown: Vec<StepKey>,
}

/// An effect that happens again, under a new idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repeat {
    /// The node.
    pub node: String,
    /// What it uses: `hubspot.get-deal`.
    pub uses: String,
    /// `read`, `keyed`, `unsafe`; `starts` for a node that starts other runs.
    pub effect: &'static str,
    /// What became of it in the old run.
    pub was: StepState,
    /// Of a for-each node that had its list.
    pub items: Option<RepeatedItems>,
}

/// The items of a list that runs again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RepeatedItems {
    /// Run again. On another version the list may be another one: counted is what the old run had.
    pub again: u32,
    /// Taken over.
    pub done: u32,
    /// Of those that run again, so many of which nobody knows whether they took effect.
    pub unknown: u32,
}

/// Why there is no such replay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("version has no node `{0}` to begin with")]
pub struct NoSuchNode(pub String);

/// Plans a replay of `old` on `plan`, which may be another version.
pub fn replay(old: &Run, plan: &Plan, from: &From) -> Result<Replay, NoSuchNode> {
    let begin = match from {
        From::Node(name) => {
            let node = plan.index.get(name).ok_or_else(|| NoSuchNode(name.clone()))?;
            Some(*node)
        }
        From::Start | From::Failed => None,
    };
    let mut again: BTreeSet<NodeIndex> = BTreeSet::new();
    let mut steps = Vec::new();
    // In topological order: whatever comes after a node that runs again does so, too.
    for (at, node) in plan.nodes.iter().enumerate() {
        let before = old.find(&node.name, 0).map(|place| old.step(place));
        let done = before.filter(|step| {
            matches!(step.state, StepState::Succeeded | StepState::Skipped)
                && *from != From::Start
                && begin != Some(at)
                && !node.inputs.iter().any(|edge| again.contains(&edge.from))
        });
        match done {
            Some(step) => steps.push(taken_over(step)),
            None => {
                let starts_here = !node.inputs.iter().any(|edge| again.contains(&edge.from));
                // The same version makes the same list of the same results.
                if *from == From::Failed && starts_here && std::ptr::eq(&**old.plan(), plan) {
                    steps.extend(done_of_list(old, &node.name));
                }
                again.insert(at);
            }
        }
    }
    let unknown = again.iter().flat_map(|at| unknown_of(old, &plan.nodes[*at])).collect();
    let repeats = again.into_iter().filter_map(|at| repeat(old, &plan.nodes[at], &steps)).collect();
    Ok(Replay { steps, repeats, unknown })
}

/// A list that goes on, and the items of it that are done; nothing if none is.
fn done_of_list(old: &Run, node: &str) -> Vec<StepRow> {
    let done = |row: &&StepRow| matches!(row.state, StepState::Succeeded | StepState::Skipped);
    let items: Vec<StepRow> = items_of(old, node).filter(done).map(taken_over).collect();
    let list = old.find(node, 0).map(|at| old.step(at)).filter(|_| !items.is_empty());
    let list = list.map(|list| StepRow {
        state: StepState::Waiting,
        input: list.input.clone(),
        spent: 0,
        output: None,
        error: None,
        ended_at: None,
        ..taken_over(list)
    });
    list.into_iter().chain(items).collect()
}

fn items_of<'a>(old: &'a Run, node: &str) -> impl Iterator<Item = &'a StepRow> + use<'a> {
    let items = old.find(node, 0).and_then(|at| old.items.get(&at.node));
    items.into_iter().flat_map(|items| items.rows())
}

/// Steps of a node that nobody knows of, where another run of it has an effect.
fn unknown_of(old: &Run, node: &PlanNode) -> Vec<StepKey> {
    let own = old.find(&node.name, 0).map(|at| old.step(at));
    let rows = own.into_iter().chain(items_of(old, &node.name));
    let unknown = rows.filter(|row| row.state == StepState::Unknown && changes(node));
    unknown.map(StepRow::key).collect()
}

/// Under another idempotency key, a keyed effect happens twice like any other.
fn changes(node: &PlanNode) -> bool {
    node.effect > Effect::Read
}

/// A result of the old run. Its input, logs and items stay there.
fn taken_over(step: &StepRow) -> StepRow {
    StepRow { input: None, logs: Vec::new(), child: None, ..step.clone() }
}

fn repeat(old: &Run, node: &PlanNode, taken: &[StepRow]) -> Option<Repeat> {
    let step = old.find(&node.name, 0).map(|at| old.step(at))?;
    let effect = effect_name(node)?;
    let uses = match &node.uses {
        Uses::Builtin(builtin) => builtin.name().to_owned(),
        Uses::Plugin { plugin, operation, .. } => format!("{plugin}.{operation}"),
    };
    let items = repeated_items(old, node, taken);
    let (name, was) = (node.name.clone(), step.state);
    (step.attempt > 0).then_some(Repeat { node: name, uses, effect, was, items })
}

fn repeated_items(old: &Run, node: &PlanNode, taken: &[StepRow]) -> Option<RepeatedItems> {
    let all = old.items.get(&old.find(&node.name, 0)?.node)?.count();
    let is_done = |row: &&StepRow| row.item > 0 && row.node == node.name;
    let unknown = |row: &&StepRow| row.state == StepState::Unknown;
    let count = |rows: usize| u32::try_from(rows).unwrap_or(u32::MAX);
    let done = count(taken.iter().filter(is_done).count());
    let unknown = count(items_of(old, &node.name).filter(unknown).count());
    Some(RepeatedItems { again: all.saturating_sub(done), done, unknown })
}

fn effect_name(node: &PlanNode) -> Option<&'static str> {
    match (node.builtin(), node.effect) {
        (Some(Builtin::Workflow | Builtin::Publish), _) => Some("starts"),
        (Some(_), _) | (None, Effect::Pure) => None,
        (None, effect) => Some(effect.name()),
    }
}
