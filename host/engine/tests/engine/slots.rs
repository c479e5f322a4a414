//! Who gets a slot, and who needs none.

use serde_json::json;
use tombolo_core::ports::intake::{Answer, Intake};
use tombolo_core::ports::store::Reading;
use tombolo_core::run::RunState;

use crate::support::{Bench, HOUR, Running, by, soon, state};

/// An engine with one slot, which a run of `holder` has until the sender is used.
async fn full(bench: &mut Bench) -> (Running, tokio::sync::oneshot::Sender<serde_json::Value>) {
    bench.settings.concurrent_runs = 1;
    let engine = bench.start().await;
    engine.apply_as("holder", json!({"hold": {"use": "test.read"}}), json!({})).await;
    engine.apply(json!({"a": {"use": "test.read"}}), json!({"timeout": "1h"})).await;
    let (held, go_on) = bench.sandbox.hold("hold");
    engine.run_of("holder", "1").await;
    soon(held).await.unwrap();
    (engine, go_on)
}

#[tokio::test]
async fn a_queued_run_that_is_to_end_needs_no_slot() {
    let mut bench = Bench::new().await;
    let (engine, _go_on) = full(&mut bench).await;
    let cancelled = engine.run("cancelled").await;
    let late = engine.run("late").await;
    engine.engine.cancel(bench.tenant, cancelled, by()).await.unwrap();
    assert_eq!(state(&bench.ended(cancelled).await), RunState::Cancelled);
    bench.clock.forward(HOUR);
    assert_eq!(bench.ended(late).await.run.error.unwrap().code, "run-timeout");
    assert!(bench.sandbox.attempts("a").is_empty());
}

/// However long the runs of a tenant take, and however many of them wait.
#[tokio::test]
async fn the_runs_of_a_tenant_leave_a_slot_to_another() {
    const SLOTS: usize = 4;
    let mut bench = Bench::new().await;
    bench.settings.concurrent_runs = SLOTS;
    let engine = bench.start().await;
    engine.apply(json!({"a": {"use": "test.read"}}), json!({})).await;
    let other = engine.asked_by(bench.other_tenant("globex").await);
    other.apply(json!({"b": {"use": "set", "with": {"n": 1}}}), json!({})).await;
    let mut held = Vec::new();
    for n in 0..SLOTS - 1 {
        let (started, go_on) = bench.sandbox.hold("a");
        engine.run(&n.to_string()).await;
        soon(started).await.unwrap();
        held.push(go_on);
    }
    let queued = [engine.run("queued").await, engine.run("queued, too").await];

    let answer = soon(other.run_and_wait("1")).await;

    assert!(matches!(answer, Answer::Ready { status: 200, .. }), "{answer:?}");
    for run in queued {
        let waits = bench.store.run(bench.tenant, run).await.unwrap().unwrap();
        assert_eq!(state(&waits), RunState::Queued, "there is one slot left, for somebody else");
    }
    // What its own runs leave is its own.
    held.pop().unwrap().send(json!(1)).unwrap();
    for run in queued {
        assert_eq!(state(&bench.ended(run).await), RunState::Succeeded);
    }
}

#[tokio::test]
async fn a_queued_run_is_not_kept_by_a_clock_that_is_set_back() {
    let mut bench = Bench::new().await;
    let (engine, go_on) = full(&mut bench).await;
    let queued = engine.run("queued").await;
    bench.clock.back(HOUR);
    go_on.send(json!(1)).unwrap();
    assert_eq!(state(&bench.ended(queued).await), RunState::Succeeded);
}

#[tokio::test]
async fn nor_by_one_that_was_set_back_while_no_process_ran() {
    let mut bench = Bench::new().await;
    let (engine, _never) = full(&mut bench).await;
    let queued = engine.run("queued").await;
    engine.kill();
    bench.clock.back(HOUR);
    bench.start().await;
    assert_eq!(state(&bench.ended(queued).await), RunState::Succeeded);
}

#[tokio::test]
async fn a_run_that_ends_its_workers_takes_no_other_with_it() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(json!({"a": {"use": "test.read"}}), json!({})).await;
    engine.apply_as("killer", json!({"kill": {"use": "test.read"}}), json!({})).await;
    let queued = json!({"limits": {"concurrency": [{"runs": 1}]}});
    engine.apply_as("queued", json!({"q": {"use": "test.read"}}), queued).await;
    // Both are under way in two deaths, and nobody knows whose fault it was.
    let (a, _never) = bench.sandbox.hold("a");
    let (kill, _nor_this) = bench.sandbox.hold("kill");
    let run = engine.run("1").await;
    let killer = engine.run_of("killer", "1").await;
    soon(a).await.unwrap();
    soon(kill).await.unwrap();
    engine.kill();
    let (a, _never) = bench.sandbox.hold("a");
    let (kill, _nor_this) = bench.sandbox.hold("kill");
    let engine = bench.start().await;
    soon(a).await.unwrap();
    soon(kill).await.unwrap();
    engine.kill();

    // From now on they are claimed apart: the next one when the first has made progress.
    let (a, go_on) = bench.sandbox.hold("a");
    let engine = bench.start().await;
    soon(a).await.unwrap();
    let other = engine.run_of("queued", "1").await;
    assert_eq!(state(&bench.ended(other).await), RunState::Succeeded);
    assert_eq!(bench.sandbox.attempts("kill").len(), 2, "the other suspect waits");
    go_on.send(json!(1)).unwrap();
    assert_eq!(state(&bench.ended(run).await), RunState::Succeeded);
    assert_eq!(state(&bench.ended(killer).await), RunState::Succeeded);
}
