//! What is old goes, on a real store.

use std::time::Duration;

use serde_json::{Value, json};
use tombolo_core::id::EventId;
use tombolo_core::ports::store::Reading;
use tombolo_core::run::RunState;

use crate::support::{Bench, Running, eventually, state};

const DAY: Duration = Duration::from_secs(24 * 3600);

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
    eventually("the old run is forgotten", async || {
        bench.store.run(bench.tenant, old).await.unwrap().is_none().then_some(())
    })
    .await;
    assert!(bench.store.run(bench.tenant, young).await.unwrap().is_some());
}

async fn publish(bench: &Bench, engine: &Running, key: &str) -> EventId {
    let ended = bench.ended(engine.run(key).await).await;
    assert_eq!(state(&ended), RunState::Succeeded);
    let output: Value = ended.run.output.unwrap().value().clone();
    serde_json::from_value(output["event"].clone()).unwrap()
}

#[tokio::test]
async fn an_event_that_nobody_took_is_forgotten_after_a_week() {
    let mut bench = Bench::new().await;
    bench.settings.housekeeping_ms = 5;
    let engine = bench.start().await;
    let tell = json!({"tell": {"use": "publish", "with": {"event": "order.placed.v1"}}});
    engine.apply(tell, json!({})).await;
    let old = publish(&bench, &engine, "1").await;
    bench.clock.forward(4 * DAY);
    let young = publish(&bench, &engine, "2").await;
    bench.clock.forward(4 * DAY);
    let is_there = async |event| bench.store.event(bench.tenant, event).await.unwrap().is_some();
    let gone = async || (!is_there(old).await).then_some(());
    eventually("the old event is forgotten", gone).await;
    assert!(is_there(young).await);
}

#[tokio::test]
async fn a_start_sweeps_what_an_earlier_process_left() {
    let mut bench = Bench::new().await;
    bench.settings.housekeeping_ms = 5;
    let engine = bench.start().await;
    let sweeps = async || (engine.store.sweeps() > 0).then_some(());
    eventually("a sweep", sweeps).await;
}
