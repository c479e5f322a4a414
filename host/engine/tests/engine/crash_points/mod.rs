//! The process dies before and after every write of random workflows, and the next one goes on.
//!
//! Whatever the DAG: every accepted event ends, no recorded result changes, a call of an unsafe step
//! is made once at most, every attempt of a step has the step's one key, what a step starts is
//! started once, and journals agree with their steps.

mod check;
mod shape;

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use futures_util::FutureExt;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::json;
use tombolo_core::audit::{Actor, AuditEntry};
use tombolo_core::ports::intake::Intake;
use tombolo_core::ports::store::{
    Catalog, Page, Reading, RunFilter, RunLog, RunView, Signal, StepRow,
};
use tombolo_core::run::{RunState, StepState};

use self::check::{Results, results};
use self::shape::{Kind, Node, child, file, name, node, script};
use crate::support::mortal::Trouble;
use crate::support::{Bench, Running};

/// Workflows in an ordinary run of the tests; `TOMBOLO_FAULT_CASES` overrides it.
const CASES: u32 = 24;

/// The same workflows in every run, unless `TOMBOLO_FAULT_SEED` says otherwise.
const SEED: u64 = 20_261_122;

/// Bound of everything that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The run of that key, if it is stored.
async fn run_of(bench: &Bench, key: &str) -> Option<RunView> {
    let page = Page { after: None, limit: 1 };
    let filter = RunFilter { workflow: Some("w".into()), ..RunFilter::default() };
    let newest = bench.store.runs(bench.tenant, &filter, page).await.unwrap();
    let view = bench.store.run(bench.tenant, newest.first()?.run.id).await.unwrap()?;
    (view.event.payload.value()["trigger"]["id"] == key).then_some(view)
}

/// Gives a run that waits what it waits for: an answer, a mended connection, or its time.
async fn help(bench: &Bench, nodes: &[Node], view: &RunView) {
    if view.run.state != RunState::Waiting {
        return;
    }
    let now = bench.clock_now();
    let (tenant, run) = (bench.tenant, view.run.id);
    let asks = |step: &&StepRow| {
        let mut asks = nodes.iter().enumerate().filter(|(_, node)| node.kind == Kind::Callback);
        asks.any(|(at, _)| name(at) == step.node)
    };
    let waiting = view.steps.iter().filter(|step| step.state == StepState::Waiting);
    let (asking, others): (Vec<_>, Vec<_>) = waiting.partition(asks);
    for step in asking {
        let body = json!({"called": step.node}).into();
        let signal = Signal { tenant, run, step: step.key(), body, at: now };
        bench.store.signal(signal, None).await.unwrap();
    }
    let connection = bench.store.connection(tenant, "crm").await.unwrap().unwrap();
    if connection.paused.is_some() {
        let audit = AuditEntry {
            at: now,
            actor: Actor("token:test".into()),
            action: "connection-resumed".into(),
            subject: "crm".into(),
            detail: json!(null),
            correlation_id: None,
        };
        bench.store.resume_connection(tenant, "crm", now, audit).await.unwrap();
    }
    if let Some(due) = others.iter().filter_map(|step| step.due_at).min()
        && due > now
    {
        bench.clock.forward(due.since(now));
    }
}

/// Helps the run of that key on until it has ended, or `over` says that it is enough.
async fn help_on(bench: &Bench, nodes: &[Node], key: &str, over: impl Fn() -> bool) {
    let look = async {
        while !over() {
            if let Some(view) = run_of(bench, key).await {
                if view.run.state.ended() {
                    return;
                }
                help(bench, nodes, &view).await;
            }
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(PATIENCE, look).await.is_err() {
        panic!("{key} is stuck: {:#?}", run_of(bench, key).await);
    }
}

/// Accepts the event, and goes on until it and all that it has started have ended.
async fn to_the_end(bench: &Bench, engine: &Running, nodes: &[Node], key: &str) -> RunView {
    engine.run(key).await;
    help_on(bench, nodes, key, || false).await;
    let idle = async {
        while bench.store.next_due().await.unwrap().is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, idle).await.expect("nothing is left in the queue");
    run_of(bench, key).await.expect("it is stored")
}

/// One run with processes that die, and one that goes on.
async fn with_a_death(bench: &Bench, nodes: &[Node], at: usize, trouble: Trouble, key: &str) {
    script(bench, nodes);
    let first = bench.start().await;
    first.store.plan(at, trouble.clone());
    let dying = first.engine.clone();
    let arrival = first.arrival(key);
    let accepting = tokio::spawn(async move { dying.accept(vec![arrival]).await });
    let store = first.store.clone();
    help_on(bench, nodes, key, || store.is_dead()).await;
    first.kill();
    accepting.abort();
    let mut recorded = Results::new();
    if let Some(view) = run_of(bench, key).await {
        recorded = results(&view);
        check::left(bench, nodes, &view).await;
    }
    // The next one dies while it takes over.
    bench.start_and_die(0, trouble).await;
    // The sender was not answered, or does not remember: it sends again.
    let last = bench.start().await;
    let view = to_the_end(bench, &last, nodes, key).await;
    check::ended(bench, nodes, &view, &recorded, 1).await;
    last.kill();
}

/// How many writes the run makes when nothing goes wrong.
async fn writes(bench: &Bench, engine: &Running, nodes: &[Node]) -> usize {
    script(bench, nodes);
    let before = engine.store.writes();
    let view = to_the_end(bench, engine, nodes, "calm").await;
    check::ended(bench, nodes, &view, &Results::new(), 0).await;
    engine.store.writes() - before
}

/// A number that somebody gave for a longer test.
#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment how long it may be"
)]
fn number<T: std::str::FromStr>(variable: &str, otherwise: T) -> T {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[tokio::test]
async fn a_death_at_any_write_loses_nothing_and_repeats_nothing_that_is_unsafe() {
    let cases = number("TOMBOLO_FAULT_CASES", CASES);
    let seed = number("TOMBOLO_FAULT_SEED", SEED);
    let config = Config { rng_seed: RngSeed::Fixed(seed), ..Config::default() };
    let mut runner = TestRunner::new(config);
    let mut points = 0;
    let mut shapes = BTreeSet::new();
    for case in 0..cases {
        let tree = prop::collection::vec(node(), 2..7).new_tree(&mut runner).unwrap();
        let nodes = tree.current();
        shapes.extend(nodes.iter().map(|node| format!("{:?}", node.kind)));
        let bench = Bench::new().await;
        bench.connect("crm").await;
        let engine = bench.start().await;
        let (child, triggers) = child();
        engine.apply_as("child", child, triggers).await;
        engine.apply(file(&nodes), json!({})).await;
        let writes = writes(&bench, &engine, &nodes).await;
        engine.kill();
        for at in 0..writes {
            for trouble in [Trouble::DiesBefore, Trouble::DiesAfter] {
                let key = format!("{at}-{trouble:?}");
                let tried = with_a_death(&bench, &nodes, at, trouble, &key);
                if std::panic::AssertUnwindSafe(tried).catch_unwind().await.is_err() {
                    panic!("{key}: write {at} of {writes}, case {case} of seed {seed}: {nodes:#?}");
                }
                points += 1;
            }
        }
    }
    assert!(points > 0);
    // Said even where the output of a test that passes is not shown.
    let kinds = shapes.len();
    let counts = format!("crash points: {points} in {cases} workflows of {kinds} kinds of nodes");
    writeln!(std::io::stdout(), "{counts} (seed {seed}), lost=0, doubled=0").unwrap();
}
