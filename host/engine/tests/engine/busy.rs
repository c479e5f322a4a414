//! The host has no room for a step: it begins later, and that is no attempt.

use std::time::Duration;

use serde_json::json;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::ports::repair::Repairs;
use tombolo_core::ports::sandbox::SANDBOX_BUSY;
use tombolo_core::ports::store::{RunView, StoreError};
use tombolo_core::run::RunState;

use crate::support::{Bench, Script, state, step};

/// The run at its end, while the time passes.
async fn ended_in_time(bench: &Bench, run: tombolo_core::id::RunId) -> RunView {
    bench
        .until(run, |view| {
            bench.clock.forward(Duration::from_secs(1));
            state(view).ended()
        })
        .await
}

#[tokio::test]
async fn a_busy_evaluator_puts_a_step_off() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let node = json!({"use": "test.read", "when": "${ true }", "retry": {"attempts": 1}});
    engine.apply(json!({"a": node}), json!({})).await;
    bench.sandbox.be_busy(1);
    let run = engine.run("1").await;
    let parked = bench.until(run, |view| state(view) == RunState::Waiting).await;
    assert_eq!(
        (step(&parked, "a"), parked.available_at),
        ("pending".into(), parked.steps[0].due_at)
    );
    let why = engine.engine.explain(bench.tenant, run).await.unwrap().why;
    assert_eq!((why.code, why.until), ("host-busy", parked.available_at));

    bench.clock.forward(Duration::from_secs(2));
    let ended = bench.ended(run).await;
    assert_eq!(state(&ended), RunState::Succeeded);
    assert_eq!((ended.steps[0].attempt, &ended.steps[0].error), (1, &None));
}

#[tokio::test]
async fn so_it_does_with_lists_and_their_items() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let list = json!({
        "use": "test.keyed", "with": {"n": "${ .item }", "yes": "${ true }"},
        "each": {"items": "${ [1, 2, 3] }"},
    });
    engine.apply(json!({"list": list}), json!({})).await;
    bench.sandbox.be_busy(3);
    let run = engine.run("1").await;
    let ended = ended_in_time(&bench, run).await;
    assert_eq!(state(&ended), RunState::Succeeded);
    let item = |n: u32| json!({"n": n, "yes": true});
    assert_eq!(ended.run.output.unwrap().value(), &json!([item(1), item(2), item(3)]));
    assert_eq!(bench.sandbox.attempts("list").len(), 3);
}

#[tokio::test]
async fn an_attempt_that_finds_no_instance_is_not_spent() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let node = json!({"use": "test.unsafe", "retry": {"attempts": 1}});
    engine.apply(json!({"a": node}), json!({})).await;
    for _ in 0..3 {
        let busy = StepError::new(ErrorClass::Transient, SANDBOX_BUSY, "no instance was free");
        bench.sandbox.next("a", Script::Fail(busy));
    }
    let run = engine.run("1").await;
    let ended = ended_in_time(&bench, run).await;
    assert_eq!(state(&ended), RunState::Succeeded);
    assert_eq!((bench.sandbox.attempts("a").len(), ended.steps[0].spent), (4, 1));
}

#[tokio::test]
async fn an_event_whose_limits_are_not_known_is_not_taken() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let limits = json!({"debounce": {"wait": "10s", "key": "${ true }"}});
    engine.apply(json!({"a": {"use": "test.read"}}), json!({"limits": limits})).await;
    bench.sandbox.be_busy(1);
    let refused = engine.try_run("1").await;
    assert!(matches!(refused, Err(StoreError::Overloaded(_))), "{refused:?}");
    // Sent again, it is taken.
    engine.run("1").await;
}

#[tokio::test]
async fn an_event_from_inside_waits_for_its_limits_to_be_known() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let listens = json!({
        "triggers": {"told": {"event": {"name": "a.told.v1"}}},
        "limits": {"concurrency": [{"runs": 1, "key": "${ true }"}]},
    });
    engine.apply_as("listens", json!({"work": {"use": "test.read"}}), listens).await;
    let tells = json!({"tell": {"use": "publish", "with": {"event": "a.told.v1"}}});
    engine.apply(tells, json!({})).await;
    bench.sandbox.be_busy(1);
    let run = engine.run("1").await;
    let ended = ended_in_time(&bench, run).await;
    assert_eq!(state(&ended), RunState::Succeeded);
    let runs = ended.run.output.unwrap().value()["runs"].clone();
    let [told] = serde_json::from_value::<Vec<_>>(runs).unwrap()[..] else { panic!() };
    assert_eq!(state(&bench.ended(told).await), RunState::Succeeded);
}

#[tokio::test]
async fn a_condition_of_retry_is_asked_until_it_answers() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let retry = json!({"if": "${ true }", "backoff": {"first": "1ms"}});
    engine.apply(json!({"a": {"use": "test.read", "retry": retry}}), json!({})).await;
    bench.sandbox.fail("a", ErrorClass::NotFound);
    bench.sandbox.be_busy(1);
    let run = engine.run("1").await;
    // The class alone would have ended it.
    let ended = ended_in_time(&bench, run).await;
    assert_eq!(state(&ended), RunState::Succeeded);
}
