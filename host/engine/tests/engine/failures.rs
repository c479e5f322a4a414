//! Runs that end badly: who is told, and what waits for a person.

use serde_json::{Value, json};
use tombolo_core::clock::Timestamp;
use tombolo_core::error::ErrorClass;
use tombolo_core::id::{EventId, RunId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::intake::{Answer, Intake, Subscriptions};
use tombolo_core::ports::repair::Repairs;
use tombolo_core::ports::store::{
    Accept, Catalog, LetterBox, LetterFilter, NewEvent, NewRun, NewVersion, RunLog, RunView,
    StepRow,
};
use tombolo_core::run::{RunState, StepState};

use crate::support::mortal::Spoilt;
use crate::support::{Bench, HOUR, Running, by, replay_of, state};

/// A workflow `rescue` that takes every failure, and tells what it knows of it.
async fn rescue(engine: &Running) {
    let told = json!({
        "run": "${ .trigger.run }", "code": "${ .trigger.error.code }",
        "failed_steps": "${ .trigger.failed_steps }",
    });
    let look = json!({"look": {"use": "set", "with": told}});
    rescue_with(engine, look).await;
}

async fn rescue_with(engine: &Running, nodes: Value) {
    let triggers = json!({"triggers": {"failed": {"failure": {}}}});
    engine.apply_as("rescue", nodes, triggers).await;
}

/// What the rescue was told.
async fn told(bench: &Bench) -> Value {
    let rescue = bench.ended_of("rescue").await;
    rescue.run.output.unwrap().value().clone()
}

/// Nodes of the dead letters.
async fn letters(bench: &Bench) -> Vec<String> {
    let all = bench.store.letters(bench.tenant, &LetterFilter::default(), None, 10).await.unwrap();
    let mut nodes: Vec<String> = all.into_iter().map(|letter| letter.step.node).collect();
    nodes.sort();
    nodes
}

fn of<'a>(views: &'a [RunView], workflow: &str) -> &'a RunView {
    views.iter().find(|view| view.workflow_name == workflow).expect("it runs")
}

#[tokio::test]
async fn what_a_rescue_calls_starts_no_rescue_when_it_fails() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply_as("child", json!({"work": {"use": "test.read"}}), json!({})).await;
    rescue_with(&engine, json!({"call": {"use": "workflow", "with": {"name": "child"}}})).await;
    engine.apply(json!({"a": {"use": "test.read"}}), json!({})).await;
    bench.sandbox.fail("a", ErrorClass::Permanent);
    bench.sandbox.fail("work", ErrorClass::Permanent);
    engine.run("1").await;
    let views = bench.all_ended(3).await;
    assert_eq!(views.len(), 3);
    assert!(views.iter().all(|view| state(view) == RunState::Failed));
    assert_eq!(letters(&bench).await, ["a", "call", "work"], "people are told all the same");

    bench.sandbox.fail("work", ErrorClass::Permanent);
    let order = replay_of(&bench, of(&views, "child").run.id);
    engine.engine.replay(order, by()).await.unwrap();
    assert_eq!(bench.all_ended(4).await.len(), 4, "nor does a replay of it");
}

#[tokio::test]
async fn what_takes_a_rescues_event_starts_no_rescue_when_it_fails() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let trigger = json!({"triggers": {"told": {"event": {"name": "rescue.needed.v1"}}}});
    engine.apply_as("helper", json!({"work": {"use": "test.read"}}), trigger).await;
    rescue_with(
        &engine,
        json!({"tell": {"use": "publish", "with": {"event": "rescue.needed.v1"}}}),
    )
    .await;
    engine.apply(json!({"a": {"use": "test.read"}}), json!({})).await;
    bench.sandbox.fail("a", ErrorClass::Permanent);
    bench.sandbox.fail("work", ErrorClass::Permanent);
    engine.run("1").await;
    let views = bench.all_ended(3).await;
    assert_eq!(views.len(), 3);
    assert_eq!(state(of(&views, "rescue")), RunState::Succeeded);
    assert_eq!(state(of(&views, "helper")), RunState::Failed);
    assert_eq!(letters(&bench).await, ["a", "work"]);
}

#[tokio::test]
async fn a_run_that_is_out_of_time_is_told_and_one_that_is_cancelled_is_not() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    rescue(&engine).await;
    let nodes = json!({"pause": {"use": "wait", "with": {"for": "2h"}}});
    engine.apply(nodes, json!({"timeout": "1h"})).await;
    let cancelled = engine.run("1").await;
    engine.engine.cancel(bench.tenant, cancelled, by()).await.unwrap();
    assert_eq!(state(&bench.ended(cancelled).await), RunState::Cancelled);
    let late = engine.run("2").await;
    bench.until(late, |view| state(view) == RunState::Waiting).await;
    bench.clock.forward(HOUR);
    assert_eq!(state(&bench.ended(late).await), RunState::Cancelled);
    assert_eq!(told(&bench).await, json!({"run": late, "code": "run-timeout", "failed_steps": 0}));
    assert_eq!(bench.all_ended(3).await.len(), 3);
}

