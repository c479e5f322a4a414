//! `GET /api/v1/runs/{id}` and its steps

use std::time::Duration;

use serde_json::json;
use tombolo_core::clock::{Clock, Timestamp};
use tombolo_core::error::{ErrorClass, StepError};
use tombolo_core::ports::egress::CallRecord;
use tombolo_core::ports::sandbox::LogLine;
use tombolo_core::ports::store::{Call, Next};
use tombolo_core::run::{RunState, StepState};

use super::scene::{claim, host, settle, started, step};
use crate::harness::{Host, START};

fn call(sequence: u32, attempt: u32) -> Call {
    let record = CallRecord {
        sequence,
        method: "POST".to_owned(),
        url: "https://a.example/deals".to_owned(),
        request_headers: vec![("authorization".to_owned(), "[redacted]".to_owned())],
        request_body: Some("{}".to_owned()),
        request_hash: "00".to_owned(),
        idempotency_key: None,
        status: Some(201),
        response_headers: Vec::new(),
        response_body: None,
        error: None,
        from_journal: false,
        started_at: START,
        duration_ms: 12,
    };
    Call { node: "first".to_owned(), item: 0, attempt, record }
}

/// A run whose first node is done, whose second waits, and whose third was skipped.
async fn scene(host: &Host) -> String {
    let run = started(host).await;
    let claimed = claim(host).await;
    let mut first = step("first", 0, StepState::Succeeded);
    first.attempt = 2;
    first.input = Some(json!({"id": 1}).into());
    first.output = Some(json!({"amount": 5}).into());
    first.started_at = Some(START);
    first.ended_at = Some(START.plus(Duration::from_millis(40)));
    first.logs = vec![LogLine { level: "info".to_owned(), message: "read".to_owned() }];
    let mut second = step("a-second", 0, StepState::Waiting);
    second.started_at = Some(START.plus(Duration::from_millis(40)));
    second.due_at = Some(START.plus(Duration::from_secs(10)));
    second.error = Some(StepError::new(ErrorClass::Transient, "http-503", "try later"));
    let skipped = step("skipped", 0, StepState::Skipped);
    let due = START.plus(Duration::from_secs(10));
    let park = Next::Park {
        state: RunState::Waiting,
        available_at: Some(due),
        connections: Default::default(),
    };
    let mut settle = settle(host, &claimed, vec![skipped, second, first], park);
    settle.calls = vec![call(0, 1), call(0, 2)];
    host.store.settle(settle).await.unwrap();
    run.to_string()
}

#[tokio::test]
async fn a_run_is_shown_with_its_steps_in_order() {
    let host = host().await;
    let run = scene(&host).await;
    let shown = host.get(&format!("/api/v1/runs/{run}")).await;
    let body = shown.ok(200);
    assert_eq!((&body["state"], &body["duration_ms"]), (&json!("waiting"), &json!(null)));
    assert_eq!((&body["output"], &body["cancel_requested"]), (&json!(null), &json!(false)));
    assert_eq!(body["available_at"], "2026-09-21T14:13:30.000Z");
    assert_eq!(
        body["steps"],
        json!([
            {
                "node": "first", "item": 0, "state": "succeeded", "attempt": 2,
                "started_at": "2026-09-21T14:13:20.000Z", "ended_at": "2026-09-21T14:13:20.040Z",
                "duration_ms": 40, "due_at": null, "ports": [], "plugin": null, "edits": 0,
            },
            {
                "node": "a-second", "item": 0, "state": "waiting", "attempt": 1,
                "started_at": "2026-09-21T14:13:20.040Z", "ended_at": null, "duration_ms": null,
                "due_at": "2026-09-21T14:13:30.000Z", "ports": [], "plugin": null, "edits": 0,
                "error": {"class": "transient", "code": "http-503", "message": "try later"},
            },
            {
                "node": "skipped", "item": 0, "state": "skipped", "attempt": 1,
                "started_at": null, "ended_at": null, "duration_ms": null, "due_at": null,
                "ports": [], "plugin": null, "edits": 0,
            },
        ])
    );
}

#[tokio::test]
async fn a_step_is_shown_with_everything_on_record() {
    let host = host().await;
    let run = scene(&host).await;
    let shown = host.get(&format!("/api/v1/runs/{run}/steps/first")).await;
    let body = shown.ok(200);
    assert_eq!((&body["input"], &body["output"]), (&json!({"id": 1}), &json!({"amount": 5})));
    assert_eq!(body["logs"], json!([{"level": "info", "message": "read"}]));
    let calls = body["calls"].as_array().unwrap();
    assert_eq!((calls.len(), &calls[1]["attempt"]), (2, &json!(2)));
    assert_eq!((&calls[0]["method"], &calls[0]["status"]), (&json!("POST"), &json!(201)));

    let all = host.get(&format!("/api/v1/runs/{run}/steps")).await;
    let items = all.ok(200)["items"].as_array().unwrap();
    assert_eq!(items.len(), 3);
    assert_eq!(items[0], *body);
    assert_eq!(items[1]["calls"], json!([]));

    for path in ["steps/none", "steps/first?item=1"] {
        host.get(&format!("/api/v1/runs/{run}/{path}")).await.problem(404, "step-not-found");
    }
    host.get(&format!("/api/v1/runs/{run}/steps/first?itm=1")).await.problem(400, "invalid-query");
}

#[tokio::test]
async fn a_failed_run_says_why() {
    let host = host().await;
    let run = started(&host).await;
    let claimed = claim(&host).await;
    let error = StepError::new(ErrorClass::Permanent, "step-dead", "node n gave up");
    let end = Next::End { state: RunState::Failed, output: None, error: Some(error) };
    host.store.settle(settle(&host, &claimed, Vec::new(), end)).await.unwrap();
    let shown = host.get(&format!("/api/v1/runs/{run}")).await;
    assert_eq!(shown.ok(200)["error"]["code"], "step-dead");
    assert_eq!(shown.json["ended_at"], json!(Timestamp(host.clock.now().0)));
    assert_eq!(shown.json["available_at"], json!(null));
}
