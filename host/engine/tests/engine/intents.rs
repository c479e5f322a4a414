//! Unsafe steps that a run begins with: their intents are stored with the event, and they are called
//! once that is durable, unless the run has to end.

use std::time::Duration;

use serde_json::{Value, json};
use tombolo_core::run::RunState;

use crate::support::mortal::Trouble;
use crate::support::{Bench, soon, state, step};

/// An unsafe call behind a step that is computed with the event.
fn nodes() -> Value {
    json!({
        "first": {"use": "test.pure"},
        "send": {"use": "test.unsafe", "after": ["first"]},
    })
}

#[tokio::test]
async fn what_could_not_be_stored_is_not_called() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(nodes(), json!({})).await;
    engine.store.plan(0, Trouble::Fails(tombolo_core::ports::store::StoreError::Full));
    engine.try_run("1").await.unwrap_err();
    assert!(bench.sandbox.attempts("send").is_empty());
    // The sender sends it again.
    let run = engine.run("1").await;
    assert_eq!(state(&bench.ended(run).await), RunState::Succeeded);
    assert_eq!(bench.sandbox.attempts("send").len(), 1);
}

#[tokio::test]
async fn a_process_that_dies_before_the_call_leaves_it_unknown() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(nodes(), json!({})).await;
    engine.store.plan(0, Trouble::DiesAfter);
    tokio::select! {
        _ = engine.run("1") => panic!("nobody was told"),
        () = engine.store.dies() => {}
    }
    engine.kill();
    let engine = bench.start().await;
    let run = engine.run("1").await;
    let ended = bench.ended(run).await;
    assert_eq!((state(&ended), step(&ended, "send").as_str()), (RunState::Failed, "unknown"));
    assert_eq!(step(&ended, "first"), "succeeded");
    assert!(bench.sandbox.attempts("send").is_empty());
}

#[tokio::test]
async fn a_run_that_is_out_of_time_by_then_calls_nothing() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(nodes(), json!({"timeout": "1h"})).await;
    let (first, go_on) = bench.sandbox.hold("first");
    let time_passes = async {
        first.await.unwrap();
        bench.clock.forward(Duration::from_secs(2 * 3600));
        go_on.send(json!({})).unwrap();
    };
    let (run, ()) = soon(async { tokio::join!(engine.run("1"), time_passes) }).await;
    let ended = bench.ended(run).await;
    assert_eq!(state(&ended), RunState::Cancelled);
    assert_eq!(ended.run.error.as_ref().unwrap().code, "run-timeout");
    assert_eq!(step(&ended, "send"), "cancelled", "and not unknown");
    assert!(bench.sandbox.attempts("send").is_empty());
}

#[tokio::test]
async fn a_step_that_cannot_be_prepared_costs_the_others_nothing() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let nodes = json!({
        "first": {"use": "test.pure"},
        "send": {"use": "test.unsafe", "after": ["first"], "with": {"x": "${ .trigger.id | no }"}},
    });
    engine.apply(nodes, json!({})).await;
    let run = engine.run("1").await;
    let ended = bench.ended(run).await;
    assert_eq!((state(&ended), step(&ended, "send").as_str()), (RunState::Failed, "dead"));
    assert_eq!(bench.sandbox.attempts("first").len(), 1, "computed once");
}
