//! `POST /api/v1/workflows/{name}/runs`

use std::time::Duration;

use serde_json::{Value, json};
use tombolo_core::ports::intake::Answer;
use tombolo_core::run::RunState;

use super::scene::{START, apply, host, start};
use crate::harness::{Call, Host, Reply};

async fn keyed(host: &Host, key: &str, input: &Value) -> Reply {
    host.call(Call::new("POST", START).json(input).header("idempotency-key", key)).await
}

async fn patient(host: &Host, key: Option<&str>) -> Reply {
    let call = Call::post(START, "1").header("prefer", "wait=10");
    let call = match key {
        Some(key) => call.header("idempotency-key", key),
        None => call,
    };
    host.call(call).await
}

fn answer(host: &Host, answer: Answer) {
    host.intake.answers.lock().unwrap().push_back(answer);
}

fn ready(status: u16, headers: &[(&str, &str)], body: Value) -> Answer {
    Answer::Ready {
        status,
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: body.into(),
        state: RunState::Succeeded,
    }
}

#[tokio::test]
async fn a_start_is_accepted_with_the_run_s_address() {
    let host = host().await;
    let started = start(&host, &json!({"deal": 7})).await;
    let run = started.ok(202)["run"].as_str().unwrap().to_owned();
    let href = format!("/api/v1/runs/{run}");
    let event = started.json["event"].clone();
    assert_eq!(started.json, json!({"run": run, "event": event, "state": "queued", "href": href}));
    assert_eq!(started.header("location"), Some(href.as_str()));
    assert!(started.header("idempotency-replayed").is_none());
    let shown = host.get(&format!("/api/v1/events/{}", event.as_str().unwrap())).await;
    assert_eq!(
        *shown.ok(200),
        json!({
            "id": event, "source": "api:flow", "dedupe_key": shown.json["dedupe_key"],
            "received_at": "2026-09-21T14:13:20.000Z", "runs": [run],
            "trigger": {"deal": 7}, "event": {"source": "api:flow", "id": event},
        })
    );
}

#[tokio::test]
async fn an_empty_body_is_null_and_the_correlation_id_goes_along() {
    let host = host().await;
    let call = Call::new("POST", START).header("x-correlation-id", "order-17");
    let started = host.call(call).await;
    let event = started.ok(202)["event"].as_str().unwrap();
    assert_eq!(host.get(&format!("/api/v1/events/{event}")).await.ok(200)["trigger"], Value::Null);
    let run = host.get(started.header("location").unwrap()).await;
    assert_eq!(run.ok(200)["correlation_id"], "order-17");
}

#[tokio::test]
async fn without_a_key_every_request_is_a_run_of_its_own() {
    let host = host().await;
    let first = start(&host, &json!(1)).await;
    assert_ne!(first.json["run"], start(&host, &json!(1)).await.json["run"]);
}

#[tokio::test]
async fn the_same_key_and_request_is_answered_the_same() {
    let host = host().await;
    let first = keyed(&host, "\"key-1\"", &json!({"a": 1, "b": 2})).await;
    first.ok(202);
    let again = host
        .call(Call::post(START, "{\"b\":2,\n\"a\":1}").header("idempotency-key", "key-1"))
        .await;
    assert_eq!(again.ok(202), &first.json);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(host.get("/api/v1/runs").await.json["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_same_key_with_another_request_is_refused() {
    let host = host().await;
    keyed(&host, "key-1", &json!(1)).await.ok(202);
    keyed(&host, "key-1", &json!(2)).await.problem(422, "idempotency-key-reused");
    let waiting =
        Call::post(START, "2").header("prefer", "wait=5").header("idempotency-key", "key-1");
    host.call(waiting).await.problem(422, "idempotency-key-reused");
    assert!(host.intake.patience.lock().unwrap().is_empty(), "refused before any wait");
    keyed(&host, "key,1", &json!(1)).await.problem(400, "idempotency-key-invalid");
    apply(&host, "other").await;
    let elsewhere =
        Call::post("/api/v1/workflows/other/runs", "2").header("idempotency-key", "key-1");
    host.call(elsewhere).await.ok(202);
}

#[tokio::test]
async fn fifty_at_once_with_one_key_are_one_run() {
    let host = host().await;
    let input = json!({"a": 1});
    let all = futures_util::future::join_all((0..50).map(|_| keyed(&host, "one", &input))).await;
    let fresh = all.iter().filter(|reply| reply.header("idempotency-replayed").is_none()).count();
    assert_eq!(fresh, 1);
    for reply in &all {
        assert_eq!(reply.ok(202), &all[0].json);
    }
}

#[tokio::test]
async fn a_patient_caller_gets_the_run_s_answer() {
    let host = host().await;
    let own = [("x-own", "yes"), ("content-length", "999"), ("bad header", "x")];
    answer(&host, ready(201, &own, json!({"id": 5})));
    let reply = patient(&host, None).await;
    assert_eq!(reply.ok(201), &json!({"id": 5}));
    assert_eq!(reply.header("x-own"), Some("yes"));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("set-cookie"), None);
    assert_eq!(reply.header("preference-applied"), Some("wait=10"));
    assert!(reply.header("tombolo-run").unwrap().starts_with("run_"));
}

#[tokio::test]
async fn a_run_that_takes_longer_is_answered_with_its_address() {
    let host = host().await;
    let reply = patient(&host, None).await;
    assert_eq!(reply.ok(202)["state"], "queued");
    assert!(reply.header("location").is_some());
    let call = Call::post(START, "1").header("prefer", "wait=3600");
    assert_eq!(host.call(call).await.header("preference-applied"), Some("wait=60"));
    let asked = host.intake.patience.lock().unwrap().clone();
    assert_eq!(asked, [Duration::from_secs(10), Duration::from_secs(60)]);
}

#[tokio::test]
async fn a_patient_replay_gets_the_first_answer_or_409_while_there_is_none() {
    let host = host().await;
    patient(&host, Some("k")).await.ok(202);
    let early = patient(&host, Some("k")).await;
    let run = early.problem(409, "idempotency-key-in-use")["run"].as_str().unwrap().to_owned();
    assert_eq!(early.json["href"], format!("/api/v1/runs/{run}"));
    assert_eq!(early.header("retry-after"), Some("1"));
    answer(&host, ready(200, &[], json!("done")));
    let late = patient(&host, Some("k")).await;
    assert_eq!(late.ok(200), "done");
    assert_eq!(late.header("idempotency-replayed"), Some("true"));
    assert_eq!(late.header("tombolo-run"), Some(run.as_str()));
}

#[tokio::test]
async fn what_cannot_be_started_is_refused() {
    let host = host().await;
    let nowhere = Call::post("/api/v1/workflows/none/runs", "1");
    host.call(nowhere).await.problem(404, "workflow-not-found");
    host.call(Call::post(START, "{")).await.problem(400, "not-json");
    assert_eq!(host.get("/api/v1/runs").await.json["items"], json!([]));
}
