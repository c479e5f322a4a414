//! Who may, and how much: quotas of the command line, and people whom an identity provider knows.

use anyhow::ensure;
use axum::Router;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tombolo_tests::host::poll;
use tombolo_tests::{Host, HostOptions};

/// A workflow that anybody may start by a webhook.
fn workflow() -> Value {
    let on = json!({"path": "in", "verify": "none"});
    json!({
        "name": "flow",
        "triggers": {"event": {"webhook": on}},
        "nodes": {"kept": {"use": "set", "with": {"got": "${ .trigger }"}}},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_set_beside_the_server_holds_webhooks_and_starts() -> anyhow::Result<()> {
    let host = Host::start(HostOptions::new()).await?;
    host.apply(&workflow()).await?;
    host.deliver("in", &json!({})).await?.expect(202)?;
    let quota = ["tenant", "quota", "default", "--runs-per-minute", "1"];
    host.tombolo(&quota).await?.expect(0)?;

    let over = poll("the quota to hold", async || {
        let answer = host.deliver("in", &json!({})).await?;
        Ok((answer.status != 202).then_some(answer))
    })
    .await?;

    let problem = over.problem(429, "quota-used-up")?;
    ensure!(problem["quota"] == "runs_per_minute" && problem["limit"] == 1, "{problem}");
    ensure!(!over.header("retry-after").is_empty(), "when to come back");
    let start = host.post("/workflows/flow/runs", &json!({})).await?;
    start.problem(429, "quota-used-up")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_an_identity_provider_knows_may_what_its_role_may() -> anyhow::Result<()> {
    let provider = Provider::start().await?;
    let options = HostOptions::new().set("oidc.issuer", &provider.issuer);
    let host = Host::start(options.allow(&provider.issuer)).await?;
    host.apply(&workflow()).await?;
    let client = reqwest::Client::new();
    let asked = async |token: &str, write: bool| {
        let origin = host.origin();
        let request = match write {
            true => client.post(format!("{origin}/api/v1/workflows/flow/runs")).json(&json!({})),
            false => client.get(format!("{origin}/api/v1/runs")),
        };
        anyhow::Ok(request.bearer_auth(token).send().await?.status().as_u16())
    };
    let viewer = provider.token("default", "viewer");
    // The keys are read in the background.
    poll("the viewer to be let in", async || {
        Ok((asked(&viewer, false).await? == 200).then_some(()))
    })
    .await?;
    ensure!(asked(&viewer, true).await? == 403, "a viewer starts nothing");
    ensure!(asked(&provider.token("default", "operator"), true).await? == 202, "an operator does");
    ensure!(asked(&provider.token("nobody", "admin"), false).await? != 200, "of another tenant");
    let (signed, _) = viewer.rsplit_once('.').unwrap_or_default();
    ensure!(asked(&format!("{signed}.{}", "A".repeat(86)), false).await? == 401, "not signed");
    Ok(())
}

/// Tells of itself and its key over HTTP, and signs.
struct Provider {
    issuer: String,
    key: Ed25519KeyPair,
}

impl Provider {
    async fn start() -> anyhow::Result<Self> {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())?;
        let key = Ed25519KeyPair::from_pkcs8(key.as_ref())?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let issuer = format!("http://{}", listener.local_addr()?);
        let about = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")}).to_string();
        let x = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
        let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": x}]});
        let keys = keys.to_string();
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(async || about))
            .route("/keys", get(async || keys));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { issuer, key })
    }

    fn token(&self, tenant: &str, role: &str) -> String {
        let now = tombolo_tests::host::now_ms() / 1_000;
        let head = json!({"alg": "EdDSA", "kid": "one", "typ": "JWT"});
        let claims = json!({
            "iss": self.issuer, "aud": "tombolo", "sub": "ada", "iat": now, "exp": now + 600,
            "tombolo_tenant": tenant, "tombolo_role": role,
        });
        let [head, claims] = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{head}.{claims}");
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes()).as_ref());
        format!("{signed}.{signature}")
    }
}
