//! What happens to a run while one of its steps takes its time: the clock goes on, and others end.

use std::time::Duration;

use serde_json::{Value, json};
use tombolo_core::run::RunState;

use crate::support::{Bench, Running, soon, state, step};

const HOUR: Duration = Duration::from_secs(3600);

/// A workflow that calls `child` and waits for it, with more nodes, and fields.
async fn caller(engine: &Running, child: Value, mut nodes: Value, more: Value) {
    engine.apply_as("child", child, json!({})).await;
    nodes["call"] = json!({"use": "workflow", "with": {"name": "child"}});
    engine.apply(nodes, more).await;
}

#[tokio::test]
async fn what_has_ended_is_stored_and_what_is_due_goes_on() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let nodes = json!({
        "long": {"use": "test.read"},
        "done": {"use": "test.keyed"},
        "wait": {"use": "wait", "with": {"for": "30m"}},
        "next": {"use": "test.read", "after": ["wait"]},
    });
    engine.apply(nodes, json!({})).await;
    let (long, go_on) = bench.sandbox.hold("long");
    let (next, next_goes_on) = bench.sandbox.hold("next");
    let run = engine.run("1").await;
    soon(long).await.unwrap();
    // Within a second of the clock.
    bench
        .until(run, |view| {
            bench.clock.forward(Duration::from_secs(1));
            step(view, "done") == "succeeded" && step(view, "wait") == "waiting"
        })
        .await;
    bench.clock.forward(HOUR);
    soon(next).await.unwrap();
    next_goes_on.send(json!(1)).unwrap();
    go_on.send(json!(1)).unwrap();
    assert_eq!(state(&bench.ended(run).await), RunState::Succeeded);
}

#[tokio::test]
async fn a_clock_that_jumps_ends_a_run_that_is_worked_on() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(json!({"long": {"use": "test.read"}}), json!({"timeout": "1h"})).await;
    let (long, _never) = bench.sandbox.hold("long");
    let run = engine.run("1").await;
    soon(long).await.unwrap();
    bench.clock.forward(HOUR);
    assert_eq!(bench.ended(run).await.run.error.unwrap().code, "run-timeout");
}

#[tokio::test]
async fn the_end_of_a_called_run_is_heard_beside_a_long_attempt() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let nodes = json!({
        "long": {"use": "test.read"},
        "then": {"use": "test.read", "after": ["call"]},
    });
    caller(&engine, json!({"work": {"use": "test.read"}}), nodes, json!({})).await;
    let (long, go_on) = bench.sandbox.hold("long");
    let (then, then_goes_on) = bench.sandbox.hold("then");
    let run = engine.run("1").await;
    soon(long).await.unwrap();
    soon(then).await.unwrap();
    then_goes_on.send(json!(1)).unwrap();
    go_on.send(json!(1)).unwrap();
    assert_eq!(state(&bench.ended(run).await), RunState::Succeeded);
}
