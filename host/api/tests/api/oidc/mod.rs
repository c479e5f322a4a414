//! Tokens of an identity provider: those that are taken, those that are not, and its keys.

mod attacks;
mod keys;
mod provider;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tombolo_api::{AccessSettings, Algorithm, OidcSettings};
use tombolo_core::role::Role;

use crate::harness::{Call, Host, Reply, START, Setup};
use provider::{Key, Provider};

const SECONDS: i64 = START.0 / 1_000;

/// A host that takes the provider's tokens.
async fn host(provider: &Provider) -> Host {
    let oidc = OidcSettings {
        issuer: provider.issuer(),
        audience: "tombolo".to_owned(),
        tenant_claim: "org".to_owned(),
        role_claim: "/access/groups".to_owned(),
        roles: BTreeMap::from([
            ("staff".to_owned(), Role::Viewer),
            ("platform".to_owned(), Role::Admin),
        ]),
        algorithms: Algorithm::ALL.to_vec(),
        leeway: Duration::from_secs(30),
    };
    let access = AccessSettings { oidc: Some(oidc), ..AccessSettings::default() };
    let issuer = Some(provider.address);
    Host::set_up(Setup { access, issuer, ..Setup::default() }).await
}

/// Good for a day.
fn claims(provider: &Provider) -> Value {
    json!({
        "iss": provider.issuer(), "aud": ["tombolo"], "sub": "ada", "exp": SECONDS + 86_400,
        "org": "default", "access": {"groups": ["staff"]},
    })
}

fn with(provider: &Provider, name: &str, value: Value) -> Value {
    let mut claims = claims(provider);
    claims[name] = value;
    claims
}

async fn get(host: &Host, path: &str, token: &str) -> Reply {
    host.send(Call::new("GET", path).token(token)).await
}

async fn runs(host: &Host, token: &str) -> Reply {
    get(host, "/api/v1/runs", token).await
}

#[tokio::test]
async fn every_algorithm_is_taken() {
    let keys = [Key::rsa("r"), Key::p256("p"), Key::ed25519("e")];
    let provider = Provider::start(&keys.each_ref()).await;
    let host = host(&provider).await;
    for key in &keys {
        runs(&host, &key.token(&claims(&provider))).await.ok(200);
    }
    assert_eq!(provider.asked(), 1, "nobody asks about a single token");
}

#[tokio::test]
async fn tenant_and_role_are_those_of_the_claims() {
    let key = Key::ed25519("e");
    let provider = Provider::start(&[&key]).await;
    let host = host(&provider).await;
    host.tenant_named("other").await;
    let file = json!({"name": "flow", "nodes": {"n": {"use": "set"}}});
    let put = Call::put("/api/v1/workflows/flow", &file);
    let viewer = key.token(&claims(&provider));
    let refused = host.send(put.token(&viewer)).await;
    assert_eq!(refused.problem(403, "forbidden")["scope"], "workflows:write");

    let admin = key.token(&with(&provider, "access", json!({"groups": ["staff", "platform"]})));
    let put = Call::put("/api/v1/workflows/flow", &file);
    host.send(put.token(&admin)).await.ok(201);
    get(&host, "/api/v1/workflows/flow", &viewer).await.ok(200);
    let other = key.token(&with(&provider, "org", json!("other")));
    get(&host, "/api/v1/workflows/flow", &other).await.problem(404, "workflow-not-found");
}

#[tokio::test]
async fn a_claim_that_leads_nowhere_is_named() {
    let key = Key::ed25519("e");
    let provider = Provider::start(&[&key]).await;
    let host = host(&provider).await;
    for (name, value, claim) in [
        ("org", json!("nowhere"), "org"),
        ("org", json!(null), "org"),
        ("org", json!(["default"]), "org"),
        ("access", json!({"groups": ["admin"]}), "/access/groups"),
        ("access", json!({}), "/access/groups"),
    ] {
        let refused = runs(&host, &key.token(&with(&provider, name, value))).await;
        assert_eq!(refused.problem(403, "claim-unknown")["claim"], claim);
    }
}

#[tokio::test]
async fn what_a_person_does_is_on_record_with_their_name() {
    let key = Key::ed25519("e");
    let provider = Provider::start(&[&key]).await;
    let host = host(&provider).await;
    let admin = key.token(&with(&provider, "access", json!({"groups": "platform"})));
    let form = json!({"name": "x", "role": "admin"});
    let made = host.send(Call::new("POST", "/api/v1/tokens").json(&form).token(&admin)).await;
    let path = format!("/api/v1/tokens/{}", made.ok(201)["id"].as_str().unwrap());
    host.send(Call::new("DELETE", &path).token(&admin)).await.ok(200);
    let record = get(&host, "/api/v1/audit", &admin).await;
    assert_eq!(record.ok(200)["items"][0]["actor"], "oidc:ada");
}

#[tokio::test]
async fn one_who_calls_too_often_waits_and_nobody_else_does() {
    let key = Key::ed25519("e");
    let provider = Provider::start(&[&key]).await;
    let mut access = AccessSettings { requests_per_minute: 60, burst: 2, oidc: None };
    access.oidc = Some(OidcSettings {
        issuer: provider.issuer(),
        audience: "tombolo".to_owned(),
        tenant_claim: "org".to_owned(),
        role_claim: "role".to_owned(),
        roles: BTreeMap::from([("viewer".to_owned(), Role::Viewer)]),
        algorithms: vec![Algorithm::EdDsa],
        leeway: Duration::ZERO,
    });
    let issuer = Some(provider.address);
    let host = Host::set_up(Setup { access, issuer, ..Setup::default() }).await;
    let mut ada = with(&provider, "role", json!("viewer"));
    let mut bob = ada.clone();
    bob["sub"] = json!("bob");
    runs(&host, &key.token(&ada)).await.ok(200);
    // Another token of the same person.
    ada["exp"] = json!(SECONDS + 10);
    runs(&host, &key.token(&ada)).await.ok(200);
    runs(&host, &key.token(&ada)).await.problem(429, "rate-limited");
    runs(&host, &key.token(&bob)).await.ok(200);
}
