//! Accept, claim, open, renew, take over: in the store and in the model.

use std::collections::{BTreeMap, BTreeSet};

use tombolo_core::clock::Timestamp;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::{Accepted, ClaimedRun, Opened, SUSPECT_CLAIMS};
use tombolo_core::run::RunState;

use super::ensure_eq;
use super::state::{Model, Queued, Run, WORKERS};
use crate::world::{World, worker};

pub async fn accept(
    world: &World,
    model: &mut Model,
    key: u8,
    lease: Option<usize>,
) -> Result<(), String> {
    let until = model.until();
    let mut accept = world.event(&key.to_string());
    accept.event.received_at = model.now;
    accept.runs[0].lease = lease.map(|owner| (worker(WORKERS[owner]), until));
    let (event, run) = (accept.event.id, accept.runs[0].id);
    let answer = world.store.accept(vec![accept]).await;
    if let Some((event, run)) = model.events.get(&key).copied() {
        let known = Accepted::Duplicate { event, runs: vec![run], fingerprint: None };
        ensure_eq!(answer, Ok(vec![known]));
        return Ok(());
    }
    ensure_eq!(answer, Ok(vec![Accepted::New { event, runs: vec![run] }]));
    model.events.insert(key, (event, run));
    let owner = lease.map(|owner| WORKERS[owner]);
    let times = u8::from(owner.is_some());
    let queued = Queued {
        available_at: Some(if owner.is_some() { until } else { model.now }),
        owner,
        epoch: times.into(),
        claims: times.into(),
    };
    let accepted = Run {
        state: if owner.is_some() { RunState::Running } else { RunState::Queued },
        queued: Some(queued),
        cancel_requested: false,
        steps: BTreeMap::new(),
        waiting: BTreeSet::new(),
        signals: BTreeMap::new(),
        last_epoch: 0,
    };
    model.runs.insert(run, accepted);
    Ok(())
}

/// What a worker is told of a run: epoch, claims, steps, signals, and the wish to end it.
type Told = (i64, u32, usize, usize, bool);

fn told(claimed: &ClaimedRun) -> Told {
    let (steps, signals) = (claimed.steps.len(), claimed.signals.len());
    (claimed.lease.epoch, claimed.claims, steps, signals, claimed.run.cancel_requested)
}

fn known(run: &Run) -> Option<Told> {
    let Queued { epoch, claims, .. } = *run.queued.as_ref()?;
    Some((epoch, claims, run.steps.len(), run.signals.len(), run.cancel_requested))
}

pub async fn claim(
    world: &World,
    model: &mut Model,
    worker: usize,
    limit: usize,
) -> Result<(), String> {
    let (now, until) = (model.now, model.until());
    // Suspects first, by their claims.
    let mut due: Vec<(u32, Timestamp, RunId)> = model
        .runs
        .iter()
        .filter_map(|(id, run)| {
            let queued = run.queued.as_ref()?;
            let suspected = queued.claims >= SUSPECT_CLAIMS;
            let turn = if suspected { queued.claims } else { u32::MAX };
            Some((turn, queued.available_at?, *id))
        })
        .filter(|(_, available_at, _)| *available_at <= now)
        .collect();
    due.sort();
    due.truncate(limit);
    let mut expected = BTreeMap::new();
    for (_, _, id) in due {
        let run = model.runs.get_mut(&id).ok_or("due")?;
        let queued = run.queued.as_mut().ok_or("due")?;
        queued.owner = Some(WORKERS[worker]);
        queued.epoch = (queued.epoch + 1).max(now.0);
        queued.claims += 1;
        queued.available_at = Some(until);
        if run.state.ended() {
            // It was being repaired.
            run.last_epoch = queued.epoch;
            run.queued = None;
            continue;
        }
        run.state = RunState::Running;
        expected.insert(id, known(run).ok_or("due")?);
    }
    let claimed = world.claim(WORKERS[worker], limit, now).await;
    let found: BTreeMap<_, _> = claimed.iter().map(|one| (one.run.id, told(one))).collect();
    ensure_eq!(found, expected);
    Ok(())
}

pub async fn open(
    world: &World,
    model: &mut Model,
    id: RunId,
    worker: usize,
) -> Result<(), String> {
    let (now, until) = (model.now, model.until());
    let opened = world.open(id, WORKERS[worker], now).await;
    let run = model.runs.get_mut(&id).ok_or("picked")?;
    let before = run.state;
    let epoch = run.last_epoch;
    let queued =
        run.queued.get_or_insert(Queued { available_at: None, owner: None, epoch, claims: 0 });
    if queued.owner.is_some() && queued.available_at.is_none_or(|at| at > now) {
        return match opened {
            Opened::Busy => Ok(()),
            other => Err(format!("the store says {other:?}, the model says it is busy")),
        };
    }
    queued.owner = Some(WORKERS[worker]);
    queued.epoch += 1;
    queued.available_at = Some(until);
    if !before.ended() {
        run.state = RunState::Running;
    }
    let Opened::Run { run: found, before: found_before } = opened else {
        return Err(format!("the store says {opened:?}, the model opens it"));
    };
    ensure_eq!(found_before, before);
    ensure_eq!(Some(told(&found)), known(run));
    Ok(())
}

pub async fn renew(
    world: &World,
    model: &mut Model,
    run: RunId,
    stale: bool,
) -> Result<(), String> {
    let (lease, held) = model.lease(run, stale);
    let until = model.until();
    let lost = world.store.renew(&[lease], until).await;
    ensure_eq!(lost, Ok(if held { vec![] } else { vec![run] }));
    if let Some(queued) = model.runs.get_mut(&run).and_then(|run| run.queued.as_mut())
        && held
    {
        queued.available_at = Some(until);
    }
    Ok(())
}

pub async fn take_over(world: &World, model: &mut Model) -> Result<(), String> {
    let mut count = 0;
    for queued in model.runs.values_mut().filter_map(|run| run.queued.as_mut()) {
        if queued.owner.is_some() {
            queued.wake(model.now);
            count += 1;
        }
    }
    ensure_eq!(world.store.take_over(model.now).await, Ok(count));
    Ok(())
}
