//! Built-in nodes that wait, call and publish, on a real store.

use serde_json::{Value, json};
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::id::RunId;
use tombolo_core::ports::intake::{Answer, Intake};
use tombolo_core::ports::repair::{RepairError, Repairs};
use tombolo_core::ports::store::{Page, Reading, RunView, Signalled, StepKey};
use tombolo_core::run::RunState;

use crate::support::{Bench, HOUR, Running, Script, by, state, step};

fn key(node: &str) -> StepKey {
    StepKey { node: node.into(), item: 0 }
}

fn output<'a>(view: &'a RunView, node: &str) -> &'a Value {
    let step = view.steps.iter().find(|step| step.node == node && step.item == 0).unwrap();
    step.output.as_ref().unwrap().value()
}

async fn newest(bench: &Bench) -> Vec<RunView> {
    let page = Page { after: None, limit: 50 };
    let runs = bench.store.runs(bench.tenant, &Default::default(), page).await.unwrap();
    let mut views = Vec::new();
    for summary in runs {
        views.push(bench.store.run(bench.tenant, summary.run.id).await.unwrap().unwrap());
    }
    views
}

async fn run_of(bench: &Bench, workflow: &str) -> RunId {
    let views = newest(bench).await;
    views.into_iter().find(|view| view.workflow_name == workflow).expect("it runs").run.id
}

#[tokio::test]
async fn a_wait_is_in_the_store_and_ends_when_its_time_has_come() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine
        .apply(
            json!({
                "first": {"use": "test.read"},
                "wait": {"use": "wait", "after": ["first"], "with": {"for": "2h"}},
                "then": {"use": "set", "after": ["wait"], "with": {"until": "${ .steps.wait.until }"}},
            }),
            json!({}),
        )
        .await;
    let run = engine.run("1").await;
    let parked = bench.until(run, |view| state(view) == RunState::Waiting).await;
    assert_eq!(parked.available_at, Some(parked.run.created_at.plus(2 * HOUR)));
    engine.kill();

    bench.start().await;
    bench.clock.forward(2 * HOUR);
    let ended = bench.ended(run).await;
    assert_eq!(state(&ended), RunState::Succeeded);
    assert_eq!(bench.sandbox.attempts("first").len(), 1);
    assert_eq!(output(&ended, "then")["until"], json!(parked.available_at));
}

#[tokio::test]
async fn a_callback_goes_on_with_what_was_sent_whether_early_or_late() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine
        .apply(
            json!({
                "tell": {"use": "test.read", "with": {"address": "${ .callbacks.answer }"}},
                "answer": {"use": "callback", "after": ["tell"], "with": {"expires": "1h"}},
            }),
            json!({}),
        )
        .await;
    // Late: the run is parked.
    let late = engine.run("late").await;
    let parked = bench.until(late, |view| state(view) == RunState::Waiting).await;
    let address = output(&parked, "tell")["address"].as_str().unwrap().to_owned();
    assert!(address.contains(&late.to_string()), "{address}");
    let send = |run, body: Value| {
        engine.engine.signal(bench.tenant, run, key("answer"), body.into(), by())
    };
    assert_eq!(send(late, json!({"ok": 1})).await, Ok(Signalled::Kept));
    let ended = bench.ended(late).await;
    assert_eq!(ended.run.output.unwrap().value(), &json!({"ok": 1}));
    assert_eq!(send(late, json!(2)).await, Ok(Signalled::Ended(RunState::Succeeded)));

    // Early: the node before it is still at work.
    let (started, go_on) = bench.sandbox.hold("tell");
    let early = engine.run("early").await;
    started.await.unwrap();
    assert_eq!(send(early, json!("first")).await, Ok(Signalled::Kept));
    assert_eq!(send(early, json!("second")).await, Ok(Signalled::Taken));
    go_on.send(json!({})).unwrap();
    let ended = bench.ended(early).await;
    assert_eq!(ended.run.output.unwrap().value(), "first");

    let wrong = engine.engine.signal(bench.tenant, early, key("tell"), json!(1).into(), by()).await;
    assert!(matches!(wrong, Err(RepairError::TakesNoSignal(_))), "{wrong:?}");
}

