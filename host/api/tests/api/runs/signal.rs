//! `POST /api/v1/runs/{id}/steps/{node}/signal`

use serde_json::{Value, json};
use tombolo_core::run::RunState;

use super::scene::{asking, end};
use crate::harness::{Call, Host, Reply};

async fn signal(host: &Host, run: &str, node: &str, body: &Value) -> Reply {
    let path = format!("/api/v1/runs/{run}/steps/{node}/signal");
    host.call(Call::new("POST", &path).json(body)).await
}

#[tokio::test]
async fn a_callback_takes_any_json_once() {
    let host = Host::start().await;
    let run = asking(&host).await;
    let id = run.to_string();
    let kept = signal(&host, &id, "called", &json!([1, {"a": null}])).await;
    assert_eq!(
        *kept.ok(202),
        json!({
            "run": run, "step": {"node": "called", "item": 0}, "href": format!("/api/v1/runs/{run}"),
        })
    );
    let again = signal(&host, &id, "called", &json!(2)).await;
    again.problem(409, "already-answered");
    let stored = host.store.signals(host.tenant, run).await.unwrap();
    assert_eq!((stored.len(), &stored[0].body), (1, &json!([1, {"a": null}]).into()));

    let audit = host.get("/api/v1/audit").await;
    let entry = &audit.ok(200)["items"][0];
    assert_eq!(entry["action"], "step-signalled");
    assert_eq!(entry["subject"], format!("{run}/steps/called/0"));
    assert!(entry["actor"].as_str().unwrap().starts_with("token:tok_"));
}

#[tokio::test]
async fn an_approval_takes_a_decision_and_the_token_is_who_decided() {
    let host = Host::start().await;
    let run = asking(&host).await;
    let id = run.to_string();
    for (body, pointer) in [
        (json!({"decision": "maybe"}), "/decision"),
        (json!({"decision": "approved", "by": "Ada"}), "/by"),
        (json!("approved"), ""),
    ] {
        let refused = signal(&host, &id, "approved_by", &body).await;
        assert_eq!(refused.problem(422, "invalid-body")["pointer"], pointer, "{body}");
    }
    signal(&host, &id, "approved_by", &json!({"decision": "rejected", "reason": "dear"}))
        .await
        .ok(202);
    let stored = host.store.signals(host.tenant, run).await.unwrap();
    let body = stored[0].body.value();
    assert_eq!((&body["decision"], &body["reason"]), (&json!("rejected"), &json!("dear")));
    assert!(body["by"].as_str().unwrap().starts_with("token:tok_"), "{body}");
}

#[tokio::test]
async fn a_node_that_waits_for_nobody_takes_nothing() {
    let host = Host::start().await;
    let run = asking(&host).await.to_string();
    for node in ["n", "none"] {
        let refused = signal(&host, &run, node, &json!(1)).await;
        refused.problem(409, "takes-no-signal");
    }
    let unknown = format!("run_{}", "0".repeat(32));
    signal(&host, &unknown, "called", &json!(1)).await.problem(404, "run-not-found");
    let ended = asking(&host).await;
    end(&host, ended, Vec::new(), RunState::Succeeded).await;
    let late = signal(&host, &ended.to_string(), "called", &json!(1)).await;
    assert_eq!(late.problem(409, "run-ended")["state"], "succeeded");
}
