//! How the statements of the store go at 50,000 runs of 20 tenants: along an index, and past no more
//! rows than they give, whatever the server knows about the tables.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::Executor;
use tombolo_core::error::ErrorClass;
use tombolo_core::id::{RunId, TokenId};
use tombolo_core::ports::store::{
    Access, AuditTrail, Catalog, Claim, Cursor, Housekeeping, LetterBox, LetterCursor,
    LetterFilter, Page, QuotaChange, Reading, RunFilter, RunLog, Settle, Shares, StepKey,
    TokenPage, TokenUse, Turns, Wanted,
};
use tombolo_core::quota::Quotas;
use tombolo_core::run::RunState;
use tombolo_store::PostgresStore;

use crate::everything::audit;
use crate::explain::Explained;
use crate::many::{self, Sample};
use crate::world::{Ids, Owner, after, claim, done, ended, readable};

/// Rows that one part of a statement may give. The largest answer is of 100 runs, with their steps.
const MOST: i64 = 1_000;

/// Statements that look at many rows by their nature, by how they begin, and why they may.
const MANY: [(&str, &str); 2] = [
    ("SELECT q.run_id FROM ( SELECT run_id, cancel_requested", "at so many due runs, and no more"),
    ("SELECT w.tenant_id, w.connection, w.run_id", "at every run that waits for a connection"),
];

/// What the server knows about the tables.
const STATISTICS: [(&str, &str); 5] = [
    ("first of empty tables, then what it counted", ""),
    (
        "of empty tables",
        "SET allow_system_table_mods = on; DELETE FROM pg_statistic;
         UPDATE pg_class SET reltuples = 0, relpages = 0, relallvisible = 0
         WHERE relnamespace = 'public'::regnamespace",
    ),
    (
        "of a vacuum that found nothing in the queue",
        "SET allow_system_table_mods = on;
         UPDATE pg_class SET reltuples = 0, relpages = pg_relation_size(oid) / 8192
         WHERE oid = 'queue'::regclass",
    ),
    (
        "none",
        "SET allow_system_table_mods = on; DELETE FROM pg_statistic;
         UPDATE pg_class SET reltuples = -1, relpages = 0, relallvisible = 0
         WHERE relnamespace = 'public'::regnamespace",
    ),
    ("fresh", "ANALYZE"),
];

/// Plans are made when a statement is first used, which is when a new database is empty.
#[tokio::test]
async fn are_made_anew_while_the_tables_grow() {
    const COUNTED: &str = "SELECT reltuples > 0 FROM pg_class WHERE oid = 'run'::regclass";
    let explained = Explained::new().await;
    let (world, owner) = (&explained.world, explained.world.owner("grows").await);
    let mut look = world.database.look().await.unwrap();
    let mut written = 0;
    // Nothing else counts tables on this server.
    while !sqlx::query_scalar::<_, bool>(COUNTED).fetch_one(&mut look).await.unwrap() {
        let keys = written..written + 100;
        let accepts = keys.map(|key| owner.event(&key.to_string())).collect();
        world.store.accept(accepts).await.unwrap();
        written += 100;
        assert!(written < 1_000_000, "nobody has counted the tables");
    }
}

