//! Quotas of a tenant: who is over is told which, and how much.

use std::time::Duration;

use serde_json::{Value, json};
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::QuotaChange;
use tombolo_core::quota::Quotas;

use crate::harness::{Call, Host, Reply};
use crate::plugins::upload;
use crate::runs::scene;

/// Sets them, as the command line does, and waits for no background.
async fn set(host: &Host, quotas: Quotas) {
    set_of(host, host.tenant, quotas).await;
}

async fn set_of(host: &Host, tenant: TenantId, after: Quotas) {
    let change = QuotaChange { before: Quotas::default(), after };
    host.store.set_quotas(tenant, change, None).await.unwrap();
    host.gate.count().await.unwrap();
    host.gate.count_storage().await.unwrap();
}

async fn start(host: &Host) -> Reply {
    scene::start(host, &json!({})).await
}

/// Quota, limit and what is used of it.
fn told(reply: &Reply, status: u16, code: &str) -> (Value, Value, Value) {
    let problem = reply.problem(status, code);
    (problem["quota"].clone(), problem["limit"].clone(), problem["current"].clone())
}

#[tokio::test]
async fn runs_of_a_minute() {
    let host = scene::host().await;
    set(&host, Quotas { runs_per_minute: Some(30), ..Quotas::default() }).await;
    for _ in 0..30 {
        start(&host).await.ok(202);
    }
    let over = start(&host).await;
    let expected = (json!("runs_per_minute"), json!(30), json!(30));
    assert_eq!(told(&over, 429, "quota-used-up"), expected);
    assert_eq!(over.header("retry-after"), Some("2"));
    assert_eq!(host.get("/api/v1/runs").await.ok(200)["items"].as_array().unwrap().len(), 30);
    host.clock.advance(Duration::from_secs(2));
    start(&host).await.ok(202);
    start(&host).await.problem(429, "quota-used-up");
}

#[tokio::test]
async fn a_request_that_is_repeated_starts_nothing_and_takes_nothing() {
    let host = scene::host().await;
    set(&host, Quotas { runs_per_minute: Some(2), ..Quotas::default() }).await;
    let start = async |key: &str| {
        let call = Call::new("POST", "/api/v1/workflows/flow/runs").json(&json!({}));
        host.call(call.header("idempotency-key", key)).await
    };
    let first = start("one").await.ok(202)["id"].clone();
    for _ in 0..3 {
        assert_eq!(start("one").await.ok(202)["id"], first);
    }
    start("two").await.ok(202);
    start("three").await.problem(429, "quota-used-up");
    assert_eq!(start("one").await.ok(202)["id"], first, "the run is there");
}

#[tokio::test]
async fn runs_that_have_not_ended() {
    let host = scene::host().await;
    set(&host, Quotas { concurrent_runs: Some(2), ..Quotas::default() }).await;
    start(&host).await.ok(202);
    start(&host).await.ok(202);
    let over = start(&host).await;
    let expected = (json!("concurrent_runs"), json!(2), json!(2));
    assert_eq!(told(&over, 429, "quota-used-up"), expected);
    assert_eq!(over.header("retry-after"), Some("5"));
    scene::succeed(&host).await;
    start(&host).await.problem(429, "quota-used-up");
    host.gate.count().await.unwrap();
    start(&host).await.ok(202);
}

#[tokio::test]
async fn replays_are_starts_and_one_over_stops_the_rest() {
    let host = scene::host().await;
    let first = scene::timed_out(&host).await;
    scene::timed_out(&host).await;
    set(&host, Quotas { runs_per_minute: Some(1), ..Quotas::default() }).await;
    let form = json!({"from": "start", "filter": {"workflow": "flow"}, "rate": 1_000});
    let many = host.call(Call::new("POST", "/api/v1/runs/replay").json(&form)).await;
    assert_eq!((&many.ok(200)["replayed"], &many.json["refused"]), (&json!(1), &json!(0)));
    assert_eq!(many.json["stopped"]["code"], "quota-used-up");
    let one = Call::new("POST", &format!("/api/v1/runs/{first}/replay"));
    host.call(one.json(&json!({"from": "start"}))).await.problem(429, "quota-used-up");
    let plan = Call::new("POST", &format!("/api/v1/runs/{first}/replay"));
    host.call(plan.json(&json!({"from": "start", "dry_run": true}))).await.ok(200);
}

#[tokio::test]
async fn connections() {
    let host = Host::start().await;
    set(&host, Quotas { connections: Some(1), ..Quotas::default() }).await;
    let put = async |name: &str| {
        host.call(Call::put(&format!("/api/v1/connections/{name}"), &json!({}))).await
    };
    put("one").await.ok(201);
    let expected = (json!("connections"), json!(1), json!(1));
    let over = put("two").await;
    assert_eq!(told(&over, 403, "quota-full"), expected);
    assert_eq!(over.header("retry-after"), None, "waiting does not help");
    put("one").await.ok(200);
}

#[tokio::test]
async fn stored_bytes() {
    let host = scene::host().await;
    host.call(upload("crm", "1.0.0")).await.ok(201);
    set(&host, Quotas { storage_bytes: Some(1), ..Quotas::default() }).await;
    let over = host.call(upload("crm", "1.0.1")).await;
    let (quota, limit, current) = told(&over, 403, "quota-full");
    assert_eq!((quota, limit), (json!("storage_bytes"), json!(1)));
    assert!(current.as_u64().unwrap() > 1);
    start(&host).await.problem(403, "quota-full");
    host.get("/api/v1/runs").await.ok(200);
}

#[tokio::test]
async fn they_are_shown_with_what_is_used() {
    let host = scene::host().await;
    let shown = async || {
        let reply = host.get("/api/v1/tenant").await;
        assert_eq!(reply.ok(200)["id"], host.tenant.to_string());
        let quotas = reply.json["quotas"].as_array().unwrap().clone();
        quotas
            .into_iter()
            .map(|one| (one["limit"].clone(), one["current"].clone()))
            .collect::<Vec<_>>()
    };
    let none = (Value::Null, Value::Null);
    assert_eq!(shown().await, [none.clone(), none.clone(), none.clone(), (Value::Null, json!(0))]);
    let quotas = Quotas { runs_per_minute: Some(9), concurrent_runs: Some(8), ..Quotas::default() };
    set(&host, Quotas { connections: Some(7), ..quotas }).await;
    start(&host).await.ok(202);
    let used = |limit: u64, current: u64| (json!(limit), json!(current));
    assert_eq!(shown().await, [used(9, 1), used(8, 1), none, used(7, 0)]);
}

#[tokio::test]
async fn another_tenant_has_its_own() {
    let host = scene::host().await;
    let other = host.tenant_named("other").await;
    let quotas = Quotas { runs_per_minute: Some(0), ..Quotas::default() };
    set_of(&host, other, quotas).await;
    start(&host).await.ok(202);
}
