//! What the engine promises, on a real store: parking, retrying, recovering, cancelling, answering.

use std::time::Duration;

use crate::support::{Bench, HOUR, Script, by, state, step};
use serde_json::json;
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::ports::intake::{Answer, Intake};
use tombolo_core::ports::store::{CancelRequest, Reading, RunLog};
use tombolo_core::run::{RunState, StepState};

#[tokio::test]
async fn a_run_of_pure_steps_ends_with_its_output() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine
        .apply(
            json!({
                "a": {"use": "test.pure", "with": {"id": "${ .trigger.id }"}},
                "b": {"use": "set", "after": ["a"], "with": {"from": "${ .steps.a.id }", "run": "${ .run.workflow }"}},
            }),
            json!({}),
        )
        .await;
    let Answer::Ready { status, body, state, .. } = engine.run_and_wait("7").await else {
        panic!()
    };
    assert_eq!((status, state), (200, RunState::Succeeded));
    assert_eq!(body.value(), &json!({"from": "7", "run": "w"}));
}

#[tokio::test]
async fn branches_run_at_the_same_time() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine
        .apply(json!({"a": {"use": "test.read"}, "b": {"use": "test.read"}, "c": {"use": "set", "after": ["a", "b"]}}), json!({}))
        .await;
    let (a_started, a_goes_on) = bench.sandbox.hold("a");
    let (b_started, b_goes_on) = bench.sandbox.hold("b");
    let run = engine.run("1").await;
    // Both have started, and neither has ended.
    a_started.await.unwrap();
    b_started.await.unwrap();
    b_goes_on.send(json!(2)).unwrap();
    a_goes_on.send(json!(1)).unwrap();
    assert_eq!(state(&bench.ended(run).await), RunState::Succeeded);
}

#[tokio::test]
async fn a_retry_waits_in_the_store_and_not_in_memory() {
    let mut bench = Bench::new().await;
    bench.settings.concurrent_runs = 1;
    let engine = bench.start().await;
    let retry = json!({"attempts": 3, "backoff": {"first": "1h", "max": "2h"}});
    engine.apply(json!({"a": {"use": "test.read", "retry": retry}}), json!({})).await;
    bench.sandbox.fail("a", ErrorClass::Transient);
    let run = engine.run("1").await;
    let parked = bench.until(run, |view| state(view) == RunState::Waiting).await;
    assert_eq!(parked.available_at, Some(parked.steps[0].due_at.unwrap()));
    // The only slot is free: another run passes.
    assert!(matches!(engine.run_and_wait("2").await, Answer::Ready { status: 200, .. }));

    // Another process goes on with it, and not before it is due.
    engine.kill();
    let engine = bench.start().await;
    assert!(matches!(engine.run_and_wait("3").await, Answer::Ready { status: 200, .. }));
    let still = bench.until(run, |view| state(view) == RunState::Waiting).await;
    assert_eq!(still.steps[0].due_at, parked.steps[0].due_at);
    bench.clock.forward(HOUR);
    let ended = bench.ended(run).await;
    assert_eq!(state(&ended), RunState::Succeeded);
    let ours: Vec<u32> =
        bench.sandbox.attempts("a").into_iter().map(|(number, _)| number).collect();
    assert_eq!(ours, [1, 1, 1, 2], "run 1, run 2, run 3, run 1 again");
}

#[tokio::test]
async fn attempts_are_spent_and_then_the_run_fails_with_the_steps_error() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let retry = json!({"attempts": 2, "backoff": {"first": "1ms"}});
    engine.apply(json!({"a": {"use": "test.read", "retry": retry}}), json!({})).await;
    bench.sandbox.fail("a", ErrorClass::Transient);
    bench.sandbox.fail("a", ErrorClass::Transient);
    let run = engine.run("1").await;
    bench.until(run, |view| state(view) == RunState::Waiting).await;
    bench.clock.forward(Duration::from_millis(1));
    let ended = bench.ended(run).await;
    assert_eq!(state(&ended), RunState::Failed);
    assert_eq!(ended.steps[0].state, StepState::Dead);
    assert_eq!(ended.run.error.unwrap().code, "scripted");
    let keys = bench.sandbox.attempts("a");
    assert_eq!(keys[0].1, keys[1].1, "every attempt has the step's one idempotency key");
}

#[tokio::test]
async fn finished_steps_are_not_run_again_after_a_crash() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine
        .apply(json!({"once": {"use": "test.unsafe"}, "then": {"use": "test.read", "after": ["once"]}}), json!({}))
        .await;
    let (started, _never) = bench.sandbox.hold("then");
    let run = engine.run("1").await;
    started.await.unwrap();
    bench.until(run, |view| step(view, "once") == "succeeded").await;
    engine.kill();

    bench.start().await;
    let ended = bench.ended(run).await;
    assert_eq!(state(&ended), RunState::Succeeded);
    assert_eq!(bench.sandbox.attempts("once").len(), 1);
    assert_eq!(bench.sandbox.attempts("then").len(), 2);
}

