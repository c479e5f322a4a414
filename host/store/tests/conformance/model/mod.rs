//! Random histories, compared with the simplest model that keeps the port's promises.

mod leases;
mod outside;
mod settle;
mod state;

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::RunId;
use tombolo_core::json::Json;

use self::settle::Brings;
use self::state::{Model, WORKERS};
use crate::world::{NOW, World};

const HISTORIES: usize = 32;
const LENGTH: usize = 60;

/// One thing that somebody does. Runs are numbers, which wrap around how many there are.
#[derive(Debug, Clone)]
enum Op {
    Accept { key: u8, lease: Option<usize> },
    Claim { worker: usize, limit: usize },
    Settle { run: usize, brings: Brings },
    Open { run: usize, worker: usize },
    Renew { run: usize, stale: bool },
    Cancel { run: usize },
    Signal { run: usize, node: u8 },
    TakeOver,
    Pass { ms: i64 },
}

fn op() -> impl Strategy<Value = Op> {
    let run = || 0..12_usize;
    prop_oneof![
        4 => (0..12_u8, proptest::option::of(0..WORKERS.len()))
            .prop_map(|(key, lease)| Op::Accept { key, lease }),
        3 => (0..WORKERS.len(), 1..4_usize).prop_map(|(worker, limit)| Op::Claim { worker, limit }),
        6 => (run(), brings()).prop_map(|(run, brings)| Op::Settle { run, brings }),
        2 => (run(), 0..WORKERS.len()).prop_map(|(run, worker)| Op::Open { run, worker }),
        1 => (run(), prop::bool::weighted(0.3)).prop_map(|(run, stale)| Op::Renew { run, stale }),
        1 => run().prop_map(|run| Op::Cancel { run }),
        3 => (run(), 0..3_u8).prop_map(|(run, node)| Op::Signal { run, node }),
        1 => Just(Op::TakeOver),
        3 => (1..40_000_i64).prop_map(|ms| Op::Pass { ms }),
    ]
}

fn brings() -> impl Strategy<Value = Brings> {
    let often = || prop::bool::weighted(0.4);
    let stale = prop::bool::weighted(0.2);
    (stale, 0..6_u8, 0..3_u8, often(), proptest::option::of(0..3_u64), often()).prop_map(
        |(stale, next, node, waits, expected, uses)| Brings {
            stale,
            next,
            node,
            waits,
            expected,
            uses,
        },
    )
}

macro_rules! ensure_eq {
    ($found:expr, $expected:expr) => {
        let (found, expected) = ($found, $expected);
        if found != expected {
            return Err(format!("the store says {found:?}, the model says {expected:?}"));
        }
    };
}

use ensure_eq;

async fn perform(world: &World, model: &mut Model, op: &Op) -> Result<(), String> {
    match op {
        Op::Accept { key, lease } => {
            return leases::accept(world, model, *key, *lease).await;
        }
        Op::Claim { worker, limit } => return leases::claim(world, model, *worker, *limit).await,
        Op::TakeOver => return leases::take_over(world, model).await,
        Op::Pass { ms } => model.now = Timestamp(model.now.0 + ms),
        Op::Settle { run, .. }
        | Op::Open { run, .. }
        | Op::Renew { run, .. }
        | Op::Cancel { run }
        | Op::Signal { run, .. } => {
            if let Some(run) = model.pick(*run) {
                return with_run(world, model, op, run).await;
            }
        }
    }
    Ok(())
}

async fn with_run(world: &World, model: &mut Model, op: &Op, run: RunId) -> Result<(), String> {
    match op {
        Op::Settle { brings, .. } => settle::settle(world, model, run, brings).await,
        Op::Open { worker, .. } => leases::open(world, model, run, *worker).await,
        Op::Renew { stale, .. } => leases::renew(world, model, run, *stale).await,
        Op::Cancel { .. } => outside::cancel(world, model, run).await,
        Op::Signal { node, .. } => outside::signal(world, model, run, *node).await,
        Op::Accept { .. } | Op::Claim { .. } | Op::TakeOver | Op::Pass { .. } => Ok(()),
    }
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
        let available_at = run.queued.as_ref().and_then(|queued| queued.available_at);
        ensure_eq!(view.available_at, available_at);
        let signals: BTreeMap<String, i64> = world
            .signals(*id)
            .await
            .into_iter()
            .map(|signal| (signal.step.node, signal.body.value().as_i64().unwrap_or(-1)))
            .collect();
        ensure_eq!(&signals, &run.signals);
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
    let mut model = Model::new(NOW);
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