#[tokio::test]
async fn a_run_that_kills_its_workers_is_told() {
    let mut bench = Bench::new().await;
    bench.settings.max_claims = 1;
    let engine = bench.start().await;
    rescue(&engine).await;
    engine.apply(json!({"a": {"use": "test.read"}}), json!({})).await;
    let (started, _never) = bench.sandbox.hold("a");
    let run = engine.run("1").await;
    started.await.unwrap();
    engine.kill();
    let _next = bench.start().await;
    assert_eq!(state(&bench.ended(run).await), RunState::Failed);
    assert_eq!(told(&bench).await, json!({"run": run, "code": "worker-lost", "failed_steps": 1}));
    assert_eq!(letters(&bench).await, ["a"]);
}

/// A live workflow `gone` whose plugin is not there.
async fn without_plan(bench: &Bench, engine: &Running) {
    let file = json!({"name": "gone", "nodes": {"a": {"use": "lost.plugin"}}});
    let version = NewVersion {
        tenant: bench.tenant,
        id: WorkflowId::new(&*bench.ids),
        name: "gone".into(),
        definition: file.into(),
        pins: Default::default(),
        now: bench.clock_now(),
        audit: None,
    };
    bench.store.apply_workflow(version).await.unwrap();
    engine.registry.reload().await.unwrap();
}

/// Stores a run of `gone` with a step that waits and one that was under way.
async fn stored_run(bench: &Bench, engine: &Running) -> RunId {
    let subscriber = engine.registry.workflow(bench.tenant, "gone").unwrap();
    let step = |node: &str, state| StepRow { state, ..StepRow::pending(node, 0) };
    let run = NewRun {
        id: RunId::new(&*bench.ids),
        workflow: subscriber.workflow,
        version: 1,
        trigger: "api".into(),
        deadline: None,
        lease: None,
        parent: None,
        depth: 0,
        replay_of: None,
        steps: vec![step("waits", StepState::Waiting), step("sends", StepState::Running)],
        ended: None,
        flow: Default::default(),
    };
    let event = NewEvent {
        id: EventId::new(&*bench.ids),
        tenant: bench.tenant,
        source: "api:gone".into(),
        dedupe_key: "1".into(),
        fingerprint: None,
        payload: Json::from_value(json!({"trigger": null, "event": {}})),
        correlation_id: "c".into(),
        received_at: Timestamp(0),
    };
    let id = run.id;
    bench.store.accept(vec![Accept { event, runs: vec![run], audit: None }]).await.unwrap();
    id
}

#[tokio::test]
async fn a_run_without_a_plan_is_told_and_its_steps_wait_for_a_person() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    rescue(&engine).await;
    without_plan(&bench, &engine).await;
    let run = stored_run(&bench, &engine).await;
    assert_eq!(state(&bench.ended(run).await), RunState::Failed);
    let expected = json!({"run": run, "code": "version-unusable", "failed_steps": 2});
    assert_eq!(told(&bench).await, expected);
    assert_eq!(letters(&bench).await, ["sends", "waits"]);
    let why = engine.engine.explain(bench.tenant, run).await.unwrap().why;
    assert_eq!(why.code, "version-unusable");
    assert!(why.action.unwrap().contains("--version latest"));
}

#[tokio::test]
async fn a_caller_is_told_of_a_run_that_cannot_be_read() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply_as("child", json!({"work": {"use": "test.read"}}), json!({})).await;
    engine.apply(json!({"call": {"use": "workflow", "with": {"name": "child"}}}), json!({})).await;
    engine.store.spoil(Spoilt::Row);
    let run = engine.run("1").await;
    let ended = bench.ended(run).await;
    let error = ended.steps[0].error.clone().unwrap();
    assert_eq!(error.code, "stored-run-damaged");
    let child = bench.ended_of("child").await;
    assert_eq!(error.details.unwrap()["run"], json!(child.run.id));
    assert_eq!(state(&child), RunState::Failed);
}

#[tokio::test]
async fn whoever_waits_for_a_run_that_cannot_be_read_is_answered() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    // A run with limits is claimed, also from the process that accepts it.
    let limits = json!({"limits": {"concurrency": [{"runs": 1}]}});
    engine.apply(json!({"a": {"use": "test.read"}}), limits).await;
    engine.store.spoil(Spoilt::Row);
    let Answer::Ready { status, body, .. } = engine.run_and_wait("1").await else {
        panic!("nobody answers")
    };
    assert_eq!((status, &body.value()["error"]["code"]), (500, &json!("stored-run-damaged")));
}

#[tokio::test]
async fn a_run_with_a_damaged_row_below_it_is_told() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    rescue(&engine).await;
    let limits = json!({"limits": {"concurrency": [{"runs": 1}]}});
    engine.apply(json!({"a": {"use": "test.read"}}), limits).await;
    engine.store.spoil(Spoilt::Below);
    let run = engine.run("1").await;
    assert_eq!(state(&bench.ended(run).await), RunState::Failed);
    let expected = json!({"run": run, "code": "stored-run-damaged", "failed_steps": 0});
    assert_eq!(told(&bench).await, expected);
}
