//! Random histories, compared with the simplest model that keeps the port's promises.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{EventId, RunId};
use tombolo_core::json::Json;
use tombolo_core::ports::sandbox::StateWrite;
use tombolo_core::ports::store::{Accepted, CancelRequest, Lease, Next, StateChange, StoreError};
use tombolo_core::run::RunState;

use crate::world::{NOW, World, done, parked, queued, worker};

const HISTORIES: usize = 24;
const LENGTH: usize = 60;
const LEASE_MS: i64 = 30_000;
const WORKERS: [&str; 3] = ["a", "b", "c"];

/// One thing that somebody does. Indexes wrap around what there is.
#[derive(Debug, Clone)]
enum Op {
    Accept { key: u8, lease: Option<usize> },
    Claim { worker: usize, limit: usize },
    Settle { run: usize, stale: bool, next: u8, node: u8, expected: Option<u64> },
    Renew { run: usize, stale: bool },
    Cancel { run: usize },
    TakeOver,
    Pass { ms: i64 },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..12_u8, proptest::option::of(0..WORKERS.len()))
            .prop_map(|(key, lease)| Op::Accept { key, lease }),
        3 => (0..WORKERS.len(), 1..4_usize).prop_map(|(worker, limit)| Op::Claim { worker, limit }),
        6 => (0..12_usize, prop::bool::weighted(0.2), 0..5_u8, 0..3_u8,
              proptest::option::of(0..3_u64))
            .prop_map(|(run, stale, next, node, expected)| {
                Op::Settle { run, stale, next, node, expected }
            }),
        1 => (0..12_usize, prop::bool::weighted(0.3))
            .prop_map(|(run, stale)| Op::Renew { run, stale }),
        1 => (0..12_usize).prop_map(|run| Op::Cancel { run }),
        1 => Just(Op::TakeOver),
        3 => (1..40_000_i64).prop_map(|ms| Op::Pass { ms }),
    ]
}

#[derive(Debug, Clone, PartialEq)]
struct Run {
    state: RunState,
    /// None once the run has ended.
    queued: Option<Queued>,
    cancel_requested: bool,
    steps: BTreeMap<String, i64>,
}

#[derive(Debug, Clone, PartialEq)]
struct Queued {
    available_at: Timestamp,
    owner: Option<&'static str>,
    epoch: i64,
    claims: u32,
}

struct Model {
    now: Timestamp,
    writes: i64,
    events: BTreeMap<u8, (EventId, RunId)>,
    runs: BTreeMap<RunId, Run>,
    entry: Option<(i64, u64)>,
}

impl Model {
    fn pick(&self, index: usize) -> Option<RunId> {
        let count = self.runs.len().max(1);
        self.runs.keys().nth(index % count).copied()
    }

    /// The lease that somebody with a stale or a true idea of things would use.
    fn lease(&self, run: RunId, stale: bool) -> (Lease, bool) {
        let queued = self.runs[&run].queued.as_ref();
        let owner = queued.and_then(|queued| queued.owner).unwrap_or(WORKERS[0]);
        let epoch = queued.map_or(1, |queued| queued.epoch) - i64::from(stale);
        let held = !stale && queued.is_some_and(|queued| queued.owner.is_some());
        (Lease { run, owner: worker(owner), epoch }, held)
    }

    fn next_due(&self) -> Option<Timestamp> {
        let queued = self.runs.values().filter_map(|run| run.queued.as_ref());
        queued.map(|queued| queued.available_at).min()
    }
}

macro_rules! ensure_eq {
    ($found:expr, $expected:expr) => {
        let (found, expected) = ($found, $expected);
        if found != expected {
            return Err(format!("the store says {found:?}, the model says {expected:?}"));
        }
    };
}

