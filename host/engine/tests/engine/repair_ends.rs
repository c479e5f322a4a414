//! Repairs of runs that have ended, and what becomes of the end.

use std::time::Duration;

use serde_json::json;
use tombolo_core::error::ErrorClass;
use tombolo_core::id::RunId;
use tombolo_core::ports::intake::Intake;
use tombolo_core::ports::repair::{RepairError, Repairs, ReplayOrder};
use tombolo_core::ports::store::{LetterBox, LetterFilter, Reading, RunView, StepKey, StoreError};
use tombolo_core::run::{CannotRepair, Redrive, RunState};

use crate::support::mortal::Trouble;
use crate::support::{Bench, Running, Script, by, replay_of, state, step};

fn key(node: &str) -> StepKey {
    StepKey { node: node.into(), item: 0 }
}

/// A run that has called another one, both cut off: the other between two attempts of `work`.
async fn cut_off(bench: &Bench, engine: &Running, more: serde_json::Value) -> (RunId, RunId) {
    engine.apply_as("child", json!({"work": {"use": "test.keyed"}}), json!({})).await;
    let mut nodes = json!({"call": {"use": "workflow", "with": {"name": "child"}}});
    nodes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    engine.apply(nodes, json!({})).await;
    bench.sandbox.fail("work", ErrorClass::Transient);
    let run = engine.run("1").await;
    let waits = bench.until(run, |view| state(view) == RunState::Waiting).await;
    let child = waits.steps.iter().find_map(|step| step.child).unwrap();
    bench.until(child, |view| state(view) == RunState::Waiting).await;
    engine.engine.cancel(bench.tenant, run, by()).await.unwrap();
    assert_eq!(state(&bench.ended(run).await), RunState::Cancelled);
    assert_eq!(state(&bench.ended(child).await), RunState::Cancelled);
    (run, child)
}

#[tokio::test]
async fn a_repair_that_comes_to_nothing_leaves_the_end_as_it_was() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let (run, _) = cut_off(&bench, &engine, json!({})).await;
    let before = bench.ended(run).await;
    // The run is open already, and the one that it called cannot be.
    let error = StoreError::Refused("as the test says".into());
    engine.store.plan(1, Trouble::Fails(error.clone()));
    let refused = engine.engine.redrive(bench.tenant, run, Redrive::default(), by()).await;
    assert_eq!(refused.unwrap_err(), RepairError::Store(error));
    let after = bench.ended(run).await;
    assert_eq!(after.run, before.run);
    assert_eq!(after.available_at, None, "nobody drives it");
    engine.engine.redrive(bench.tenant, run, Redrive::default(), by()).await.unwrap();
    bench.until(run, |view| state(view) == RunState::Succeeded).await;
}

#[tokio::test]
async fn a_run_whose_repair_dies_has_ended_as_before() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let (run, _) = cut_off(&bench, &engine, json!({})).await;
    let before = bench.ended(run).await;
    engine.store.plan(0, Trouble::DiesAfter);
    let redrive = engine.engine.redrive(bench.tenant, run, Redrive::default(), by());
    let cut_off = tokio::time::timeout(Duration::from_millis(200), redrive).await;
    assert!(cut_off.is_err(), "the process died");

    let engine = bench.start().await;
    let after = bench.until(run, |view| view.available_at.is_none()).await;
    assert_eq!(after.run, before.run);
    engine.engine.redrive(bench.tenant, run, Redrive::default(), by()).await.unwrap();
    bench.until(run, |view| state(view) == RunState::Succeeded).await;
}

#[tokio::test]
async fn a_run_that_was_called_and_cut_off_goes_on_and_is_not_started_twice() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    bench.sandbox.fail("a", ErrorClass::Permanent);
    let (run, child) = cut_off(&bench, &engine, json!({"a": {"use": "test.keyed"}})).await;
    let redriven =
        engine.engine.redrive(bench.tenant, run, Redrive::default(), by()).await.unwrap();
    assert_eq!(redriven.steps, [key("a")], "what was asked for");
    let ended = bench.until(run, |view| state(view) == RunState::Succeeded).await;
    let call = ended.steps.iter().find(|step| step.node == "call").unwrap();
    assert_eq!(call.child, Some(child), "the same run");
    assert_eq!(state(&bench.ended(child).await), RunState::Succeeded);
    let audit = bench.store.audit(bench.tenant, 10, None).await.unwrap();
    let of_run = audit.iter().filter(|(_, entry)| entry.subject.starts_with(&run.to_string()));
    let told: Vec<&str> = of_run.map(|(_, entry)| &*entry.action).collect();
    assert_eq!(told, ["step-redriven", "cancel-requested"]);
}

