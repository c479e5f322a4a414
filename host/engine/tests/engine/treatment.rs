//! What becomes of a step after each kind of failure, on a real store.

use std::time::Duration;

use serde_json::json;
use tombolo_core::audit::{Actor, AuditEntry};
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::ports::repair::Repairs;
use tombolo_core::ports::store::{Catalog, Reading};
use tombolo_core::run::{RunState, StepState};

use crate::support::{Bench, HOUR, Script, by, eventually, state, step};

fn resumed(bench: &Bench) -> AuditEntry {
    AuditEntry {
        at: bench.clock_now(),
        actor: Actor("token:test".into()),
        action: "connection-resumed".into(),
        subject: "crm".into(),
        detail: json!(null),
        correlation_id: None,
    }
}

#[tokio::test]
async fn refused_credentials_pause_the_connection_until_it_is_mended() {
    let bench = Bench::new().await;
    bench.connect("crm").await;
    let engine = bench.start().await;
    engine
        .apply(
            json!({"a": {"use": "test.keyed", "connection": "crm", "retry": {"attempts": 1}}}),
            json!({}),
        )
        .await;
    bench.sandbox.fail("a", ErrorClass::Auth);
    let first = engine.run("1").await;
    let parked = bench.until(first, |view| state(view) == RunState::Waiting).await;
    assert_eq!(parked.available_at, parked.run.deadline, "nothing but a person lets it go on");
    // A moment may pass between the write and its first reading.
    let paused = eventually("the connection is paused", async || {
        bench.store.connection(bench.tenant, "crm").await.unwrap().unwrap().paused
    })
    .await;
    assert_eq!(paused.reason, "as the test says");
    // Others do not even call.
    let second = engine.run("2").await;
    let parked = bench.until(second, |view| state(view) == RunState::Waiting).await;
    assert_eq!(parked.steps[0].error.as_ref().unwrap().code, "connection-paused");
    assert_eq!(bench.sandbox.attempts("a").len(), 1);
    let why = engine.engine.explain(bench.tenant, second).await.unwrap();
    assert_eq!(why.why.code, "connection-paused");

    let now = bench.clock_now();
    let released =
        bench.store.resume_connection(bench.tenant, "crm", now, resumed(&bench)).await.unwrap();
    assert_eq!(released, Some(2));
    for run in [first, second] {
        assert_eq!(state(&bench.ended(run).await), RunState::Succeeded);
    }
    assert_eq!(bench.sandbox.attempts("a").len(), 3, "no attempt was spent");
}

#[tokio::test]
async fn a_connection_that_is_set_again_is_mended() {
    let bench = Bench::new().await;
    bench.connect("crm").await;
    let engine = bench.start().await;
    engine.apply(json!({"a": {"use": "test.read", "connection": "crm"}}), json!({})).await;
    bench.sandbox.fail("a", ErrorClass::Auth);
    let run = engine.run("1").await;
    bench.until(run, |view| state(view) == RunState::Waiting).await;
    bench.connect("crm").await;
    assert_eq!(state(&bench.ended(run).await), RunState::Succeeded);
}

#[tokio::test]
async fn a_paused_connection_does_not_stop_the_deadline() {
    let bench = Bench::new().await;
    bench.connect("crm").await;
    let engine = bench.start().await;
    engine
        .apply(json!({"a": {"use": "test.read", "connection": "crm"}}), json!({"timeout": "1h"}))
        .await;
    bench.sandbox.fail("a", ErrorClass::Auth);
    let run = engine.run("1").await;
    bench.until(run, |view| state(view) == RunState::Waiting).await;
    bench.clock.forward(HOUR);
    assert_eq!(bench.ended(run).await.run.error.unwrap().code, "run-timeout");
}

#[tokio::test]
async fn a_conflict_goes_its_own_way() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine
        .apply(
            json!({
                "create": {"use": "test.keyed"},
                "update": {"use": "set", "after": ["create.conflict"]},
                "alarm": {"use": "set", "after": ["create.error"]},
            }),
            json!({}),
        )
        .await;
    bench.sandbox.fail("create", ErrorClass::Conflict);
    let ended = bench.ended(engine.run("1").await).await;
    assert_eq!(
        (step(&ended, "update"), step(&ended, "alarm")),
        ("succeeded".into(), "skipped".into())
    );
    bench.sandbox.fail("create", ErrorClass::NotFound);
    let ended = bench.ended(engine.run("2").await).await;
    assert_eq!(
        (step(&ended, "update"), step(&ended, "alarm")),
        ("skipped".into(), "succeeded".into())
    );
}

