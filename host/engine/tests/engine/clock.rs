//! The clock jumps by an hour, either way, while runs are worked on and while they wait.

use std::time::Duration;

use serde_json::json;
use tombolo_core::clock::Clock;
use tombolo_core::error::ErrorClass;
use tombolo_core::ports::intake::{Answer, Intake};
use tombolo_core::run::RunState;

use crate::support::{Bench, HOUR, state};

/// Another run passes: the claim loop has looked, and leases were renewed or not.
async fn others_pass(engine: &crate::support::Running, key: &str) {
    assert!(matches!(engine.run_and_wait(key).await, Answer::Ready { status: 200, .. }));
}

#[tokio::test]
async fn a_run_that_is_worked_on_is_worked_on_once() {
    for back in [false, true] {
        let bench = Bench::new().await;
        let engine = bench.start().await;
        engine.apply(json!({"a": {"use": "test.unsafe"}}), json!({})).await;
        let (started, go_on) = bench.sandbox.hold("a");
        let run = engine.run("held").await;
        started.await.unwrap();
        // Beyond the end of its lease, or long before its beginning.
        if back {
            bench.clock.back(HOUR)
        } else {
            bench.clock.forward(HOUR)
        }
        others_pass(&engine, "1").await;
        others_pass(&engine, "2").await;
        go_on.send(json!({"id": 1})).unwrap();
        let ended = bench.ended(run).await;
        assert_eq!(state(&ended), RunState::Succeeded, "back: {back}");
        assert_eq!(bench.sandbox.attempts_of("a", run).len(), 1);
    }
}

#[tokio::test]
async fn a_run_that_waits_goes_on_when_its_time_has_come_by_the_new_clock() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let retry = json!({"backoff": {"first": "30m"}});
    engine.apply(json!({"a": {"use": "test.keyed", "retry": retry}}), json!({})).await;
    bench.sandbox.fail("a", ErrorClass::Transient);
    let run = engine.run("waits").await;
    let parked = bench.until(run, |view| state(view) == RunState::Waiting).await;
    bench.clock.back(HOUR);
    others_pass(&engine, "1").await;
    let still = bench.until(run, |_| true).await;
    assert_eq!((state(&still), still.available_at), (RunState::Waiting, parked.available_at));
    // Forward again, beyond the time that it waits for.
    bench.clock.forward(2 * HOUR);
    assert_eq!(state(&bench.ended(run).await), RunState::Succeeded);
    assert_eq!(bench.sandbox.attempts_of("a", run).len(), 2);
}

#[tokio::test]
async fn a_process_that_starts_in_the_past_takes_over_what_was_left() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(json!({"a": {"use": "test.keyed"}}), json!({})).await;
    let (started, _never) = bench.sandbox.hold("a");
    let run = engine.run("1").await;
    started.await.unwrap();
    engine.kill();
    bench.clock.back(HOUR);
    bench.start().await;
    assert_eq!(state(&bench.ended(run).await), RunState::Succeeded);
}

#[tokio::test]
async fn starts_that_are_spread_keep_their_distance_when_the_clock_is_set_back() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let limits = json!({"throttle": {"runs": 1, "per": "10s"}});
    engine.apply(json!({"a": {"use": "test.read"}}), json!({"limits": limits})).await;
    let first = engine.run("1").await;
    let second = engine.run("2").await;
    bench.ended(first).await;
    bench.clock.back(HOUR);
    let in_time = bench.clock.now().plus(Duration::from_secs(10));
    bench.until(second, |view| view.available_at == Some(in_time)).await;
    let third = engine.run("3").await;
    let after_it = in_time.plus(Duration::from_secs(10));
    bench.until(third, |view| view.available_at == Some(after_it)).await;
    assert!(bench.sandbox.attempts_of("a", second).is_empty());
    bench.clock.forward(Duration::from_secs(10));
    assert_eq!(state(&bench.ended(second).await), RunState::Succeeded);
}

#[tokio::test]
async fn events_that_are_gathered_wait_as_long_as_before() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let limits = json!({"debounce": {"wait": "10s", "max": "30s"}});
    engine.apply(json!({"a": {"use": "test.read"}}), json!({"limits": limits})).await;
    let run = engine.run("1").await;
    bench.clock.back(HOUR);
    let in_time = bench.clock.now().plus(Duration::from_secs(10));
    bench.until(run, |view| view.available_at == Some(in_time)).await;
    bench.clock.forward(Duration::from_secs(5));
    assert_eq!(engine.run("2").await, run);
    let later = bench.clock.now().plus(Duration::from_secs(10));
    bench.until(run, |view| view.available_at == Some(later)).await;
    bench.clock.forward(Duration::from_secs(10));
    assert_eq!(state(&bench.ended(run).await), RunState::Succeeded);
}

#[tokio::test]
async fn a_deadline_stays_when_the_clock_is_set_back() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let more = json!({"timeout": "1h", "limits": {"concurrency": [{"runs": 1}]}});
    engine.apply(json!({"a": {"use": "test.read"}}), more).await;
    let (started, _never) = bench.sandbox.hold("a");
    engine.run("1").await;
    started.await.unwrap();
    let waits = engine.run("2").await;
    let before = bench.until(waits, |_| true).await;
    bench.clock.back(HOUR);
    others_pass_at(&engine).await;
    let after = bench.until(waits, |_| true).await;
    assert_eq!(
        (after.available_at, after.run.deadline),
        (before.available_at, before.run.deadline)
    );
    bench.clock.forward(2 * HOUR);
    assert_eq!(bench.ended(waits).await.run.error.unwrap().code, "run-timeout");
}

/// A run of another workflow that has to be claimed: the engine has noticed what time it is.
async fn others_pass_at(engine: &crate::support::Running) {
    let queued = json!({"limits": {"concurrency": [{"runs": 1}]}});
    engine.apply_as("other", json!({"n": {"use": "test.read"}}), queued).await;
    let arrival = engine.arrival_for("other", "1");
    let (_, answer) = engine.engine.accept_and_wait(arrival, HOUR).await.unwrap();
    assert!(matches!(answer, Answer::Ready { status: 200, .. }));
}