#[tokio::test]
async fn a_resolved_step_lets_the_rest_of_a_cut_off_run_go_on() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let (send_started, sent) = tokio::sync::oneshot::channel();
    bench.sandbox.next("send", Script::Calls(send_started, true));
    engine.apply_as("child", json!({"work": {"use": "test.keyed"}}), json!({})).await;
    let nodes = json!({
        "call": {"use": "workflow", "with": {"name": "child"}},
        "send": {"use": "test.unsafe"},
        "then": {"use": "test.keyed", "after": ["send"]},
    });
    engine.apply(nodes, json!({})).await;
    bench.sandbox.fail("work", ErrorClass::Transient);
    let run = engine.run("1").await;
    sent.await.unwrap();
    let calls = |view: &RunView| view.steps.iter().find_map(|step| step.child);
    let child = calls(&bench.until(run, |view| calls(view).is_some()).await).unwrap();
    bench.until(child, |view| state(view) == RunState::Waiting).await;
    engine.engine.cancel(bench.tenant, run, by()).await.unwrap();
    let ended = bench.ended(run).await;
    assert_eq!(
        (step(&ended, "send"), step(&ended, "call")),
        ("unknown".into(), "cancelled".into())
    );
    bench.ended(child).await;

    let output = json!({"id": 7}).into();
    engine.engine.resolve(bench.tenant, run, key("send"), output, by()).await.unwrap();
    let ended = bench.until(run, |view| state(view) == RunState::Succeeded).await;
    assert_eq!(step(&ended, "then"), "succeeded");
    assert_eq!(calls(&ended), Some(child), "the same run");
    assert_eq!(state(&bench.ended(child).await), RunState::Succeeded);
}

#[tokio::test]
async fn a_run_whose_results_cannot_be_stored_keeps_its_calls() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let nodes = json!({"send": {"use": "test.unsafe"}, "read": {"use": "test.read"}});
    engine.apply(nodes, json!({})).await;
    let (send_started, send) = tokio::sync::oneshot::channel();
    let (read_started, read) = tokio::sync::oneshot::channel();
    bench.sandbox.next("send", Script::Calls(send_started, true));
    bench.sandbox.next("read", Script::Calls(read_started, false));
    let run = engine.run("1").await;
    send.await.unwrap();
    read.await.unwrap();
    // After the wish to cancel.
    engine.store.plan(1, Trouble::Fails(StoreError::Refused("too big".into())));
    engine.engine.cancel(bench.tenant, run, by()).await.unwrap();
    let ended = bench.ended(run).await;
    assert_eq!(ended.run.error.as_ref().unwrap().code, "result-not-storable");
    assert_eq!((step(&ended, "send"), step(&ended, "read")), ("unknown".into(), "dead".into()));
    let calls = bench.store.calls(bench.tenant, run).await.unwrap();
    assert_eq!(calls.len(), 2, "what was called is on record");
    let letters = bench.store.letters(bench.tenant, &LetterFilter::default(), None, 9).await;
    assert_eq!(letters.unwrap().len(), 2);
}

#[tokio::test]
async fn letters_that_were_given_up_are_no_part_of_a_redrive_of_all() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(json!({"a": {"use": "test.read"}, "b": {"use": "test.read"}}), json!({})).await;
    for node in ["a", "b"] {
        bench.sandbox.fail(node, ErrorClass::Permanent);
    }
    let run = engine.run("1").await;
    bench.ended(run).await;
    engine.engine.discard(bench.tenant, run, key("a"), by()).await.unwrap();
    let redriven =
        engine.engine.redrive(bench.tenant, run, Redrive::default(), by()).await.unwrap();
    assert_eq!(redriven.steps, [key("b")]);
    bench.until(run, |view| view.run.state.ended() && step(view, "b") == "succeeded").await;
    assert_eq!(bench.sandbox.attempts("a").len(), 1);
}

#[tokio::test]
async fn a_replay_repeats_nothing_that_nobody_knows_of_unless_it_is_told_to() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(json!({"send": {"use": "test.unsafe"}}), json!({})).await;
    bench.sandbox.fail("send", ErrorClass::UnknownOutcome);
    let run = engine.run("1").await;
    assert_eq!(step(&bench.ended(run).await, "send"), "unknown");
    let order = |repeat_unknown| ReplayOrder { repeat_unknown, ..replay_of(&bench, run) };
    for refused in [
        engine.engine.plan_replay(&order(false)).await.err(),
        engine.engine.replay(order(false), by()).await.err(),
    ] {
        let Some(RepairError::Cannot(why)) = refused else { panic!("{refused:?}") };
        assert!(matches!(why, CannotRepair::Unknown { .. }), "{why}");
    }
    let (new, _) = engine.engine.replay(order(true), by()).await.unwrap();
    assert_eq!(state(&bench.ended(new).await), RunState::Succeeded);
}