#[tokio::test]
async fn an_expression_decides_whether_to_try_again() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let retry =
        json!({"if": "${ .error.details.again }", "attempts": 3, "backoff": {"first": "1ms"}});
    engine.apply(json!({"a": {"use": "test.read", "retry": retry}}), json!({})).await;
    let failure = |again: bool| {
        let error = StepError::new(ErrorClass::Permanent, "odd", "who knows");
        Script::Fail(error.with_details(json!({ "again": again })))
    };
    bench.sandbox.next("a", failure(true));
    bench.sandbox.next("a", failure(false));
    let run = engine.run("1").await;
    bench.until(run, |view| state(view) == RunState::Waiting).await;
    bench.clock.forward(Duration::from_millis(1));
    let ended = bench.ended(run).await;
    assert_eq!(ended.steps[0].state, StepState::Dead);
    assert_eq!(ended.steps[0].attempt, 2);

    // Without an answer the class decides, and the step says so.
    bench
        .sandbox
        .next("a", Script::Fail(StepError::new(ErrorClass::Permanent, "odd", "who knows")));
    let ended = bench.ended(engine.run("2").await).await;
    assert_eq!(ended.steps[0].state, StepState::Dead);
    assert!(ended.steps[0].logs[0].message.contains("`retry.if` has no answer"));
}

#[tokio::test]
async fn a_rate_limit_keeps_its_deadline_over_a_restart_and_spends_nothing() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine.apply(json!({"a": {"use": "test.read", "retry": {"attempts": 1}}}), json!({})).await;
    let mut limited = StepError::new(ErrorClass::RateLimited, "slow-down", "later");
    limited.retry_after_ms = Some(3_600_000);
    bench.sandbox.next("a", Script::Fail(limited));
    let run = engine.run("1").await;
    let parked = bench.until(run, |view| state(view) == RunState::Waiting).await;
    let due = parked.steps[0].due_at.unwrap();
    let why = engine.engine.explain(bench.tenant, run).await.unwrap();
    assert_eq!((why.why.code, why.why.until), ("rate-limited", Some(due)));
    engine.kill();
    bench.start().await;
    bench.clock.forward(HOUR);
    let ended = bench.ended(run).await;
    assert_eq!((state(&ended), ended.steps[0].attempt), (RunState::Succeeded, 2));
}

#[tokio::test]
async fn an_attempt_that_is_cut_off_leaves_its_calls_and_says_what_it_knows() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    engine
        .apply(
            json!({"sent": {"use": "test.unsafe"}, "not_yet": {"use": "test.unsafe"}}),
            json!({}),
        )
        .await;
    let (sent_started, sent) = tokio::sync::oneshot::channel();
    bench.sandbox.next("sent", Script::Calls(sent_started, true));
    let (not_started, not_yet) = tokio::sync::oneshot::channel();
    bench.sandbox.next("not_yet", Script::Calls(not_started, false));
    let run = engine.run("1").await;
    sent.await.unwrap();
    not_yet.await.unwrap();
    use tombolo_core::ports::intake::Intake;
    engine.engine.cancel(bench.tenant, run, by()).await.unwrap();
    let ended = bench.ended(run).await;
    assert_eq!(state(&ended), RunState::Cancelled);
    assert_eq!(
        (step(&ended, "sent"), step(&ended, "not_yet")),
        ("unknown".into(), "cancelled".into())
    );
    let calls = bench.store.calls(bench.tenant, run).await.unwrap();
    assert_eq!(calls.len(), 2, "what was called is on record");
}

#[tokio::test]
async fn a_step_that_has_no_time_for_another_attempt_says_so() {
    let bench = Bench::new().await;
    let engine = bench.start().await;
    let retry = json!({"attempts": 9, "within": "10m", "backoff": {"first": "1h", "max": "1h"}});
    engine.apply(json!({"a": {"use": "test.read", "retry": retry}}), json!({})).await;
    bench.sandbox.fail("a", ErrorClass::Transient);
    let run = engine.run("1").await;
    let ended = bench.ended(run).await;
    assert_eq!(step(&ended, "a"), "dead");
    let error = ended.steps[0].error.as_ref().unwrap();
    assert!(error.message.contains("`retry.within`"), "{}", error.message);
}
