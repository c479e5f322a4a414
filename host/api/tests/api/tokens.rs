//! `/api/v1/tokens`

use std::time::Duration;

use serde_json::{Value, json};
use tombolo_core::ports::store::Scope;

use crate::harness::{Call, Host, Reply};

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
    ] {
        let refused = create(&host, &host.token, body.clone()).await;
        assert_eq!(refused.problem(422, "invalid-body")["pointer"], pointer, "{body}");
    }
}
