//! `/api/v1/tokens`

use std::time::Duration;

use serde_json::{Value, json};
use tombolo_api::{AccessSettings, hash_token};
use tombolo_core::audit::{Actor, AuditEntry};
use tombolo_core::clock::Clock;
use tombolo_core::ports::store::Scope;
use tombolo_core::role::Role;

use crate::harness::{Call, Host, Reply, Setup};

async fn create(host: &Host, token: &str, body: Value) -> Reply {
    host.send(Call::new("POST", "/api/v1/tokens").json(&body).token(token)).await
}

#[tokio::test]
async fn a_token_is_shown_once_and_works_until_it_expires() {
    let host = Host::start().await;
    let body = json!({"name": "ci", "scopes": ["runs:read"], "expires_in_days": 1});
    let created = create(&host, &host.token, body).await;
    let token = created.ok(201)["token"].as_str().unwrap().to_owned();
    assert_eq!((token.len(), &token[..4]), (47, "tbl_"));
    assert_eq!(created.json["prefix"], token[..10]);
    assert!(created.json["id"].as_str().unwrap().starts_with("tok_"));
    assert_eq!(created.json["scopes"], json!(["runs:read"]));
    assert_eq!(created.json["expires_at"], "2026-09-22T14:13:20.000Z");
    assert_eq!(created.header("cache-control"), Some("no-store"));

    let runs = || Call::new("GET", "/api/v1/runs").token(&token);
    host.send(runs()).await.ok(200);
    host.clock.advance(Duration::from_secs(24 * 60 * 60 - 1));
    host.send(runs()).await.ok(200);
    host.clock.advance(Duration::from_secs(1));
    host.send(runs()).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn a_token_cannot_give_what_it_does_not_have() {
    let host = Host::start().await;
    let scopes = [Scope::TokensWrite, Scope::RunsRead];
    let token = host.issue(host.tenant, &scopes, None).await;
    let refused =
        create(&host, &token, json!({"name": "x", "scopes": ["runs:read", "plugins:write"]})).await;
    assert_eq!(refused.problem(403, "scope-exceeded")["scope"], "plugins:write");
    create(&host, &token, json!({"name": "x", "scopes": ["runs:read"]})).await.ok(201);
}

#[tokio::test]
async fn a_scope_that_is_named_twice_is_one() {
    let host = Host::start().await;
    let body = json!({"name": "x", "scopes": ["runs:write", "runs:read", "runs:write"]});
    let created = create(&host, &host.token, body).await;
    assert_eq!(created.ok(201)["scopes"], json!(["runs:read", "runs:write"]));
}

#[tokio::test]
async fn a_wrong_form_is_refused() {
    let host = Host::start().await;
    for (body, pointer) in [
        (json!({"scopes": ["runs:read"]}), ""),
        (json!({"name": " ", "scopes": ["runs:read"]}), "/name"),
        (json!({"name": "x".repeat(101), "scopes": ["runs:read"]}), "/name"),
        (json!({"name": "x", "scopes": []}), "/scopes"),
        (json!({"name": "x", "scopes": ["runs:all"]}), "/scopes/0"),
        (json!({"name": "x", "scopes": ["runs:read"], "expires_in_days": 0}), "/expires_in_days"),
        (
            json!({"name": "x", "scopes": ["runs:read"], "expires_in_days": 3651}),
            "/expires_in_days",
        ),
        (json!({"name": "x", "scopes": ["runs:read"], "admin": true}), "/admin"),
        (json!({"name": "x", "role": "root"}), "/role"),
        (json!({"name": "x", "role": "viewer", "scopes": ["runs:read"]}), "/role"),
    ] {
        let refused = create(&host, &host.token, body.clone()).await;
        assert_eq!(refused.problem(422, "invalid-body")["pointer"], pointer, "{body}");
    }
}

#[tokio::test]
async fn a_role_gives_its_scopes_to_who_has_them() {
    let host = Host::start().await;
    for role in Role::ALL {
        let body = json!({"name": "x", "role": role});
        let created = create(&host, &host.token, body).await;
        assert_eq!(created.ok(201)["scopes"], json!(role.scopes()), "{role}");
    }
    let mut scopes = Role::Editor.scopes();
    scopes.push(Scope::TokensWrite);
    let token = host.issue(host.tenant, &scopes, None).await;
    create(&host, &token, json!({"name": "x", "role": "editor"})).await.ok(201);
    let refused = create(&host, &token, json!({"name": "x", "role": "admin"})).await;
    assert_eq!(refused.problem(403, "scope-exceeded")["scope"], "audit:read");
}

#[tokio::test]
async fn tokens_are_listed_without_what_opens() {
    let host = Host::start().await;
    let mut made = Vec::new();
    for name in ["one", "two", "three"] {
        let body = json!({"name": name, "role": "viewer", "expires_in_days": 1});
        made.push(create(&host, &host.token, body).await.ok(201).clone());
    }
    let first = host.get("/api/v1/tokens?limit=2").await;
    let items = first.ok(200)["items"].as_array().unwrap();
    let names: Vec<&Value> = items.iter().map(|item| &item["name"]).collect();
    assert_eq!(names, ["three", "two"]);
    for field in ["id", "prefix", "scopes", "expires_at"] {
        assert_eq!(items[0][field], made[2][field], "{field}");
    }
    assert_eq!(items[0]["created_at"], "2026-09-21T14:13:20.000Z");
    assert_eq!((&items[0]["last_used_at"], &items[0]["revoked_at"]), (&Value::Null, &Value::Null));
    let next = first.json["next"].as_str().unwrap();
    let rest = host.get(&format!("/api/v1/tokens?cursor={next}")).await;
    // And the one of the harness.
    assert_eq!(rest.ok(200)["items"].as_array().unwrap().len(), 2);
    assert_eq!(rest.json["next"], Value::Null);
    for made in made {
        let opens = made["token"].as_str().unwrap();
        assert!(!first.text.contains(opens) && !rest.text.contains(opens));
    }
    host.get("/api/v1/tokens?cursor=x").await.problem(400, "invalid-cursor");
    host.get("/api/v1/tokens?limit=0").await.problem(400, "invalid-query");
}

#[tokio::test]
async fn a_token_that_is_taken_back_works_no_more() {
    let host = Host::start().await;
    let made = create(&host, &host.token, json!({"name": "x", "role": "viewer"})).await;
    let token = made.ok(201)["token"].as_str().unwrap();
    let runs = || Call::new("GET", "/api/v1/runs").token(token);
    host.send(runs()).await.ok(200);

    let path = format!("/api/v1/tokens/{}", made.json["id"].as_str().unwrap());
    let revoked = host.call(Call::new("DELETE", &path)).await;
    assert_eq!(revoked.ok(200)["revoked_at"], "2026-09-21T14:13:20.000Z");
    host.send(runs()).await.problem(401, "unauthorized");
    host.clock.advance(Duration::from_secs(5));
    let again = host.call(Call::new("DELETE", &path)).await;
    assert_eq!(again.ok(200)["revoked_at"], "2026-09-21T14:13:20.000Z", "the first time counts");

    let record = host.get("/api/v1/audit").await;
    let entries = record.ok(200)["items"].as_array().unwrap();
    let revocations: Vec<_> =
        entries.iter().filter(|entry| entry["action"] == "token-revoked").collect();
    assert_eq!(revocations.len(), 1);
    assert_eq!(revocations[0]["subject"], made.json["id"]);

    let unknown = format!("/api/v1/tokens/tok_{}", "0".repeat(32));
    host.call(Call::new("DELETE", &unknown)).await.problem(404, "token-not-found");
    host.call(Call::new("DELETE", "/api/v1/tokens/x")).await.problem(400, "invalid-id");
}

#[tokio::test]
async fn what_another_process_takes_back_works_a_second_at_most() {
    let host = Host::start().await;
    let token = host.issue(host.tenant, &[Scope::RunsRead], None).await;
    let runs = || Call::new("GET", "/api/v1/runs").token(&token);
    host.send(runs()).await.ok(200);
    let stored = host.store.token(hash_token(token.as_bytes())).await.unwrap().unwrap();
    let audit = AuditEntry {
        at: host.clock.now(),
        actor: Actor("token:tok_1".to_owned()),
        action: "token-revoked".to_owned(),
        subject: stored.id.to_string(),
        detail: json!({}),
        correlation_id: None,
    };
    host.store.revoke_token(host.tenant, stored.id, audit).await.unwrap().unwrap();
    host.clock.advance(Duration::from_secs(1));
    host.send(runs()).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn when_a_token_was_used_is_written_in_the_background() {
    let host = Host::start().await;
    let used = async |token: &str| {
        let hash = hash_token(token.as_bytes());
        host.store.token(hash).await.unwrap().unwrap().last_used_at
    };
    let token = host.issue(host.tenant, &[Scope::RunsRead], None).await;
    for _ in 0..3 {
        host.send(Call::new("GET", "/api/v1/runs").token(&token)).await.ok(200);
        host.clock.advance(Duration::from_secs(2));
    }
    assert_eq!(used(&token).await, None, "no request writes");
    host.gate.write_uses().await.unwrap();
    let last = host.clock.now().minus(Duration::from_secs(2));
    assert_eq!(used(&token).await, Some(last));
    host.clock.advance(Duration::from_secs(60));
    host.gate.write_uses().await.unwrap();
    assert_eq!(used(&token).await, Some(last), "it was not used since");
}

#[tokio::test]
async fn what_was_used_before_the_end_is_written_at_the_end() {
    let host = Host::start().await;
    host.get("/api/v1/runs").await.ok(200);
    host.stopping.cancel();
    host.gate.clone().run(host.stopping.clone()).await;
    let hash = hash_token(host.token.as_bytes());
    let stored = host.store.token(hash).await.unwrap().unwrap();
    assert_eq!(stored.last_used_at, Some(host.clock.now()));
}

#[tokio::test]
async fn a_token_that_is_used_too_often_is_told_when_to_come_back() {
    let access = AccessSettings { requests_per_minute: 30, burst: 3, ..AccessSettings::default() };
    let host = Host::set_up(Setup { access, ..Setup::default() }).await;
    let other = host.issue(host.tenant, &[Scope::TokensRead], None).await;
    for _ in 0..3 {
        host.get("/api/v1/runs").await.ok(200);
    }
    let refused = host.get("/api/v1/runs").await;
    assert_eq!(refused.problem(429, "rate-limited")["limit"], 30);
    assert_eq!(refused.header("retry-after"), Some("2"));
    // Whatever is asked counts, and everybody has their own.
    let forbidden = || Call::new("GET", "/api/v1/runs").token(&other);
    for _ in 0..3 {
        host.send(forbidden()).await.problem(403, "forbidden");
    }
    host.send(forbidden()).await.problem(429, "rate-limited");
    host.clock.advance(Duration::from_millis(1_500));
    assert_eq!(host.get("/api/v1/runs").await.header("retry-after"), Some("1"));
    host.clock.advance(Duration::from_millis(500));
    host.get("/api/v1/runs").await.ok(200);
    host.get("/api/v1/runs").await.problem(429, "rate-limited");
}