#[tokio::test]
async fn a_callback_that_nobody_sends_expires() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine
        .apply(
            json!({
                "answer": {"use": "callback", "with": {"expires": "1h"}},
                "late": {"use": "set", "after": ["answer.error"], "with": {"why": "${ .errors.answer.code }"}},
            }),
            json!({}),
        )
        .await;
    let run = engine.run("1").await;
    bench.until(run, |view| state(view) == RunState::Waiting).await;
    bench.clock.forward(HOUR);
    let ended = bench.ended(run).await;
    assert_eq!(state(&ended), RunState::Succeeded);
    assert_eq!(output(&ended, "late")["why"], "callback-expired");
}

#[tokio::test]
async fn an_approval_takes_the_way_that_was_decided() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine
        .apply(
            json!({
                "ask": {"use": "approval", "with": {"title": "Pay ${ .trigger.id }?"}},
                "pay": {"use": "set", "after": ["ask.approved"]},
                "stop": {"use": "set", "after": ["ask.rejected"], "with": {"by": "${ .steps.ask.by }"}},
            }),
            json!({}),
        )
        .await;
    let run = engine.run("7").await;
    bench.until(run, |view| state(view) == RunState::Waiting).await;
    let body = json!({"decision": "rejected", "by": "Ada", "reason": "too much"});
    engine.engine.signal(bench.tenant, run, key("ask"), body.clone().into(), by()).await.unwrap();
    let ended = bench.ended(run).await;
    assert_eq!((step(&ended, "pay"), step(&ended, "stop")), ("skipped".into(), "succeeded".into()));
    assert_eq!(output(&ended, "ask"), &body, "who and why are stored");
    assert_eq!(output(&ended, "stop")["by"], "Ada");
}

async fn with_child(engine: &Running, child: Value, wait: bool) {
    engine.apply_as("child", child, json!({})).await;
    engine
        .apply(
            json!({
                "call": {"use": "workflow", "with": {"name": "child", "wait": wait, "input": {"n": "${ .trigger.id }"}}},
                "then": {"use": "set", "after": ["call"], "with": {"got": "${ .steps.call }"}},
            }),
            json!({}),
        )
        .await;
}

#[tokio::test]
async fn a_called_workflow_gives_its_output_to_the_caller() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    with_child(
        &engine,
        json!({"work": {"use": "test.keyed", "with": {"n": "${ .trigger.n }"}}}),
        true,
    )
    .await;
    let run = engine.run("5").await;
    let ended = bench.ended(run).await;
    assert_eq!(state(&ended), RunState::Succeeded);
    assert_eq!(output(&ended, "then")["got"], json!({"n": "5"}));
    let child =
        bench.store.run(bench.tenant, run_of(&bench, "child").await).await.unwrap().unwrap();
    assert_eq!(child.run.parent.unwrap().run, run);
    assert_eq!((child.run.depth, child.run.correlation_id), (1, ended.run.correlation_id));
}

#[tokio::test]
async fn a_workflow_that_is_only_started_does_not_hold_its_caller() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    with_child(&engine, json!({"work": {"use": "test.read"}}), false).await;
    let (started, go_on) = bench.sandbox.hold("work");
    let run = engine.run("5").await;
    let ended = bench.ended(run).await;
    assert_eq!(state(&ended), RunState::Succeeded);
    started.await.unwrap();
    let child = run_of(&bench, "child").await;
    assert_eq!(output(&ended, "call")["run"], json!(child));
    go_on.send(json!(1)).unwrap();
    assert_eq!(state(&bench.ended(child).await), RunState::Succeeded);
}

#[tokio::test]
async fn a_failure_crosses_the_boundary_as_it_is() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    with_child(&engine, json!({"work": {"use": "test.read"}}), true).await;
    let error = StepError::new(ErrorClass::NotFound, "no-customer", "there is none");
    bench.sandbox.next("work", Script::Fail(error));
    let run = engine.run("5").await;
    let ended = bench.ended(run).await;
    let call = ended.steps.iter().find(|step| step.node == "call").unwrap();
    let crossed = call.error.as_ref().unwrap();
    assert_eq!((crossed.class, crossed.code.as_str()), (ErrorClass::NotFound, "no-customer"));
    assert_eq!(crossed.details.as_ref().unwrap()["run"], json!(run_of(&bench, "child").await));
}

#[tokio::test]
async fn cancel_reaches_the_called_run() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    with_child(&engine, json!({"pause": {"use": "wait", "with": {"for": "1d"}}}), true).await;
    let run = engine.run("5").await;
    bench.until(run, |view| state(view) == RunState::Waiting).await;
    let child = run_of(&bench, "child").await;
    bench.until(child, |view| state(view) == RunState::Waiting).await;
    engine.engine.cancel(bench.tenant, run, by()).await.unwrap();
    assert_eq!(state(&bench.ended(run).await), RunState::Cancelled);
    assert_eq!(state(&bench.ended(child).await), RunState::Cancelled);
}

