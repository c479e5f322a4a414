//! Processes that share a store: what one writes the others find, and who is cut off stops.

use serde_json::json;
use tombolo_core::ports::intake::{Answer, Intake, Subscriptions};
use tombolo_core::ports::store::RunLog;
use tombolo_core::run::RunState;

use crate::support::{Bench, PATIENCE, Running, by, state};

/// A store that others use, too.
async fn shared() -> Bench {
    let mut bench = Bench::new().await;
    bench.settings.shared = true;
    bench
}

/// A process that takes in, and works on nothing.
async fn front(bench: &mut Bench) -> Running {
    let works = bench.settings.works;
    bench.settings.works = false;
    let front = bench.start().await;
    bench.settings.works = works;
    front
}

#[tokio::test]
async fn who_cannot_renew_its_leases_stops_what_its_nodes_do() {
    let mut bench = shared().await;
    bench.settings.lease_ms = 200;
    let engine = bench.start().await;
    engine.apply(json!({"a": {"use": "test.unsafe"}}), json!({})).await;
    let (started, mut go_on) = bench.sandbox.hold("a");
    engine.run("1").await;
    started.await.unwrap();

    engine.store.die();

    // Whoever calls at this moment is dropped, and with it the other end of this.
    let stopped = tokio::time::timeout(PATIENCE, go_on.closed()).await;
    assert!(stopped.is_ok(), "its lease has ended, and it still calls");
}

#[tokio::test]
async fn who_waits_is_told_of_a_run_that_another_process_works_on() {
    let mut bench = shared().await;
    let front = front(&mut bench).await;
    front.apply(json!({"a": {"use": "test.keyed"}}), json!({})).await;
    let _worker = bench.start().await;

    let answer = front.run_and_wait("1").await;

    assert!(matches!(answer, Answer::Ready { status: 200, .. }), "{answer:?}");
}

#[tokio::test]
async fn a_workflow_that_another_process_applies_is_live_here() {
    let bench = shared().await;
    let (here, there) = (bench.start().await, bench.start().await);

    there.apply(json!({"a": {"use": "test.pure"}}), json!({})).await;

    let known = async {
        while here.registry.workflow(bench.tenant, "w").is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, known).await.expect("it is looked for");
}

#[tokio::test]
async fn a_wish_that_another_process_takes_reaches_who_works_on_the_run() {
    let mut bench = shared().await;
    let worker = bench.start().await;
    worker.apply(json!({"a": {"use": "test.read"}}), json!({})).await;
    let front = front(&mut bench).await;
    let (started, _go_on) = bench.sandbox.hold("a");
    let run = worker.run("1").await;
    started.await.unwrap();

    front.engine.cancel(bench.tenant, run, by()).await.unwrap();

    assert_eq!(state(&bench.ended(run).await), RunState::Cancelled);
}

#[tokio::test]
async fn a_process_beside_others_takes_nothing_over_when_it_starts() {
    let bench = shared().await;
    let first = bench.start().await;
    first.apply(json!({"a": {"use": "test.unsafe"}}), json!({})).await;
    let (started, go_on) = bench.sandbox.hold("a");
    let run = first.run("1").await;
    started.await.unwrap();
    let due = bench.store.next_due().await.unwrap();

    let _second = bench.start().await;

    assert_eq!(bench.store.next_due().await.unwrap(), due, "the lease is the first one's");
    go_on.send(json!({"id": 1})).unwrap();
    assert_eq!(state(&bench.ended(run).await), RunState::Succeeded);
}
