//! `/api/v1/workflows`

use serde_json::{Value, json};

use crate::harness::{Call, Host};

pub fn file(name: &str) -> Value {
    json!({
        "name": name,
        "summary": "From won to done",
        "triggers": {"won": {"webhook": {"path": "hubspot/deals", "verify": "none"}}},
        "nodes": {"n": {"use": "set"}},
    })
}

#[tokio::test]
async fn a_file_is_checked_without_being_applied() {
    let host = Host::start().await;
    let validate = async |file: Value| {
        host.call(Call::new("POST", "/api/v1/workflows/validate").json(&file)).await
    };
    assert_eq!(*validate(file("flow")).await.ok(200), json!({"valid": true, "issues": []}));
    let wrong = validate(json!({"name": "flow", "nodes": {"n": {"use": "set", "wiht": {}}}})).await;
    assert_eq!(
        *wrong.ok(200),
        json!({"valid": false, "issues": [{
            "pointer": "/nodes/n/wiht", "code": "unknown-key",
            "message": "`wiht` is not known here", "suggestion": "did you mean `with`?",
        }]})
    );
    assert_eq!(host.get("/api/v1/workflows").await.json["items"], json!([]));
}

#[tokio::test]
async fn a_version_is_made_only_by_a_change() {
    let host = Host::start().await;
    let apply = async |file: &Value| host.call(Call::put("/api/v1/workflows/flow", file)).await;
    let first = apply(&file("flow")).await;
    let id = &first.ok(201)["id"];
    assert_eq!(first.json, json!({"id": id, "name": "flow", "version": 1, "status": "created"}));
    let same = apply(&file("flow")).await;
    assert_eq!(
        *same.ok(200),
        json!({"id": id, "name": "flow", "version": 1, "status": "unchanged"})
    );
    let mut changed = file("flow");
    changed["summary"] = "Another".into();
    assert_eq!(apply(&changed).await.ok(201)["version"], 2);
}

#[tokio::test]
async fn a_wrong_file_is_refused_with_all_its_issues() {
    let host = Host::start().await;
    let wrong = json!({"name": "flow", "nodes": {"n": {"use": 1}, "m": {}}});
    let refused = host.call(Call::put("/api/v1/workflows/flow", &wrong)).await;
    let issues = refused.problem(422, "invalid-workflow")["issues"].as_array().unwrap().clone();
    let pointers: Vec<_> = issues.iter().map(|issue| issue["pointer"].as_str().unwrap()).collect();
    assert_eq!(issues.len(), 2, "{issues:?}");
    assert!(pointers.contains(&"/nodes/n/use") && pointers.contains(&"/nodes/m"), "{pointers:?}");
    let empty = host.call(Call::new("PUT", "/api/v1/workflows/flow")).await;
    empty.problem(422, "invalid-workflow");
}

#[tokio::test]
async fn the_address_and_the_file_agree_on_the_name() {
    let host = Host::start().await;
    let refused = host.call(Call::put("/api/v1/workflows/other", &file("flow"))).await;
    let issue = &refused.problem(422, "invalid-workflow")["issues"][0];
    assert_eq!(issue["pointer"], "/name");
    assert_eq!(issue["code"], "name-mismatch");
    assert!(issue["suggestion"].as_str().unwrap().contains("/api/v1/workflows/flow"));
}

#[tokio::test]
async fn workflows_are_listed_with_their_triggers() {
    let host = Host::start().await;
    host.call(Call::put("/api/v1/workflows/flow", &file("flow"))).await.ok(201);
    let list = host.get("/api/v1/workflows").await;
    assert_eq!(
        list.ok(200)["items"],
        json!([{
            "id": list.json["items"][0]["id"], "name": "flow", "version": 1,
            "summary": "From won to done", "created_at": "2026-09-21T14:13:20.000Z",
            "triggers": [{"name": "won", "kind": "webhook", "path": "hubspot/deals"}],
        }])
    );
}

#[tokio::test]
async fn every_version_can_be_looked_at() {
    let host = Host::start().await;
    host.call(Call::put("/api/v1/workflows/flow", &file("flow"))).await.ok(201);
    let mut changed = file("flow");
    changed["summary"] = "Another".into();
    host.call(Call::put("/api/v1/workflows/flow", &changed)).await.ok(201);

    let live = host.get("/api/v1/workflows/flow").await;
    assert_eq!(live.ok(200)["version"], 2);
    assert_eq!(live.json["definition"], changed);
    assert_eq!(live.json["pins"], json!({}));
    let versions = host.get("/api/v1/workflows/flow/versions").await;
    let versions = versions.ok(200)["items"].as_array().unwrap().clone();
    let brief: Vec<_> = versions.iter().map(|one| (&one["version"], &one["live"])).collect();
    assert_eq!(brief, [(&json!(2), &json!(true)), (&json!(1), &json!(false))]);
    let old = host.get("/api/v1/workflows/flow/versions/1").await;
    assert_eq!(old.ok(200)["definition"], file("flow"));
    host.get("/api/v1/workflows/flow/versions/3").await.problem(404, "version-not-found");
    host.get("/api/v1/workflows/none").await.problem(404, "workflow-not-found");
}

#[tokio::test]
async fn the_schema_is_published() {
    let host = Host::start().await;
    let schema = host.send(Call::new("GET", "/api/v1/schema/workflow")).await;
    assert_eq!(schema.ok(200)["title"], "Tombolo workflow");
}
