//! Every route has its lock, and every tenant only its own.

use serde_json::{Value, json};
use tombolo_core::ports::store::Scope;

use crate::harness::{Call, Host};
use crate::plugins::upload;

/// Method, path and scope of every documented route; no scope for an open one.
async fn routes(host: &Host) -> Vec<(String, String, Option<String>)> {
    let document = host.send(Call::new("GET", "/openapi.json")).await.json;
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let security = operation["security"].as_array().expect("every route declares it");
            let scope = security.first().map(|one| one["bearer"][0].as_str().unwrap().to_owned());
            routes.push((method.to_uppercase(), filled(path), scope));
        }
    }
    routes
}

fn filled(path: &str) -> String {
    let id = if path.contains("/runs/{id}") { "run" } else { "evt" };
    path.replace("{id}", &format!("{id}_{}", "0".repeat(32)))
        .replace("{version}", "1")
        .replace("{name}", "some")
        .replace("{run}", &format!("run_{}", "0".repeat(32)))
        .replace("{tenant}", &format!("ten_{}", "0".repeat(32)))
        .replace("{node}", "some")
        .replace("{item}", "0")
        .replace("{proof}", "some")
        .replace("{code}", "internal")
}

#[tokio::test]
async fn only_these_are_open() {
    let host = Host::start().await;
    let mut open: Vec<String> = routes(&host)
        .await
        .into_iter()
        .filter(|(_, _, scope)| scope.is_none())
        .map(|(method, path, _)| format!("{method} {path}"))
        .collect();
    open.sort();
    // Who knows one of these needs no token.
    let (addresses, open): (Vec<_>, Vec<_>) =
        open.into_iter().partition(|route| route.contains(" /callbacks/"));
    assert_eq!(addresses.len(), 2, "{addresses:?}");
    assert_eq!(
        open,
        ["GET /api/v1/schema/workflow", "GET /healthz", "GET /problems/internal", "GET /readyz"]
    );
    for route in open {
        let path = route.trim_start_matches("GET ");
        host.send(Call::new("GET", path)).await.ok(200);
    }
}

#[tokio::test]
async fn every_other_route_needs_a_token_with_its_scope() {
    let host = Host::start().await;
    let guarded: Vec<_> =
        routes(&host).await.into_iter().filter(|route| route.2.is_some()).collect();
    assert!(guarded.len() >= 20, "the document lists them: {}", guarded.len());
    let expired = host.issue(host.tenant, &Scope::ALL, Some(1)).await;
    host.clock.advance(std::time::Duration::from_secs(24 * 60 * 60));
    for (method, path, scope) in guarded {
        let scope = scope.unwrap();
        let call = || Call::new(&method, &path);
        let nobody = host.send(call()).await;
        nobody.problem(401, "unauthorized");
        assert_eq!(nobody.header("www-authenticate"), Some("Bearer realm=\"tombolo\""));
        for wrong in ["tbl_nobody", "", &expired] {
            host.send(call().token(wrong)).await.problem(401, "unauthorized");
        }
        let others: Vec<Scope> = Scope::ALL.into_iter().filter(|s| s.name() != scope).collect();
        let token = host.issue(host.tenant, &others, None).await;
        let refused = host.send(call().token(&token)).await;
        assert_eq!(refused.problem(403, "forbidden")["scope"], scope, "{method} {path}");
        let own: Vec<Scope> = Scope::ALL.into_iter().filter(|s| s.name() == scope).collect();
        let token = host.issue(host.tenant, &own, None).await;
        let admitted = host.send(call().token(&token)).await.status.as_u16();
        assert!(![401, 403].contains(&admitted), "{method} {path}: {admitted}");
    }
}

#[tokio::test]
async fn a_token_counts_only_as_bearer() {
    let host = Host::start().await;
    let call = |value: &str| Call::new("GET", "/api/v1/runs").header("authorization", value);
    let token = host.token.clone();
    host.send(call(&format!("bearer {token}"))).await.ok(200);
    host.send(call(&token)).await.problem(401, "unauthorized");
    host.send(call(&format!("Basic {token}"))).await.problem(401, "unauthorized");
    host.send(call(&format!("Bearer {token}x"))).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn a_tenant_sees_nothing_of_another() {
    let host = Host::start().await;
    host.call(upload("crm", "1.0.0")).await.ok(201);
    let file = json!({"name": "flow", "nodes": {"n": {"use": "set"}}});
    host.call(Call::put("/api/v1/workflows/flow", &file)).await.ok(201);
    host.call(Call::put("/api/v1/connections/crm", &json!({}))).await.ok(201);
    let started = host.call(Call::post("/api/v1/workflows/flow/runs", "1")).await;
    let (run, event) = (text(&started.json, "run"), text(&started.json, "event"));

    let other = host.tenant_named("other").await;
    let token = host.issue(other, &Scope::ALL, None).await;
    let get = async |path: &str| host.send(Call::new("GET", path).token(&token)).await;
    for list in ["plugins", "workflows", "connections", "runs", "dead-letters", "audit"] {
        let items = get(&format!("/api/v1/{list}")).await;
        assert_eq!(items.ok(200)["items"], json!([]), "{list}");
    }
    for (path, code) in [
        ("plugins/crm", "plugin-not-found"),
        ("workflows/flow", "workflow-not-found"),
        ("workflows/flow/versions", "workflow-not-found"),
        ("workflows/flow/versions/1", "workflow-not-found"),
        ("connections/crm", "connection-not-found"),
        (&format!("runs/{run}"), "run-not-found"),
        (&format!("runs/{run}/steps"), "run-not-found"),
        (&format!("runs/{run}/steps/n"), "run-not-found"),
        (&format!("runs/{run}/events"), "run-not-found"),
        (&format!("runs/{run}/explain"), "run-not-found"),
        (&format!("dead-letters/{run}/n/0"), "dead-letter-not-found"),
        (&format!("events/{event}"), "event-not-found"),
    ] {
        get(&format!("/api/v1/{path}")).await.problem(404, code);
    }
    let signal = Call::new("POST", &format!("/api/v1/runs/{run}/steps/n/signal")).token(&token);
    host.send(signal).await.problem(404, "run-not-found");
    let resume = Call::new("POST", "/api/v1/connections/crm/resume").token(&token);
    host.send(resume).await.problem(404, "connection-not-found");
    let cancel = Call::new("POST", &format!("/api/v1/runs/{run}/cancel")).token(&token);
    host.send(cancel).await.problem(404, "run-not-found");
    let start = Call::post("/api/v1/workflows/flow/runs", "1").token(&token);
    host.send(start).await.problem(404, "workflow-not-found");
}

fn text(json: &Value, key: &str) -> String {
    json[key].as_str().unwrap().to_owned()
}