#[tokio::test]
async fn an_unsafe_attempt_that_a_crash_cut_off_is_unknown_and_never_repeated() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine
        .apply(json!({"send": {"use": "test.unsafe"}, "other": {"use": "test.keyed"}}), json!({}))
        .await;
    let (send_started, _never) = bench.sandbox.hold("send");
    let (other_started, _nor_this) = bench.sandbox.hold("other");
    let run = engine.run("1").await;
    send_started.await.unwrap();
    other_started.await.unwrap();
    let intent = bench.store.run(bench.tenant, run).await.unwrap().unwrap();
    assert_eq!(step(&intent, "send"), "running", "the intent is durable before the call");
    engine.kill();

    bench.start().await;
    let ended = bench.ended(run).await;
    assert_eq!(state(&ended), RunState::Failed);
    assert_eq!(step(&ended, "send"), "unknown");
    assert_eq!(step(&ended, "other"), "succeeded");
    assert_eq!(ended.run.error.unwrap().code, "worker-lost");
    assert_eq!(bench.sandbox.attempts("send").len(), 1);
    let keyed = bench.sandbox.attempts("other");
    assert_eq!(keyed.len(), 2);
    assert_eq!(keyed[0].1, keyed[1].1);
}

#[tokio::test]
async fn a_run_that_kills_its_worker_fails_after_a_bounded_number_of_claims() {
    let bench = Bench::new().await;
    let nodes = json!({"a": {"use": "test.read"}});
    let engine = bench.start().await;
    engine.apply(nodes, json!({})).await;
    let mut holds = Vec::new();
    let (started, hold) = bench.sandbox.hold("a");
    holds.push(hold);
    let run = engine.run("1").await;
    started.await.unwrap();
    engine.kill();
    for _ in 1..bench.settings.max_claims {
        let (started, hold) = bench.sandbox.hold("a");
        holds.push(hold);
        let engine = bench.start().await;
        started.await.unwrap();
        engine.kill();
    }
    bench.start().await;
    let ended = bench.ended(run).await;
    assert_eq!(state(&ended), RunState::Failed);
    assert_eq!(ended.run.error.unwrap().code, "worker-lost");
    assert_eq!(bench.sandbox.attempts("a").len(), bench.settings.max_claims as usize);
}

#[tokio::test]
async fn cancel_works_while_an_attempt_runs_and_while_the_run_waits() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let retry = json!({"backoff": {"first": "1h"}});
    engine
        .apply(
            json!({"a": {"use": "test.read", "retry": retry}, "b": {"use": "set", "after": ["a"]}}),
            json!({}),
        )
        .await;

    let (started, _never) = bench.sandbox.hold("a");
    let running = engine.run("running").await;
    started.await.unwrap();
    assert_eq!(
        engine.engine.cancel(bench.tenant, running, by()).await,
        Ok(CancelRequest::Requested)
    );
    let ended = bench.ended(running).await;
    assert_eq!(state(&ended), RunState::Cancelled);
    assert_eq!((step(&ended, "a"), step(&ended, "b")), ("cancelled".into(), "cancelled".into()));

    bench.sandbox.fail("a", ErrorClass::Transient);
    let waiting = engine.run("waiting").await;
    bench.until(waiting, |view| state(view) == RunState::Waiting).await;
    engine.engine.cancel(bench.tenant, waiting, by()).await.unwrap();
    assert_eq!(state(&bench.ended(waiting).await), RunState::Cancelled);
    assert_eq!(
        engine.engine.cancel(bench.tenant, waiting, by()).await,
        Ok(CancelRequest::Ended(RunState::Cancelled))
    );
}

#[tokio::test]
async fn a_run_that_is_cut_off_in_an_unsafe_attempt_says_so() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(json!({"a": {"use": "test.unsafe"}}), json!({})).await;
    let (started, _never) = bench.sandbox.hold("a");
    let run = engine.run("1").await;
    started.await.unwrap();
    engine.engine.cancel(bench.tenant, run, by()).await.unwrap();
    let ended = bench.ended(run).await;
    assert_eq!(state(&ended), RunState::Cancelled);
    assert_eq!(step(&ended, "a"), "unknown");
}

#[tokio::test]
async fn the_deadline_ends_a_run_that_waits() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let retry = json!({"backoff": {"first": "2h", "max": "2h"}});
    engine
        .apply(json!({"a": {"use": "test.read", "retry": retry}}), json!({"timeout": "1h"}))
        .await;
    bench.sandbox.fail("a", ErrorClass::Transient);
    let run = engine.run("1").await;
    let parked = bench.until(run, |view| state(view) == RunState::Waiting).await;
    assert_eq!(parked.available_at, parked.run.deadline, "due at the deadline, not at the retry");
    bench.clock.forward(HOUR);
    let ended = bench.ended(run).await;
    assert_eq!(state(&ended), RunState::Cancelled);
    assert_eq!(ended.run.error.unwrap().code, "run-timeout");
}

