//! What comes from outside: the wish to end a run, and signals for its steps.

use serde_json::json;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::{CancelRequest, Signal, Signalled};

use super::ensure_eq;
use super::state::Model;
use crate::world::World;

pub async fn cancel(world: &World, model: &mut Model, id: RunId) -> Result<(), String> {
    let answer = world.store.request_cancel(world.tenant, id, None).await;
    let run = model.runs.get_mut(&id).ok_or("picked")?;
    let Some(queued) = run.queued.as_mut().filter(|_| !run.state.ended()) else {
        ensure_eq!(answer, Ok(CancelRequest::Ended(run.state)));
        return Ok(());
    };
    ensure_eq!(answer, Ok(CancelRequest::Requested));
    run.cancel_requested = true;
    if queued.owner.is_none() {
        // Before all others.
        queued.wake(Timestamp(0));
    }
    Ok(())
}

pub async fn signal(world: &World, model: &mut Model, id: RunId, node: u8) -> Result<(), String> {
    model.writes += 1;
    let (node, value) = (format!("node-{node}"), model.writes);
    let signal = Signal { at: model.now, ..world.signal(id, &node, json!(value)) };
    let answer = world.store.signal(signal, None).await;
    let run = model.runs.get_mut(&id).ok_or("picked")?;
    let Some(queued) = run.queued.as_mut().filter(|_| !run.state.ended()) else {
        ensure_eq!(answer, Ok(Signalled::Ended(run.state)));
        return Ok(());
    };
    if run.signals.contains_key(&node) {
        ensure_eq!(answer, Ok(Signalled::Taken));
        return Ok(());
    }
    ensure_eq!(answer, Ok(Signalled::Kept));
    run.signals.insert(node, value);
    if queued.owner.is_none() {
        queued.wake(model.now);
    }
    Ok(())
}
