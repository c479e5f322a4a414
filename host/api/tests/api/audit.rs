//! `GET /api/v1/audit`

use serde_json::{Value, json};
use tombolo_core::audit::{Actor, AuditEntry};
use tombolo_core::ports::store::Scope;

use crate::harness::{Call, Host, START};

async fn record(host: &Host, action: &str) {
    let entry = AuditEntry {
        at: START,
        actor: Actor("token:tok_1".to_owned()),
        action: action.to_owned(),
        subject: "run_1/steps/ask/0".to_owned(),
        detail: json!({"reason": "because"}),
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