#[tokio::test]
async fn a_respond_node_answers_before_the_run_ends_and_after_it_is_durable() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine
        .apply(
            json!({
                "hello": {"use": "respond", "with": {"status": 201, "headers": {"x-id": "${ .trigger.id }"}, "body": {"ok": true}}},
                "later": {"use": "test.read", "after": ["hello"]},
            }),
            json!({}),
        )
        .await;
    let (_started, go_on) = bench.sandbox.hold("later");
    let answer = engine.run_and_wait("9").await;
    let Answer::Ready { status, headers, body, state: then } = answer else { panic!("{answer:?}") };
    assert_eq!((status, then), (201, RunState::Running));
    assert_eq!(headers, [("x-id".to_owned(), "9".to_owned())]);
    assert_eq!(body.value(), &json!({"ok": true}));
    let stored = bench
        .store
        .runs(
            bench.tenant,
            &Default::default(),
            tombolo_core::ports::store::Page { after: None, limit: 1 },
        )
        .await
        .unwrap();
    let run = stored[0].run.id;
    assert_eq!(
        step(&bench.store.run(bench.tenant, run).await.unwrap().unwrap(), "hello"),
        "succeeded"
    );
    go_on.send(json!(1)).unwrap();
    bench.ended(run).await;
    // Asked again after the end, the answer is the same.
    let again = engine.engine.wait(bench.tenant, run, HOUR).await.unwrap();
    assert!(matches!(again, Answer::Ready { status: 201, .. }), "{again:?}");
}

#[tokio::test]
async fn conditions_errors_and_error_edges() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine
        .apply(
            json!({
                "skipped": {"use": "test.read", "when": "${ false }"},
                "after_skipped": {"use": "set", "after": ["skipped"]},
                "fails": {"use": "test.read", "when": "${ true }"},
                "rescue": {"use": "set", "after": ["fails.error"], "with": {"why": "${ .errors.fails.code }"}},
                "odd": {"use": "set", "when": "${ 5 }", "on_error": "continue"},
            }),
            json!({}),
        )
        .await;
    bench.sandbox.next(
        "fails",
        Script::Fail(StepError::new(ErrorClass::NotFound, "no-deal", "there is none")),
    );
    let run = engine.run("1").await;
    let ended = bench.ended(run).await;
    assert_eq!(state(&ended), RunState::Succeeded);
    let states: Vec<_> = ["skipped", "after_skipped", "fails", "rescue", "odd"]
        .map(|node| step(&ended, node))
        .into();
    assert_eq!(states, ["skipped", "skipped", "dead", "succeeded", "dead"]);
    assert!(bench.sandbox.attempts("skipped").is_empty());
    let rescue = ended.steps.iter().find(|step| step.node == "rescue").unwrap();
    assert_eq!(rescue.output.as_ref().unwrap().value(), &json!({"why": "no-deal"}));
    let odd = ended.steps.iter().find(|step| step.node == "odd").unwrap();
    assert_eq!(odd.error.as_ref().unwrap().code, "condition-not-boolean");
}

#[tokio::test]
async fn state_is_committed_with_its_step_or_not_at_all() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let retry = json!({"backoff": {"first": "1ms"}});
    engine.apply(json!({"a": {"use": "test.keyed", "retry": retry}}), json!({})).await;
    bench.sandbox.next("a", Script::Write(0));
    let first = engine.run("1").await;
    assert_eq!(state(&bench.ended(first).await), RunState::Succeeded);
    // The second has read before the first wrote: its result does not count, a new attempt's does.
    bench.sandbox.next("a", Script::Write(0));
    bench.sandbox.next("a", Script::Write(1));
    let second = engine.run("2").await;
    let parked = bench.until(second, |view| state(view) == RunState::Waiting).await;
    assert_eq!(parked.steps[0].error.as_ref().unwrap().code, "state-conflict");
    bench.clock.forward(Duration::from_millis(1));
    assert_eq!(state(&bench.ended(second).await), RunState::Succeeded);
    let workflow = parked.run.workflow;
    let entry = bench.store.node_state(bench.tenant, workflow, "a", "k").await.unwrap();
    assert_eq!(
        entry.map(|(value, version)| (value.text().to_owned(), version)),
        Some(("1".into(), 2))
    );
}

#[tokio::test]
async fn the_same_event_many_times_at_once_is_one_run() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(json!({"a": {"use": "test.unsafe"}}), json!({})).await;
    let runs = futures_util::future::join_all((0..50).map(|_| engine.run("same"))).await;
    assert!(runs.iter().all(|run| *run == runs[0]));
    bench.ended(runs[0]).await;
    assert_eq!(bench.sandbox.attempts("a").len(), 1);
}
