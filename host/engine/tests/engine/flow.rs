//! Flow control by a workflow's `limits`, on a real store.

use std::time::Duration;

use serde_json::{Value, json};
use tombolo_core::id::RunId;
use tombolo_core::ports::intake::Intake;
use tombolo_core::ports::repair::Repairs;
use tombolo_core::run::RunState;

use crate::support::{Bench, HOUR, Running, by, state};

/// A workflow of one node, with these limits.
async fn limited(bench: &Bench, limits: Value) -> Running {
    let engine = bench.start().await;
    engine.apply(json!({"work": {"use": "test.read"}}), json!({"limits": limits})).await;
    engine
}

/// Why a run does not move.
async fn why(engine: &Running, bench: &Bench, run: RunId) -> &'static str {
    engine.engine.explain(bench.tenant, run).await.unwrap().why.code
}

fn attempts(bench: &Bench, run: RunId) -> usize {
    bench.sandbox.attempts_of("work", run).len()
}

#[tokio::test]
async fn runs_of_one_key_go_one_at_a_time() {
    let bench = Bench::new().await;
    let limits = json!({"concurrency": [{"runs": 1, "key": "${ .trigger.customer }"}]});
    let engine = limited(&bench, limits).await;
    let (started, go_on) = bench.sandbox.hold("work");
    let first = engine.run_with("1", json!({"customer": "ada"})).await;
    started.await.unwrap();
    let second = engine.run_with("2", json!({"customer": "ada"})).await;
    let other = engine.run_with("3", json!({"customer": "bob"})).await;

    assert_eq!(state(&bench.ended(other).await), RunState::Succeeded);
    assert_eq!(why(&engine, &bench, second).await, "waits-for-place");
    assert_eq!(attempts(&bench, second), 0);
    go_on.send(json!({})).unwrap();
    assert_eq!(state(&bench.ended(first).await), RunState::Succeeded);
    assert_eq!(state(&bench.ended(second).await), RunState::Succeeded);
}

#[tokio::test]
async fn a_parked_head_holds_up_those_behind_it_and_only_if_it_is_to() {
    for (parked, behind) in [("hold", RunState::Queued), ("skip", RunState::Waiting)] {
        let bench = Bench::new().await;
        let engine = bench.start().await;
        let order = json!({"key": "${ .trigger.customer }", "parked": parked});
        let nodes = json!({"work": {"use": "wait", "with": {"for": "2h"}}});
        engine.apply(nodes, json!({"limits": {"order": order}})).await;
        let first = engine.run_with("1", json!({"customer": "ada"})).await;
        bench.until(first, |view| state(view) == RunState::Waiting).await;
        let second = engine.run_with("2", json!({"customer": "ada"})).await;
        bench.until(second, |view| state(view) == behind).await;
        // A process that dies takes no place with it.
        engine.kill();
        bench.start().await;
        bench.clock.forward(2 * HOUR);
        bench.ended(first).await;
        if parked == "hold" {
            bench.until(second, |view| state(view) == RunState::Waiting).await;
            bench.clock.forward(2 * HOUR);
        }
        assert_eq!(state(&bench.ended(second).await), RunState::Succeeded);
    }
}

#[tokio::test]
async fn events_that_come_soon_after_each_other_are_one_run() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let nodes = json!({"work": {"use": "test.read", "with": {"n": "${ .trigger.n }"}}});
    engine.apply(nodes, json!({"limits": {"debounce": {"wait": "10s"}}})).await;
    let first = engine.run_with("1", json!({"n": 1})).await;
    bench.clock.forward(Duration::from_secs(5));
    assert_eq!(engine.run_with("2", json!({"n": 2})).await, first);
    assert_eq!(why(&engine, &bench, first).await, "waits-for-time");
    bench.clock.forward(Duration::from_secs(10));
    let ended = bench.ended(first).await;
    assert_eq!(ended.run.output.unwrap().value(), &json!({"n": 2}));
    assert_eq!(attempts(&bench, first), 1);
    assert_ne!(engine.run_with("3", json!({"n": 3})).await, first);
}

#[tokio::test]
async fn an_event_joins_the_singleton_that_goes() {
    let bench = Bench::new().await;
    let engine = limited(&bench, json!({"singleton": {}})).await;
    let (started, go_on) = bench.sandbox.hold("work");
    let first = engine.run("1").await;
    started.await.unwrap();
    assert_eq!(engine.run("2").await, first);
    go_on.send(json!({})).unwrap();
    bench.ended(first).await;
    let second = engine.run("3").await;
    assert_ne!(second, first);
    bench.ended(second).await;
    assert_eq!(bench.sandbox.attempts("work").len(), 2);
}

#[tokio::test]
async fn a_singleton_at_work_is_replaced() {
    let bench = Bench::new().await;
    let engine = limited(&bench, json!({"singleton": {"when_busy": "replace"}})).await;
    let (started, _never) = bench.sandbox.hold("work");
    let first = engine.run("1").await;
    started.await.unwrap();
    let second = engine.run("2").await;
    assert_eq!(state(&bench.ended(first).await), RunState::Cancelled);
    assert_eq!(state(&bench.ended(second).await), RunState::Succeeded);
}

#[tokio::test]
async fn a_run_of_high_priority_gets_the_next_place() {
    let bench = Bench::new().await;
    let limits = json!({"concurrency": [{"runs": 1}], "priority": "${ .trigger.priority }"});
    let engine = limited(&bench, limits).await;
    let (started, go_on) = bench.sandbox.hold("work");
    engine.run_with("1", json!({"priority": "normal"})).await;
    started.await.unwrap();
    let low = engine.run_with("2", json!({"priority": "low"})).await;
    let high = engine.run_with("3", json!({"priority": "high"})).await;
    let (next, go_on_next) = bench.sandbox.hold("work");
    go_on.send(json!({})).unwrap();
    next.await.unwrap();
    assert_eq!((attempts(&bench, high), attempts(&bench, low)), (1, 0));
    go_on_next.send(json!({})).unwrap();
    bench.ended(high).await;
    bench.ended(low).await;
}

#[tokio::test]
async fn a_run_that_waits_for_a_place_is_cancelled_at_once() {
    let bench = Bench::new().await;
    let engine = limited(&bench, json!({"concurrency": [{"runs": 1}]})).await;
    let (started, _never) = bench.sandbox.hold("work");
    engine.run("1").await;
    started.await.unwrap();
    let second = engine.run("2").await;
    engine.engine.cancel(bench.tenant, second, by()).await.unwrap();
    assert_eq!(state(&bench.ended(second).await), RunState::Cancelled);
    assert_eq!(attempts(&bench, second), 0);
}