async fn perform(world: &World, model: &mut Model, op: &Op) -> Result<(), String> {
    match *op {
        Op::Accept { key, lease } => accept(world, model, key, lease).await,
        Op::Claim { worker, limit } => claim(world, model, worker, limit).await,
        Op::Settle { run, stale, next, node, expected } => {
            let Some(run) = model.pick(run) else {
                return Ok(());
            };
            settle(world, model, run, stale, next, node, expected).await
        }
        Op::Renew { run, stale } => {
            let Some(run) = model.pick(run) else {
                return Ok(());
            };
            let (lease, held) = model.lease(run, stale);
            let until = Timestamp(model.now.0 + LEASE_MS);
            let lost = world.store.renew(&[lease], until).await;
            ensure_eq!(lost, Ok(if held { vec![] } else { vec![run] }));
            if let Some(queued) = model.runs.get_mut(&run).and_then(|run| run.queued.as_mut())
                && held
            {
                queued.available_at = until;
            }
            Ok(())
        }
        Op::Cancel { run } => {
            let Some(id) = model.pick(run) else {
                return Ok(());
            };
            let answer = world.store.request_cancel(world.tenant, id, model.now).await;
            let now = model.now;
            let run = model.runs.get_mut(&id).ok_or("picked")?;
            let Some(queued) = &mut run.queued else {
                ensure_eq!(answer, Ok(CancelRequest::Ended(run.state)));
                return Ok(());
            };
            ensure_eq!(answer, Ok(CancelRequest::Requested));
            run.cancel_requested = true;
            if queued.owner.is_none() {
                queued.available_at = queued.available_at.min(now);
            }
            Ok(())
        }
        Op::TakeOver => {
            let mut count = 0;
            for queued in model.runs.values_mut().filter_map(|run| run.queued.as_mut()) {
                if queued.owner.is_some() {
                    queued.available_at = queued.available_at.min(model.now);
                    count += 1;
                }
            }
            ensure_eq!(world.store.take_over(model.now).await, Ok(count));
            Ok(())
        }
        Op::Pass { ms } => {
            model.now = Timestamp(model.now.0 + ms);
            Ok(())
        }
    }
}

async fn accept(
    world: &World,
    model: &mut Model,
    key: u8,
    lease: Option<usize>,
) -> Result<(), String> {
    let until = Timestamp(model.now.0 + LEASE_MS);
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
        available_at: if owner.is_some() { until } else { model.now },
        owner,
        epoch: times.into(),
        claims: times.into(),
    };
    let state = if owner.is_some() { RunState::Running } else { RunState::Queued };
    let run_model =
        Run { state, queued: Some(queued), cancel_requested: false, steps: BTreeMap::new() };
    model.runs.insert(run, run_model);
    Ok(())
}

async fn claim(
    world: &World,
    model: &mut Model,
    worker: usize,
    limit: usize,
) -> Result<(), String> {
    let now = model.now;
    let mut due: Vec<(Timestamp, RunId)> = model
        .runs
        .iter()
        .filter_map(|(id, run)| Some((run.queued.as_ref()?.available_at, *id)))
        .filter(|(available_at, _)| *available_at <= now)
        .collect();
    due.sort();
    due.truncate(limit);
    let mut expected = BTreeMap::new();
    for (_, id) in due {
        let run = model.runs.get_mut(&id).ok_or("due")?;
        let queued = run.queued.as_mut().ok_or("due")?;
        queued.owner = Some(WORKERS[worker]);
        queued.epoch += 1;
        queued.claims += 1;
        queued.available_at = Timestamp(now.0 + LEASE_MS);
        run.state = RunState::Running;
        expected.insert(id, (queued.epoch, queued.claims, run.steps.len(), run.cancel_requested));
    }
    let claimed = world.claim(WORKERS[worker], limit, now).await;
    let found: BTreeMap<_, _> = claimed
        .into_iter()
        .map(|c| (c.run.id, (c.lease.epoch, c.claims, c.steps.len(), c.run.cancel_requested)))
        .collect();
    ensure_eq!(found, expected);
    Ok(())
}