#[tokio::test]
async fn go_along_indexes_whatever_the_server_knows() {
    let mut explained = Explained::new().await;
    let mut look = explained.world.database.look().await.unwrap();
    look.execute("ANALYZE").await.unwrap();
    // Its plans are made while the tables are empty, and kept.
    let early = explained.store().await;
    let first = many::first(&explained.world).await;
    for round in 0..3 {
        story(&early, &first, round, &[1]).await;
    }
    let samples = many::write(&explained.world).await;
    // As it does by itself while it writes; here nothing else counts tables.
    assert!(early.count_grown_tables().await.unwrap() > 10);
    drop(explained.plans());
    let mut early = Some(early);
    let mut faults: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let (mut statements, mut queries) = (0, BTreeSet::new());
    for (round, (known, prepare)) in STATISTICS.into_iter().enumerate() {
        look.execute(prepare).await.unwrap();
        let store = match early.take() {
            Some(early) => early,
            None => explained.store().await,
        };
        for sample in &samples[2 * round..2 * round + 2] {
            story(&store, sample, 10 + round, &[1, 64]).await;
            housekeeping(&store, &sample.owner).await;
        }
        store.close().await;
        for plan in explained.plans() {
            statements += 1;
            queries.insert(plan.query.clone());
            if MANY.iter().any(|(beginning, _)| plan.query.starts_with(beginning)) {
                continue;
            }
            for fault in plan.faults(MOST) {
                let of = format!("{known}: {fault}");
                faults.entry(plan.query.clone()).or_default().insert(of);
            }
        }
    }
    assert_eq!(faults, BTreeMap::new());
    for (beginning, _) in MANY {
        assert!(queries.iter().any(|query| query.starts_with(beginning)), "{beginning}");
    }
    assert!(queries.len() > 60, "{}", queries.len());
    println!(
        "growth: {statements} statements, {} different, at {} runs with statistics {:?}",
        queries.len(),
        many::TENANTS * many::RUNS_EACH,
        STATISTICS.map(|(known, _)| known),
    );
}

/// What is asked and written all the time.
async fn story(store: &PostgresStore, sample: &Sample, round: usize, claimed: &[usize]) {
    let owner = &sample.owner;
    accept_and_settle(store, owner, round).await;
    claims(store, owner, claimed).await;
    lists(store, owner).await;
    letters(store, sample).await;
    of_one_run(store, sample).await;
    access(store, owner).await;
}

/// Who may, and how much.
async fn access(store: &PostgresStore, owner: &Owner) {
    let tenant = owner.tenant;
    for before in [None, Some(TokenId::new(&Ids))] {
        store.tokens(tenant, TokenPage { before, limit: 50 }).await.unwrap();
    }
    let token = TokenId::new(&Ids);
    store.token([1; 32]).await.unwrap();
    store.touch_tokens(vec![TokenUse { tenant, token, at: after(1) }]).await.unwrap();
    store.revoke_token(tenant, token, audit("token")).await.unwrap();
    Access::tenants(store, Some("tenant-1"), 10).await.unwrap();
    store.quotas().await.unwrap();
    let change = QuotaChange { before: Quotas::default(), after: Quotas::default() };
    store.set_quotas(tenant, change, Some(audit("quotas"))).await.unwrap();
    store.open_runs(&[(tenant, 100)]).await.unwrap();
    store.storage_bytes(&[tenant]).await.unwrap();
    assert!(store.knows_event(tenant, "hook:deals", "queued").await.unwrap());
    store.audit_head(tenant).await.unwrap();
}

async fn accept_and_settle(store: &PostgresStore, owner: &Owner, round: usize) {
    let known = owner.event("queued");
    store.accept(vec![known]).await.unwrap();
    let mut leases = Vec::new();
    for n in 0..5 {
        leases.push(owner.hold(store, &format!("{round}/{n}")).await);
    }
    store.renew(&leases, after(60_000)).await.unwrap();
    let runs: Vec<RunId> = leases.iter().map(|lease| lease.run).collect();
    store.cancel_requested(&runs).await.unwrap();
    store.signalled(&runs).await.unwrap();
    let nexts = [
        tombolo_core::ports::store::Next::Hold,
        tombolo_core::ports::store::Next::Park {
            state: RunState::Waiting,
            available_at: Some(after(90_000)),
            connections: BTreeSet::from(["hubspot".to_owned()]),
        },
        ended(RunState::Succeeded),
        ended(RunState::Failed),
        ended(RunState::Cancelled),
    ];
    for (lease, next) in leases.iter().zip(nexts) {
        let steps = vec![done("deal")];
        let entry = vec![audit("deal")];
        let results = owner.results(lease, next);
        store.settle(Settle { steps, audit: entry, ..results }).await.unwrap();
    }
    store.request_cancel(owner.tenant, leases[1].run, None).await.unwrap();
}