#[tokio::test]
async fn workflows_that_call_themselves_come_to_an_end() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(json!({"again": {"use": "workflow", "with": {"name": "w"}}}), json!({})).await;
    let run = engine.run("1").await;
    let ended = bench.ended(run).await;
    assert_eq!(ended.run.error.unwrap().code, "calls-too-deep");
    assert_eq!(newest(&bench).await.len(), 17);
}

#[tokio::test]
async fn a_call_for_every_item_of_a_list() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine
        .apply_as(
            "child",
            json!({"double": {"use": "set", "with": {"n": "${ .trigger }"}}}),
            json!({}),
        )
        .await;
    engine
        .apply(
            json!({"all": {
                "use": "workflow", "with": {"name": "child", "input": "${ .item }"},
                "each": {"items": "${ .trigger.list }", "limit": 2},
            }}),
            json!({}),
        )
        .await;
    let run = engine.run_with("1", json!({"list": [1, 2, 3]})).await;
    let ended = bench.ended(run).await;
    assert_eq!(output(&ended, "all"), &json!([{"n": 1}, {"n": 2}, {"n": 3}]));
}

#[tokio::test]
async fn a_published_event_reaches_everybody_who_listens_once() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let listens =
        |node: &str| json!({node: {"use": "set", "with": {"order": "${ .trigger.order }"}}});
    let trigger = json!({"triggers": {"placed": {"event": {"name": "order.placed.v2"}}}});
    engine.apply_as("one", listens("a"), trigger.clone()).await;
    engine.apply_as("two", listens("b"), trigger).await;
    engine
        .apply(
            json!({"tell": {"use": "publish", "with": {"event": "order.placed.v2", "data": {"order": "${ .trigger.id }"}}}}),
            json!({}),
        )
        .await;
    let Answer::Ready { status: 200, body, .. } = engine.run_and_wait("9").await else { panic!() };
    let runs = body.value()["runs"].as_array().unwrap().clone();
    assert_eq!(runs.len(), 2);
    for run in runs {
        let run = serde_json::from_value(run).unwrap();
        let ended = bench.ended(run).await;
        assert_eq!(ended.run.output.unwrap().value(), &json!({"order": "9"}));
        assert_eq!(ended.run.correlation_id, "c");
    }
    assert_eq!(newest(&bench).await.len(), 3);
}

#[tokio::test]
async fn what_breaks_its_schema_is_not_published() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let schema = json!({"events": {"order.placed.v1": {"type": "object", "required": ["id"]}}});
    let publish = |data: Value| json!({"tell": {"use": "publish", "with": {"event": "order.placed.v1", "data": data}}});
    engine.apply(publish(json!({"id": 1})), schema.clone()).await;
    assert_eq!(state(&bench.ended(engine.run("1").await).await), RunState::Succeeded);
    engine.apply(publish(json!({"number": 1})), schema).await;
    let ended = bench.ended(engine.run("2").await).await;
    assert_eq!(ended.run.error.unwrap().code, "event-invalid");
}

#[tokio::test]
async fn another_workflow_takes_a_failure_and_its_own_starts_nothing() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine
        .apply_as(
            "rescue",
            json!({"look": {"use": "test.read", "with": {"code": "${ .trigger.error.code }", "node": "${ .trigger.steps[0].node }", "id": "${ .trigger.trigger.id }"}}}),
            json!({"triggers": {"failed": {"failure": {}}}}),
        )
        .await;
    engine.apply(json!({"a": {"use": "test.read"}}), json!({})).await;
    bench.sandbox.fail("a", ErrorClass::Permanent);
    bench.sandbox.fail("look", ErrorClass::Permanent);
    let run = engine.run("1").await;
    assert_eq!(state(&bench.ended(run).await), RunState::Failed);
    let rescue = run_of(&bench, "rescue").await;
    let ended = bench.ended(rescue).await;
    assert_eq!(state(&ended), RunState::Failed);
    let input = ended.steps[0].input.as_ref().unwrap().value();
    assert_eq!(input, &json!({"code": "scripted", "node": "a", "id": "1"}));
    assert_eq!(newest(&bench).await.len(), 2, "the failure of the rescue starts no rescue");
}