async fn settle(
    world: &World,
    model: &mut Model,
    run: RunId,
    stale: bool,
    next: u8,
    node: u8,
    expected: Option<u64>,
) -> Result<(), String> {
    let (lease, held) = model.lease(run, stale);
    model.writes += 1;
    let value = model.writes;
    let node = format!("node-{node}");
    let due = Timestamp(model.now.0 + value * 100);
    let end =
        |state| Next::End { state, output: Some(Json::from_value(json!(value))), error: None };
    let next = match next {
        0 | 1 => Next::Hold,
        2 => parked(due),
        3 => queued(model.now),
        _ => end(RunState::Succeeded),
    };
    let mut results = world.results(&lease, next.clone());
    results.steps = vec![done(&node, json!(value))];
    results.state = expected
        .map(|expected| StateChange {
            workflow: world.workflow,
            node: "shared".to_owned(),
            write: StateWrite {
                key: "key".to_owned(),
                expected,
                value: Json::from_value(json!(value)),
            },
        })
        .into_iter()
        .collect();
    let settled_at = results.now;
    let answer = world.store.settle(results).await;
    if !held {
        ensure_eq!(answer, Err(StoreError::LeaseLost { run }));
        return Ok(());
    }
    let version = model.entry.map_or(0, |(_, version)| version);
    if expected.is_some_and(|expected| expected != version) {
        let conflict =
            StoreError::StateConflict { node: "shared".to_owned(), key: "key".to_owned() };
        ensure_eq!(answer, Err(conflict));
        return Ok(());
    }
    ensure_eq!(answer, Ok(()));
    if expected.is_some() {
        model.entry = Some((value, version + 1));
    }
    let run = model.runs.get_mut(&run).ok_or("picked")?;
    run.steps.insert(node, value);
    let queued = run.queued.as_mut().ok_or("held")?;
    queued.claims = 0;
    match next {
        Next::Hold => {}
        Next::Park { state, available_at, .. } => {
            run.state = state;
            queued.owner = None;
            let available_at = available_at.ok_or("the model parks until a time")?;
            let wanted = if run.cancel_requested { settled_at } else { available_at };
            queued.available_at = available_at.min(wanted);
        }
        Next::End { state, .. } => {
            run.state = state;
            run.queued = None;
        }
    }
    Ok(())
}

/// What can be read at the end of a history.
async fn compare(world: &World, model: &Model) -> Result<(), String> {
    ensure_eq!(world.store.next_due().await, Ok(model.next_due()));
    let entry = world.store.node_state(world.tenant, world.workflow, "shared", "key").await;
    let expected = model.entry.map(|(value, version)| (Json::from_value(json!(value)), version));
    ensure_eq!(entry, Ok(expected));
    for (id, run) in &model.runs {
        let view = world.store.run(world.tenant, *id).await;
        let view = view.map_err(|error| error.to_string())?.ok_or("a run is gone")?;
        ensure_eq!(view.run.state, run.state);
        ensure_eq!(view.run.cancel_requested, run.cancel_requested);
        let available_at = run.queued.as_ref().map(|queued| queued.available_at);
        ensure_eq!(view.available_at, available_at);
        let steps: BTreeMap<String, i64> = view
            .steps
            .into_iter()
            .map(|step| {
                (step.node, step.output.and_then(|json| json.value().as_i64()).unwrap_or(-1))
            })
            .collect();
        ensure_eq!(&steps, &run.steps);
    }
    Ok(())
}

async fn history(world: &World, ops: &[Op]) -> Result<(), String> {
    let mut model =
        Model { now: NOW, writes: 0, events: BTreeMap::new(), runs: BTreeMap::new(), entry: None };
    for (n, op) in ops.iter().enumerate() {
        perform(world, &mut model, op)
            .await
            .map_err(|difference| format!("at {n}, {op:?}: {difference}"))?;
    }
    compare(world, &model).await
}

pub async fn random_histories_agree_with_the_model(world: World) {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let histories = prop::collection::vec(op(), 1..LENGTH);
    for _ in 0..HISTORIES {
        let mut tree = histories.new_tree(&mut runner).unwrap();
        let fresh = World::new(world.database.fresh().await).await;
        let Err(mut difference) = history(&fresh, &tree.current()).await else {
            continue;
        };
        // The shortest history that still differs says most.
        let mut smaller = tree.simplify();
        let mut shortest = tree.current();
        while smaller {
            let fresh = World::new(world.database.fresh().await).await;
            match history(&fresh, &tree.current()).await {
                Err(error) => {
                    (difference, shortest) = (error, tree.current());
                    smaller = tree.simplify();
                }
                Ok(()) => smaller = tree.complicate(),
            }
        }
        panic!("{difference}\nafter {shortest:#?}");
    }
}
