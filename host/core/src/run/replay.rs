//! A new run from an old one's input: which results it takes over, and which effects it repeats.

use std::collections::BTreeSet;

use serde::Serialize;

use super::model::Run;
use super::state::StepState;
use crate::effect::Effect;
use crate::ports::store::StepRow;
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
    /// Steps that are done already.
    pub steps: Vec<StepRow>,
    /// Steps that were tried in the old run and will be tried again with an effect.
    pub repeats: Vec<Repeat>,
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
                again.insert(at);
            }
        }
    }
    let repeats = again.into_iter().filter_map(|at| repeat(old, &plan.nodes[at])).collect();
    Ok(Replay { steps, repeats })
}

/// A result of the old run. Its input, logs and items stay there.
fn taken_over(step: &StepRow) -> StepRow {
    StepRow { input: None, logs: Vec::new(), child: None, ..step.clone() }
}

fn repeat(old: &Run, node: &PlanNode) -> Option<Repeat> {
    let step = old.find(&node.name, 0).map(|at| old.step(at))?;
    let effect = effect_name(node)?;
    let uses = match &node.uses {
        Uses::Builtin(builtin) => builtin.name().to_owned(),
        Uses::Plugin { plugin, operation, .. } => format!("{plugin}.{operation}"),
    };
    (step.attempt > 0).then(|| Repeat { node: node.name.clone(), uses, effect, was: step.state })
}

fn effect_name(node: &PlanNode) -> Option<&'static str> {
    match (node.builtin(), node.effect) {
        (Some(Builtin::Workflow | Builtin::Publish), _) => Some("starts"),
        (Some(_), _) | (None, Effect::Pure) => None,
        (None, effect) => Some(effect.name()),
    }
}
