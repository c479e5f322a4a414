//! Alerts, on a real store.

use std::time::Duration;

use serde_json::json;
use tombolo_core::error::ErrorClass;
use tombolo_core::id::RunId;
use tombolo_core::ports::alert::Alert;
use tombolo_core::ports::repair::Repairs;
use tombolo_core::ports::store::StepKey;
use tombolo_core::run::RunState;

use crate::support::{Bench, Running, by, state};

fn count(alert: &Alert) -> u64 {
    match alert {
        Alert::DeadLetters { count, .. } => *count,
        other => panic!("{other:?}"),
    }
}

fn counts(alerts: &[Alert]) -> Vec<u64> {
    alerts.iter().map(count).collect()
}

/// A run whose step `a` is dead.
async fn fails(bench: &Bench, engine: &Running, key: &str) -> RunId {
    bench.sandbox.fail("a", ErrorClass::Permanent);
    let run = engine.run(key).await;
    assert_eq!(state(&bench.ended(run).await), RunState::Failed);
    run
}

/// A run whose step `a` waits for new credentials of `crm`.
async fn pauses(bench: &Bench, engine: &Running, key: &str) -> RunId {
    bench.sandbox.fail("a", ErrorClass::Auth);
    let run = engine.run(key).await;
    bench.until(run, |view| state(view) == RunState::Waiting).await;
    run
}

#[tokio::test]
async fn somebody_is_told_when_dead_letters_begin_to_wait_and_while_they_grow() {
    let mut bench = Bench::new().await;
    bench.settings.alert_repeat_ms = 1;
    let engine = bench.start().await;
    engine.apply(json!({"a": {"use": "test.read"}}), json!({})).await;
    let mut runs = Vec::new();
    for (key, told) in [("1", 1), ("2", 2)] {
        runs.push(fails(&bench, &engine, key).await);
        assert_eq!(bench.alerts.once(told).await.len(), told);
        bench.clock.forward(Duration::from_millis(5));
    }
    // Given up and dead again: from none to one is news.
    for run in runs {
        let step = StepKey { node: "a".into(), item: 0 };
        engine.engine.discard(bench.tenant, run, step, by()).await.unwrap();
    }
    fails(&bench, &engine, "3").await;
    assert_eq!(counts(&bench.alerts.once(3).await), [1, 2, 1]);
}

#[tokio::test]
async fn what_nobody_took_is_sent_until_somebody_does() {
    let mut bench = Bench::new().await;
    bench.settings.alert_repeat_ms = 1;
    bench.connect("crm").await;
    let engine = bench.start().await;
    engine.apply(json!({"a": {"use": "test.read", "connection": "crm"}}), json!({})).await;
    bench.alerts.go_down();
    fails(&bench, &engine, "1").await;
    pauses(&bench, &engine, "2").await;
    bench.alerts.refused(6).await;
    bench.alerts.come_up();
    let told = bench.alerts.once(2).await;
    let paused = |alert: &&Alert| matches!(alert, Alert::ConnectionPaused { .. });
    assert_eq!((told.len(), told.iter().filter(paused).count()), (2, 1));
}

#[tokio::test]
async fn what_waits_at_a_start_is_told() {
    let bench = Bench::new().await;
    bench.connect("crm").await;
    let engine = bench.start().await;
    engine.apply(json!({"a": {"use": "test.read", "connection": "crm"}}), json!({})).await;
    bench.alerts.go_down();
    fails(&bench, &engine, "1").await;
    pauses(&bench, &engine, "2").await;
    engine.kill();
    bench.alerts.come_up();
    let _next = bench.start().await;
    let told = bench.alerts.once(2).await;
    let letters = |alert: &&Alert| matches!(alert, Alert::DeadLetters { count: 1, .. });
    assert_eq!((told.len(), told.iter().filter(letters).count()), (2, 1));
}

#[tokio::test]
async fn a_connection_that_is_paused_again_is_told_again() {
    let bench = Bench::new().await;
    bench.connect("crm").await;
    let engine = bench.start().await;
    engine.apply(json!({"a": {"use": "test.read", "connection": "crm"}}), json!({})).await;
    let first = pauses(&bench, &engine, "1").await;
    bench.alerts.once(1).await;
    bench.clock.forward(Duration::from_millis(1));
    bench.connect("crm").await;
    assert_eq!(state(&bench.ended(first).await), RunState::Succeeded);
    pauses(&bench, &engine, "2").await;
    assert_eq!(bench.alerts.once(2).await.len(), 2);
}

#[tokio::test]
async fn somebody_is_told_once_that_a_connection_is_paused() {
    let bench = Bench::new().await;
    bench.connect("crm").await;
    let engine = bench.start().await;
    engine.apply(json!({"a": {"use": "test.read", "connection": "crm"}}), json!({})).await;
    let (first_started, first) = bench.sandbox.hold("a");
    let one = engine.run("1").await;
    first_started.await.unwrap();
    bench.sandbox.fail("a", ErrorClass::Auth);
    let two = engine.run("2").await;
    bench.until(two, |view| state(view) == RunState::Waiting).await;
    let told = bench.alerts.once(1).await;
    assert!(matches!(&told[0], Alert::ConnectionPaused { connection, .. } if connection == "crm"));
    first.send(json!(1)).unwrap();
    bench.ended(one).await;
    assert_eq!(bench.alerts.taken().len(), 1);
}
