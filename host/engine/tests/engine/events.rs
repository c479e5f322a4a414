//! Events from inside: how deep they lead, what they are like, and what is told of them.

use serde_json::{Value, json};
use tombolo_core::ports::authoring::{Authoring, AuthoringError};
use tombolo_core::ports::store::Reading;
use tombolo_core::run::RunState;
use tombolo_core::workflow::Issue;

use crate::support::{Bench, Running, by, state};

fn listens(event: &str) -> Value {
    json!({"triggers": {"told": {"event": {"name": event}}}})
}

fn publishes(event: &str, data: Value) -> Value {
    json!({"tell": {"use": "publish", "with": {"event": event, "data": data}}})
}

async fn comes_to_an_end(bench: &Bench, engine: &Running) {
    engine.run("1").await;
    let views = bench.all_ended(17).await;
    assert_eq!(views.len(), 17);
    assert_eq!(views[0].run.error.as_ref().unwrap().code, "events-too-deep");
    assert_eq!(views[0].run.depth, 16);
    assert!(views[1..].iter().all(|view| state(view) == RunState::Succeeded));
}

#[tokio::test]
async fn a_workflow_that_listens_to_itself_comes_to_an_end() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(publishes("a.went.v1", json!(1)), listens("a.went.v1")).await;
    comes_to_an_end(&bench, &engine).await;
}

#[tokio::test]
async fn two_workflows_that_listen_to_each_other_come_to_an_end() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply_as("other", publishes("a.went.v1", json!(1)), listens("b.went.v1")).await;
    engine.apply(publishes("b.went.v1", json!(1)), listens("a.went.v1")).await;
    comes_to_an_end(&bench, &engine).await;
}

#[tokio::test]
async fn calls_and_events_count_together() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let call = json!({"call": {"use": "workflow", "with": {"name": "w", "wait": false}}});
    engine.apply_as("other", call, listens("b.went.v1")).await;
    engine.apply(publishes("b.went.v1", json!(1)), json!({})).await;
    comes_to_an_end(&bench, &engine).await;
}

fn declares(schema: &Value) -> Value {
    json!({"events": {"order.placed.v1": schema}})
}

async fn issues(bench: &Bench, engine: &Running, name: &str, schema: &Value) -> Vec<Issue> {
    let mut file = json!({"name": name, "nodes": publishes("order.placed.v1", json!({"id": 1}))});
    file["events"] = declares(schema)["events"].clone();
    match engine.registry.apply(bench.tenant, file.into(), by()).await {
        Ok(_) => Vec::new(),
        Err(AuthoringError::Invalid(issues)) => issues,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn an_event_has_one_schema_whoever_declares_it() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let strict = json!({"type": "object", "required": ["id"]});
    let loose = json!({"type": "object"});
    assert_eq!(issues(&bench, &engine, "first", &loose).await, []);
    assert_eq!(issues(&bench, &engine, "first", &strict).await, [], "its own, while it is alone");
    let refused = issues(&bench, &engine, "second", &loose).await;
    assert_eq!(refused.len(), 1);
    assert_eq!(
        (refused[0].pointer.as_str(), refused[0].code.as_str()),
        ("/events/order.placed.v1", "event-schema-differs")
    );
    assert!(refused[0].message.contains("`first`"), "{}", refused[0].message);
    assert_eq!(issues(&bench, &engine, "second", &strict).await, []);
    assert_eq!(issues(&bench, &engine, "first", &loose).await.len(), 1, "two hold it by now");
}

#[tokio::test]
async fn an_event_is_held_against_the_schema_that_another_workflow_declares() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let strict = json!({"type": "object", "required": ["id"]});
    engine.apply_as("other", json!({"a": {"use": "set"}}), declares(&strict)).await;
    engine.apply(publishes("order.placed.v1", json!({"number": 1})), json!({})).await;
    let ended = bench.ended(engine.run("1").await).await;
    assert_eq!(ended.run.error.unwrap().code, "event-invalid");
    engine.apply(publishes("order.placed.v1", json!({"id": 1})), json!({})).await;
    assert_eq!(state(&bench.ended(engine.run("2").await).await), RunState::Succeeded);
}

#[tokio::test]
async fn only_runs_that_there_are_are_told() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let mut gathers = listens("order.placed.v1");
    gathers["limits"] = json!({"debounce": {"wait": "1h"}});
    engine.apply_as("gathers", json!({"a": {"use": "set"}}), gathers).await;
    let plain = listens("order.placed.v1");
    engine.apply_as("plain", json!({"a": {"use": "set"}}), plain).await;
    engine.apply(publishes("order.placed.v1", json!({"id": 1})), json!({})).await;
    for key in ["1", "2"] {
        let ended = bench.ended(engine.run(key).await).await;
        let output = ended.run.output.unwrap().value().clone();
        let event = serde_json::from_value(output["event"].clone()).unwrap();
        let stored = bench.store.event(bench.tenant, event).await.unwrap().expect("it is stored");
        assert_eq!(stored.runs.len(), 2);
        let told: Vec<_> = serde_json::from_value(output["runs"].clone()).unwrap();
        assert_eq!(told.len(), 1);
        let run = bench.store.run(bench.tenant, told[0]).await.unwrap().expect("there is one");
        assert_eq!(run.workflow_name, "plain");
    }
}
