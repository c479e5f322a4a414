//! Alerts and retention, on a real store.

use std::time::Duration;

use serde_json::json;
use tombolo_core::audit::Actor;
use tombolo_core::error::ErrorClass;
use tombolo_core::ports::alert::Alert;
use tombolo_core::ports::repair::{By, Repairs};
use tombolo_core::ports::store::{Reading, StepKey};
use tombolo_core::run::RunState;

use crate::support::{Bench, state};

/// The alerts, once there are so many.
async fn told(bench: &Bench, wanted: usize) -> Vec<Alert> {
    let look = async {
        loop {
            let told = bench.alerts.0.lock().unwrap().clone();
            if told.len() >= wanted {
                return told;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), look).await.expect("somebody is told")
}

fn count(alert: &Alert) -> u64 {
    match alert {
        Alert::DeadLetters { count, .. } => *count,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn somebody_is_told_when_dead_letters_begin_to_wait_and_while_they_grow() {
    let mut bench = Bench::new().await;
    bench.settings.alert_repeat_ms = 1;
    let engine = bench.start().await;
    engine.apply(json!({"a": {"use": "test.read"}}), json!({})).await;
    let mut runs = Vec::new();
    for (number, key) in ["1", "2"].iter().enumerate() {
        bench.sandbox.fail("a", ErrorClass::Permanent);
        let run = engine.run(key).await;
        bench.ended(run).await;
        runs.push(run);
        let told = told(&bench, number + 1).await;
        assert_eq!(count(&told[number]), number as u64 + 1);
        bench.clock.forward(Duration::from_millis(5));
    }
    // Given up and dead again: from none to one is news.
    for run in runs {
        let by = By { actor: Actor("token:test".into()), reason: Some("old".into()) };
        let step = StepKey { node: "a".into(), item: 0 };
        engine.engine.discard(bench.tenant, run, step, by).await.unwrap();
    }
    bench.sandbox.fail("a", ErrorClass::Permanent);
    bench.ended(engine.run("3").await).await;
    // Fewer than before is no news; one more is.
    bench.sandbox.fail("a", ErrorClass::Permanent);
    bench.ended(engine.run("4").await).await;
    assert_eq!(count(told(&bench, 3).await.last().unwrap()), 2);
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
    let told = told(&bench, 1).await;
    assert!(matches!(&told[0], Alert::ConnectionPaused { connection, .. } if connection == "crm"));
    first.send(json!(1)).unwrap();
    bench.ended(one).await;
    assert_eq!(bench.alerts.0.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn old_runs_are_forgotten_where_their_workflow_says_so() {
    let mut bench = Bench::new().await;
    bench.settings.housekeeping_ms = 5;
    let engine = bench.start().await;
    engine.apply(json!({"a": {"use": "set"}}), json!({"retention": "1d"})).await;
    let old = engine.run("1").await;
    bench.ended(old).await;
    bench.clock.forward(Duration::from_secs(2 * 24 * 3600));
    let young = engine.run("2").await;
    let gone = async {
        while bench.store.run(bench.tenant, old).await.unwrap().is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("it is forgotten");
    assert!(bench.store.run(bench.tenant, young).await.unwrap().is_some());
}
