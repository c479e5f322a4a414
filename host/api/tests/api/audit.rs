//! `GET /api/v1/audit`

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tombolo_core::audit::{Actor, AuditEntry};
use tombolo_core::ports::store::Scope;

use crate::harness::{Call, Host, START};
use crate::{plugins, workflows};

async fn record(host: &Host, action: &str) {
    let entry = AuditEntry {
        at: START,
        actor: Actor("token:tok_1".to_owned()),
        action: action.to_owned(),
        subject: "run_1/steps/ask/0".to_owned(),
        detail: json!({"reason": "because"}),
        correlation_id: None,
    };
    host.store.record(host.tenant, entry).await.unwrap();
}

fn actions(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| item["action"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_record_is_read_from_its_end_page_by_page() {
    let host = Host::start().await;
    for action in ["first", "second", "third"] {
        record(&host, action).await;
    }
    let page = host.get("/api/v1/audit?limit=2").await;
    assert_eq!(actions(page.ok(200)), ["third", "second"]);
    let item = &page.json["items"][0];
    assert_eq!(
        *item,
        json!({
            "number": item["number"], "at": "2026-09-21T14:13:20.000Z", "actor": "token:tok_1",
            "action": "third", "subject": "run_1/steps/ask/0", "detail": {"reason": "because"},
            "correlation_id": null,
        })
    );
    let next = page.json["next"].as_str().unwrap();
    let rest = host.get(&format!("/api/v1/audit?limit=2&cursor={next}")).await;
    assert_eq!((actions(rest.ok(200)), &rest.json["next"]), (vec!["first"], &Value::Null));
    host.get("/api/v1/audit?cursor=x").await.problem(400, "invalid-cursor");
    host.get("/api/v1/audit?limit=201").await.problem(400, "invalid-query");
}

#[tokio::test]
async fn a_tenant_reads_its_own_only() {
    let host = Host::start().await;
    record(&host, "first").await;
    let other = host.tenant_named("other").await;
    let token = host.issue(other, &[Scope::AuditRead], None).await;
    let list = host.send(Call::new("GET", "/api/v1/audit").token(&token)).await;
    assert_eq!(list.ok(200)["items"], json!([]));
}

/// Every route that changes something, with what it leaves on record; None if it changes nothing.
const CHANGES: [(&str, &str, Option<&str>); 17] = [
    ("post", "/api/v1/plugins", Some("plugin-added")),
    ("post", "/api/v1/workflows/validate", None),
    ("put", "/api/v1/workflows/{name}", Some("workflow-applied")),
    ("post", "/api/v1/workflows/{name}/runs", Some("run-started")),
    ("post", "/api/v1/runs/{id}/cancel", Some("cancel-requested")),
    ("post", "/api/v1/runs/{id}/redrive", Some("step-redriven")),
    ("post", "/api/v1/runs/{id}/replay", Some("run-replayed")),
    ("post", "/api/v1/runs/{id}/steps/{node}/resolve", Some("step-resolved")),
    ("post", "/api/v1/runs/{id}/steps/{node}/discard", Some("letter-discarded")),
    ("post", "/api/v1/runs/{id}/steps/{node}/signal", Some("step-signalled")),
    ("post", "/api/v1/runs/replay", Some("run-replayed")),
    ("post", "/api/v1/dead-letters/redrive", Some("step-redriven")),
    ("post", "/callbacks/{tenant}/{run}/{node}/{proof}", Some("step-signalled")),
    ("put", "/api/v1/connections/{name}", Some("connection-set")),
    ("post", "/api/v1/connections/{name}/resume", Some("connection-resumed")),
    ("post", "/api/v1/tokens", Some("token-created")),
    ("delete", "/api/v1/tokens/{id}", Some("token-revoked")),
];

#[tokio::test]
async fn no_route_changes_something_that_nobody_thought_of_here() {
    let host = Host::start().await;
    let document = host.send(Call::new("GET", "/openapi.json")).await;
    let known = document.ok(200).to_string();
    let mut found = BTreeSet::new();
    for (path, methods) in document.json["paths"].as_object().unwrap() {
        let changing = methods.as_object().unwrap().keys().filter(|method| *method != "get");
        found.extend(changing.map(|method| (method.as_str(), path.as_str())));
    }
    let listed: BTreeSet<_> = CHANGES.iter().map(|(method, path, _)| (*method, *path)).collect();
    assert_eq!(found, listed, "say here what it leaves on record");
    for action in CHANGES.iter().filter_map(|(_, _, action)| *action) {
        assert!(known.contains(action), "the document does not name `{action}`");
    }
}

#[tokio::test]
async fn what_people_do_is_on_record_with_the_request_that_asked_for_it() {
    let host = Host::start().await;
    let file = workflows::file("flow");
    let connection =
        json!({"base_url": "https://crm.example", "auth": {"kind": "bearer", "token": "hunter2"}});
    let token = json!({"name": "ci", "scopes": ["runs:read"]});
    let start = Call::new("POST", "/api/v1/workflows/flow/runs").json(&json!({"n": 1}));
    host.call(plugins::upload("crm", "1.0.0").header("x-correlation-id", "mine-1")).await.ok(201);
    host.call(Call::put("/api/v1/workflows/flow", &file)).await.ok(201);
    host.call(Call::put("/api/v1/connections/crm", &connection)).await.ok(201);
    let made = host.call(Call::new("POST", "/api/v1/tokens").json(&token)).await;
    let run = host.call(start).await.ok(202)["run"].as_str().unwrap().to_owned();
    host.call(Call::new("POST", &format!("/api/v1/runs/{run}/cancel"))).await.ok(202);
    // What changes nothing, and what is refused, is not.
    host.call(Call::put("/api/v1/workflows/flow", &file)).await.ok(200);
    host.call(plugins::upload("crm", "1.0.0")).await.ok(200);
    host.call(Call::put("/api/v1/connections/crm", &json!({"base_url": "x"})))
        .await
        .problem(422, "invalid-body");

    let list = host.get("/api/v1/audit").await;
    let mut told = actions(list.ok(200));
    told.reverse();
    assert_eq!(
        told,
        [
            "plugin-added",
            "workflow-applied",
            "connection-set",
            "token-created",
            "run-started",
            "cancel-requested",
        ]
    );
    let items = list.json["items"].as_array().unwrap();
    assert!(items.iter().all(|item| item["actor"].as_str().unwrap().starts_with("token:tok_")));
    assert_eq!(items[5]["correlation_id"], "mine-1");
    assert!(items.iter().all(|item| item["correlation_id"].is_string()), "{items:?}");
    assert_eq!(items[2]["subject"], made.json["id"]);
    assert_eq!(items[3]["detail"]["after"]["auth"]["kind"], "bearer");
    let text = list.text;
    assert!(!text.contains("hunter2"), "{text}");
    assert!(!text.contains(made.json["token"].as_str().unwrap()), "{text}");
}
