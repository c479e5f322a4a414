//! The queue while somebody holds a snapshot: nothing that ended since then can be removed, and every
//! look for work passes over it. `docs/deploy.md` has the figures.

use futures_util::future::join_all;
use sqlx::{Connection, Executor, PgConnection};
use tombolo_core::clock::Timestamp;
use tombolo_core::ports::store::{Claim, RunLog};
use tombolo_core::run::RunState;
use tombolo_store::PostgresStore;

use crate::explain::Explained;
use crate::world::{NOW, Owner, World, claim, ended, few, readable};

/// Runs that go through while the snapshot is held, and how many at a time.
const RUNS: usize = 20_000;
const AT_ONCE: usize = 500;

/// Runs of a claim that is looked at.
const CLAIMED: usize = 64;

/// Between two rounds: 100 runs a second.
const PAUSE_MS: i64 = 5_000;

/// Pages of a claim and of the table when nothing is in the way: some for each run.
const PAGES_AT_FIRST: i64 = 1_000;
const SIZE_AT_FIRST: i64 = 20;

/// What each run that ended since the snapshot adds: to a claim, of the pages that its two row
/// versions are on, and to the table.
const PAGES_A_RUN: f64 = 0.2;
const SIZE_A_RUN: f64 = 0.05;

struct Queue {
    explained: Explained,
    owner: Owner,
    now: Timestamp,
}

impl Queue {
    async fn new() -> Self {
        let explained = Explained::new().await;
        let owner = explained.world.owner("acme").await;
        Self { explained, owner, now: NOW }
    }

    fn world(&self) -> &World {
        &self.explained.world
    }

    /// Accepts runs, claims them and ends them.
    async fn round(&mut self, store: &PostgresStore, runs: usize) {
        self.now = Timestamp(self.now.0 + PAUSE_MS);
        let (owner, now) = (&self.owner, self.now);
        let event = |n: usize| {
            let mut accept = owner.event(&format!("{now:?}/{n}"));
            accept.event.received_at = now;
            accept
        };
        store.accept((0..runs).map(event).collect()).await.unwrap();
        let until = Timestamp(now.0 + 30_000);
        let claimed = store.claim(Claim { now, until, ..claim(runs) }).await.unwrap();
        assert_eq!(claimed.len(), runs);
        let ends = claimed.into_iter().map(|claimed| {
            let lease = readable(claimed).lease;
            store.settle(owner.results(&lease, ended(RunState::Succeeded)))
        });
        for end in join_all(ends).await {
            end.unwrap();
        }
    }

    /// Pages that a claim looks at in the queue.
    async fn pages(&mut self) -> i64 {
        let store = self.explained.store().await;
        self.round(&store, CLAIMED).await;
        store.close().await;
        self.explained.no_more().await;
        let plans = self.explained.plans();
        for plan in &plans {
            if plan.query.contains("SKIP LOCKED") && plan.pages() > 2_000 {}
        }
        let of_claim = plans.iter().filter(|plan| is_of_claim(&plan.query));
        of_claim.map(|plan| plan.pages()).sum()
    }

    /// Pages of the table.
    async fn size(&self, look: &mut PgConnection) -> i64 {
        sqlx::query_scalar("SELECT pg_relation_size('queue') / 8192").fetch_one(look).await.unwrap()
    }
}

fn is_of_claim(query: &str) -> bool {
    query.contains("SKIP LOCKED") || query.starts_with("UPDATE queue SET lease_owner = $1")
}

#[tokio::test]
async fn costs_a_claim_no_more_than_what_ended_since_the_snapshot() {
    let mut queue = Queue::new().await;
    let mut look = queue.world().database.look().await.unwrap();
    let before = (queue.pages().await, queue.size(&mut look).await);
    assert!(before.0 <= PAGES_AT_FIRST && before.1 <= SIZE_AT_FIRST, "{before:?}");

    let mut holder = queue.world().database.look().await.unwrap();
    holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    holder.execute("SELECT count(*) FROM queue").await.unwrap();
    let store = PostgresStore::open(few(queue.world().database.url())).await.unwrap();
    for _ in 0..RUNS / AT_ONCE {
        queue.round(&store, AT_ONCE).await;
    }
    store.close().await;
    // It can remove nothing that has ended since the snapshot.
    look.execute("VACUUM queue").await.unwrap();
    let held = (queue.pages().await, queue.size(&mut look).await);
    let bound = |at_first: i64, a_run: f64| at_first + (RUNS as f64 * a_run) as i64;
    assert!(held.0 <= bound(PAGES_AT_FIRST, PAGES_A_RUN), "{held:?}");
    assert!(held.1 <= bound(SIZE_AT_FIRST, SIZE_A_RUN), "{held:?}");

    holder.close().await.unwrap();
    let released = [queue.pages().await, queue.pages().await];
    assert!(
        released[1] < released[0] / 2,
        "the first claim marks what the next ones skip: {released:?}"
    );
    look.execute("VACUUM queue").await.unwrap();
    let after = (queue.pages().await, queue.size(&mut look).await);
    assert!(after.0 <= PAGES_AT_FIRST && after.1 <= SIZE_AT_FIRST, "{after:?}");
    println!(
        "growth: (pages of a claim of {CLAIMED}, pages of the queue): {before:?} at first, {held:?} \
         after {RUNS} runs under a snapshot, claims of {released:?} pages without it, {after:?} \
         after a vacuum"
    );
}

/// The settings with which autovacuum keeps the table small: the defaults would let it grow with the
/// number of rows, of which there are few.
#[tokio::test]
async fn is_vacuumed_by_settings_of_its_own() {
    let world = World::new().await;
    let mut connection = world.database.connect().await.unwrap();
    let mut settings: Vec<String> =
        sqlx::query_scalar("SELECT unnest(reloptions) FROM pg_class WHERE oid = 'queue'::regclass")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    settings.sort();
    let expected = [
        "autovacuum_analyze_scale_factor=0",
        "autovacuum_analyze_threshold=20000",
        "autovacuum_vacuum_cost_delay=0",
        "autovacuum_vacuum_insert_scale_factor=0.2",
        "autovacuum_vacuum_scale_factor=0",
        "autovacuum_vacuum_threshold=2000",
        "fillfactor=70",
    ];
    assert_eq!(settings, expected);
    println!("growth: {} settings of the queue", settings.len());
}
