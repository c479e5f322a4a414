//! What happens to a run while one of its steps takes its time: the clock goes on, others end, and
//! somebody wants its end.

use std::time::Duration;

use serde_json::{Value, json};
use tombolo_core::ports::intake::Intake;
use tombolo_core::ports::store::RunView;
use tombolo_core::run::RunState;

use crate::support::{Bench, HOUR, Running, by, soon, state, step};

/// A workflow that calls `child` and waits for it, with more nodes, and fields.
async fn caller(engine: &Running, child: Value, mut nodes: Value, more: Value) {
    engine.apply_as("child", child, json!({})).await;
    nodes["call"] = json!({"use": "workflow", "with": {"name": "child"}});
    engine.apply(nodes, more).await;
}

#[tokio::test]
async fn what_has_begun_is_shown_within_a_second_and_a_wait_survives_the_process() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let nodes = json!({
        "long": {"use": "test.keyed"},
        "wait": {"use": "wait", "with": {"for": "1h"}},
    });
    engine.apply(nodes, json!({})).await;
    let (long, _never) = bench.sandbox.hold("long");
    let run = engine.run("1").await;
    soon(long).await.unwrap();
    let begun = bench
        .until(run, |view| {
            bench.clock.forward(Duration::from_secs(1));
            step(view, "long") == "running" && step(view, "wait") == "waiting"
        })
        .await;
    let due = |view: &RunView| view.steps.iter().find_map(|step| step.due_at);
    engine.kill();
    bench.start().await;
    let parked = bench.until(run, |view| state(view) == RunState::Waiting).await;
    assert_eq!(due(&parked), due(&begun), "it goes on where it was");
    bench.clock.forward(HOUR);
    assert_eq!(state(&bench.ended(run).await), RunState::Succeeded);
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

/// A child with a step under way and one after it.
fn slow_child() -> Value {
    json!({"work": {"use": "test.read"}, "more": {"use": "test.keyed", "after": ["work"]}})
}

#[tokio::test]
async fn a_wish_to_end_reaches_a_called_run_that_is_worked_on() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    caller(&engine, slow_child(), json!({}), json!({})).await;
    let (work, _never) = bench.sandbox.hold("work");
    let run = engine.run("1").await;
    soon(work).await.unwrap();
    let child = bench.newest_of("child").await;
    engine.engine.cancel(bench.tenant, run, by()).await.unwrap();
    assert_eq!(state(&bench.ended(child).await), RunState::Cancelled);
    assert_eq!(state(&bench.ended(run).await), RunState::Cancelled);
    assert!(bench.sandbox.attempts("more").is_empty());
}

#[tokio::test]
async fn so_does_the_deadline_of_its_caller() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    caller(&engine, slow_child(), json!({}), json!({"timeout": "1h"})).await;
    let (work, _never) = bench.sandbox.hold("work");
    let run = engine.run("1").await;
    soon(work).await.unwrap();
    let child = bench.newest_of("child").await;
    bench.clock.forward(HOUR);
    assert_eq!(state(&bench.ended(run).await), RunState::Cancelled);
    assert_eq!(state(&bench.ended(child).await), RunState::Cancelled);
}

#[tokio::test]
async fn a_singleton_is_replaced_by_one_that_a_run_starts() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let one = json!({
        "triggers": {"told": {"event": {"name": "a.told.v1"}}},
        "limits": {"singleton": {"when_busy": "replace"}},
    });
    engine.apply_as("one", json!({"work": {"use": "test.read"}}), one).await;
    let tells = json!({"tell": {"use": "publish", "with": {"event": "a.told.v1"}}});
    engine.apply(tells, json!({})).await;
    let (work, _never) = bench.sandbox.hold("work");
    engine.run("1").await;
    soon(work).await.unwrap();
    let first = bench.newest_of("one").await;
    engine.run("2").await;
    assert_eq!(state(&bench.ended(first).await), RunState::Cancelled);
    let second = bench.newest_of("one").await;
    assert_ne!(second, first);
    assert_eq!(state(&bench.ended(second).await), RunState::Succeeded);
}

#[tokio::test]
async fn a_wish_to_end_is_not_lost_between_the_claim_and_the_work() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let queued = json!({"limits": {"concurrency": [{"runs": 5}]}});
    engine.apply(json!({"long": {"use": "test.read"}}), queued).await;
    let (_started, _never) = bench.sandbox.hold("long");
    let (brought, go_on) = engine.store.hold_claim();
    let run = engine.run("1").await;
    soon(brought).await.unwrap();
    engine.engine.cancel(bench.tenant, run, by()).await.unwrap();
    go_on.send(()).unwrap();
    assert_eq!(state(&bench.ended(run).await), RunState::Cancelled);
}
