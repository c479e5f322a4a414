//! Settles, in the store and in the model.

use serde_json::json;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::RunId;
use tombolo_core::json::Json;
use tombolo_core::ports::sandbox::StateWrite;
use tombolo_core::ports::store::{Next, Settle, StateChange, StepRow, StoreError};
use tombolo_core::run::{RunState, StepState};

use super::ensure_eq;
use super::state::{Model, Run};
use crate::world::{World, done, key, parked, queued, waiting};

/// What a settle brings.
#[derive(Debug, Clone)]
pub struct Brings {
    /// With the right epoch, or with the one before.
    pub stale: bool,
    pub next: u8,
    /// The step that changes, and where it stands afterwards.
    pub node: u8,
    pub waits: bool,
    /// The version that a change of state expects, if there is one.
    pub expected: Option<u64>,
    /// The signal of the step is used up.
    pub uses: bool,
}

pub async fn settle(
    world: &World,
    model: &mut Model,
    run: RunId,
    brings: &Brings,
) -> Result<(), String> {
    let (lease, held) = model.lease(run, brings.stale);
    model.writes += 1;
    let value = model.writes;
    let node = format!("node-{}", brings.node);
    let next = next(model, brings.next);
    let results = Settle {
        steps: vec![step(&node, value, brings.waits)],
        state: brings.expected.map(|version| change(world, version, value)).into_iter().collect(),
        used: if brings.uses { vec![key(&node)] } else { Vec::new() },
        ..world.results(&lease, next.clone())
    };
    let settled_at = results.now;
    let answer = world.store.settle(results).await;
    if !held {
        ensure_eq!(answer, Err(StoreError::LeaseLost { run }));
        return Ok(());
    }
    let version = model.entry.map_or(0, |(_, version)| version);
    if brings.expected.is_some_and(|expected| expected != version) {
        let conflict =
            StoreError::StateConflict { node: "shared".to_owned(), key: "key".to_owned() };
        ensure_eq!(answer, Err(conflict));
        return Ok(());
    }
    ensure_eq!(answer, Ok(()));
    if brings.expected.is_some() {
        model.entry = Some((value, version + 1));
    }
    let run = model.runs.get_mut(&run).ok_or("picked")?;
    if brings.uses {
        run.signals.remove(&node);
    }
    if brings.waits {
        run.waiting.insert(node.clone());
    } else {
        run.waiting.remove(&node);
    }
    run.steps.insert(node, value);
    become_next(run, next, settled_at)
}

fn next(model: &Model, number: u8) -> Next {
    let due = Timestamp(model.now.0 + model.writes * 100);
    let output = Some(Json::from_value(json!(model.writes)));
    match number {
        0 | 1 => Next::Hold,
        2 => parked(due),
        3 => queued(model.now),
        4 => waiting(None),
        _ => Next::End { state: RunState::Succeeded, output, error: None },
    }
}

fn step(node: &str, value: i64, waits: bool) -> StepRow {
    let state = if waits { StepState::Waiting } else { StepState::Succeeded };
    StepRow { state, ..done(node, json!(value)) }
}

fn change(world: &World, expected: u64, value: i64) -> StateChange {
    let value = Json::from_value(json!(value));
    let write = StateWrite { key: "key".to_owned(), expected, value };
    StateChange { workflow: world.workflow, node: "shared".to_owned(), write }
}

fn become_next(run: &mut Run, next: Next, settled_at: Timestamp) -> Result<(), String> {
    if run.state.ended() && matches!(next, Next::Park { .. }) {
        run.cancel_requested = false;
    }
    let at_once = run.cancel_requested || run.signalled();
    let queued = run.queued.as_mut().ok_or("held")?;
    queued.claims = 0;
    match next {
        Next::Hold => {}
        Next::Park { state, available_at, .. } => {
            run.state = state;
            queued.owner = None;
            queued.available_at = available_at;
            if at_once {
                queued.wake(settled_at);
            }
        }
        Next::End { state, .. } => {
            run.state = state;
            run.last_epoch = queued.epoch;
            run.queued = None;
        }
    }
    Ok(())
}