async fn claims(store: &PostgresStore, owner: &Owner, limits: &[usize]) {
    store.next_due().await.unwrap();
    for limit in limits.iter().copied() {
        let held: Vec<_> = store.claim(claim(limit)).await.unwrap();
        let runs = held.into_iter().map(readable);
        let leases: Vec<_> = runs.map(|run| run.lease).collect();
        assert_eq!(leases.len(), limit);
        let held = leases.iter().map(|lease| lease.run).collect();
        store.claim(Claim { held, ..claim(limit) }).await.unwrap();
        let turns = Turns { shares: Shares::new(1_000), first: owner.tenant };
        let taken = store.claim(Claim { turns: Some(turns), ..claim(limit) }).await.unwrap();
        assert_eq!(taken.len(), limit);
        store.renew(&leases, after(60_000)).await.unwrap();
    }
    store.claim(Claim { wanted: Wanted::Ending, ..claim(64) }).await.unwrap();
}

async fn lists(store: &PostgresStore, owner: &Owner) {
    let all = RunFilter::default();
    let page = Page { after: None, limit: 50 };
    let first = store.runs(owner.tenant, &all, page).await.unwrap();
    let middle = Some(Cursor(first[first.len() / 2].run.id));
    let workflow = Some("deals".to_owned());
    for filter in [
        all.clone(),
        RunFilter { workflow: workflow.clone(), ..all.clone() },
        RunFilter { correlation_id: Some("correlation-1".to_owned()), ..all.clone() },
        RunFilter { states: vec![RunState::Succeeded], ..all.clone() },
        RunFilter { states: vec![RunState::Failed], ..all.clone() },
        RunFilter { states: vec![RunState::Waiting, RunState::Queued], ..all.clone() },
        RunFilter { states: vec![RunState::Failed, RunState::Waiting], workflow, ..all },
    ] {
        for after in [None, middle] {
            store.runs(owner.tenant, &filter, Page { after, ..page }).await.unwrap();
        }
    }
    store.audit(owner.tenant, 50, None).await.unwrap();
    store.workflows(owner.tenant).await.unwrap();
    store.connection(owner.tenant, "hubspot").await.unwrap();
}

async fn letters(store: &PostgresStore, sample: &Sample) {
    let tenant = sample.owner.tenant;
    let all = LetterFilter::default();
    let step = StepKey { node: "deal".to_owned(), item: 0 };
    let middle = LetterCursor { run: sample.failed, step: step.clone() };
    for filter in [
        all.clone(),
        LetterFilter { discarded: true, ..all.clone() },
        LetterFilter { run: Some(sample.failed), ..all.clone() },
        LetterFilter { node: Some("deal".to_owned()), ..all.clone() },
        LetterFilter { code: Some("broken".to_owned()), ..all.clone() },
        LetterFilter { class: Some(ErrorClass::Permanent), ..all.clone() },
        LetterFilter { workflow: Some("deals".to_owned()), ..all },
    ] {
        for after in [None, Some(middle.clone())] {
            store.letters(tenant, &filter, after, 50).await.unwrap();
        }
    }
    store.letter_count(tenant).await.unwrap();
    let reason = "sold elsewhere".to_owned();
    store.discard(tenant, sample.failed, &step, reason, audit("deal")).await.unwrap();
}

async fn of_one_run(store: &PostgresStore, sample: &Sample) {
    let Owner { tenant, workflow } = sample.owner;
    for run in [sample.succeeded, sample.failed, sample.waiting] {
        let view = store.run(tenant, run).await.unwrap().unwrap();
        store.event(tenant, view.event.id).await.unwrap();
        store.calls(tenant, run).await.unwrap();
        store.signals(tenant, run).await.unwrap();
    }
    store.node_state(tenant, workflow, "deal", "k").await.unwrap();
    store.request_cancel(tenant, sample.waiting, None).await.unwrap();
}

async fn housekeeping(store: &PostgresStore, owner: &Owner) {
    let workflow = (owner.tenant, owner.workflow);
    assert_eq!(store.forget(workflow, after(1_000), 100).await, Ok(100));
    store.forget_events(after(1_000), 100).await.unwrap();
    store.forget_waits(100).await.unwrap();
    store.sweep_payloads(None, 100).await.unwrap();
}
