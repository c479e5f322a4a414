//! 50,000 runs of 20 tenants: a few of each that were written through the port, many times over.

use sqlx::{AssertSqlSafe, Executor};
use tombolo_core::id::RunId;
use tombolo_core::ports::store::{RunLog, Settle};
use tombolo_core::run::RunState;

use crate::everything;
use crate::world::{Owner, World, done, ended};

pub const TENANTS: usize = 20;

/// Runs of each tenant: as many of each kind.
pub const RUNS_EACH: usize = 2_500;

/// Runs that are written through the port and told apart: two that succeeded, one that failed and
/// left a letter, one that is queued, and one that waits for a connection.
const SEEDS: usize = 5;

/// A table below an event or a run, and what tells a copy of a row apart: its columns that hold an
/// id, the number of a pack, or a hash.
struct Below {
    table: &'static str,
    ids: &'static [&'static str],
    numbers: &'static [&'static str],
    hashes: &'static [&'static str],
}

const fn below(
    table: &'static str,
    ids: &'static [&'static str],
    numbers: &'static [&'static str],
    hashes: &'static [&'static str],
) -> Below {
    Below { table, ids, numbers, hashes }
}

const TABLES: [Below; 12] = [
    below("event", &["id"], &["pack"], &["key_hash", "run_ids"]),
    below("run", &["id", "event_id"], &["pack", "output_pack"], &[]),
    below("queue", &["run_id"], &["pack"], &[]),
    below("step", &["run_id"], &["pack"], &[]),
    below("effect", &["run_id"], &["pack"], &[]),
    below("journal", &["run_id"], &[], &[]),
    below("signal", &["run_id"], &[], &[]),
    below("dead_letter", &["run_id"], &[], &[]),
    below("run_ended_badly", &["run_id"], &[], &[]),
    below("connection_wait", &["run_id"], &[], &[]),
    below("payload_use", &["owner_id"], &[], &[]),
    below("pack", &[], &["id", "before"], &[]),
];

/// A tenant with a run of each kind.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub owner: Owner,
    pub succeeded: RunId,
    pub failed: RunId,
    pub waiting: RunId,
}

/// A tenant alone, with a few runs.
pub async fn first(world: &World) -> Sample {
    let owner = world.owner("first").await;
    let queued = (0..20).map(|n| owner.event(&format!("queued-{n}"))).collect();
    world.store.accept(queued).await.unwrap();
    seed(world, owner).await
}

/// Writes them.
pub async fn write(world: &World) -> Vec<Sample> {
    let mut samples = Vec::new();
    for n in 0..TENANTS {
        let owner = world.owner(&format!("tenant-{n}")).await;
        samples.push(seed(world, owner).await);
    }
    let mut look = world.database.look().await.unwrap();
    let copies = RUNS_EACH / SEEDS - 1;
    for Below { table, ids, numbers, hashes } in TABLES {
        let id = |column: &&str| {
            format!("'{column}', lpad(to_hex(n), 8, '0') || substr(t.{column}::text, 9)")
        };
        let number = |column: &&str| format!("'{column}', t.{column} + n * 1000000000");
        let hash = |column: &&str| {
            format!("'{column}', overlay(t.{column} PLACING int4send(n::int) FROM 1 FOR 4)")
        };
        let changed: Vec<String> = (ids.iter().map(id))
            .chain(numbers.iter().map(number))
            .chain(hashes.iter().map(hash))
            .collect();
        let statement = format!(
            "INSERT INTO {table} SELECT (jsonb_populate_record(t, jsonb_build_object({}))).*
             FROM {table} t, generate_series(1::bigint, {copies}) n",
            changed.join(", ")
        );
        look.execute(AssertSqlSafe(statement)).await.unwrap();
    }
    samples
}

async fn seed(world: &World, owner: Owner) -> Sample {
    let store = &world.store;
    let (failed, waiting) = everything::write_runs(store, &owner).await;
    let mut succeeded = Vec::new();
    for key in ["1", "2"] {
        let lease = owner.hold(store, key).await;
        let steps = vec![done("deal"), done("mail")];
        let results = owner.results(&lease, ended(RunState::Succeeded));
        store.settle(Settle { steps, ..results }).await.unwrap();
        succeeded.push(lease.run);
    }
    store.accept(vec![owner.event("queued")]).await.unwrap();
    Sample { owner, succeeded: succeeded[0], failed, waiting }
}
