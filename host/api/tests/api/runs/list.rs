//! `GET /api/v1/runs`

use std::time::Duration;

use serde_json::{Value, json};

use super::scene::{apply, host, start, started, succeed};
use crate::harness::{Call, Host};

async fn ids(host: &Host, query: &str) -> (Vec<String>, Value) {
    let page = host.get(&format!("/api/v1/runs{query}")).await;
    let items = page.ok(200)["items"].as_array().unwrap();
    (
        items.iter().map(|run| run["id"].as_str().unwrap().to_owned()).collect(),
        page.json["next"].clone(),
    )
}

#[tokio::test]
async fn the_newest_come_first_page_by_page() {
    let host = host().await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.insert(0, started(&host).await.to_string());
    }
    assert_eq!(ids(&host, "").await, (all.clone(), Value::Null));
    let (first, next) = ids(&host, "?limit=2").await;
    assert_eq!(first, all[..2]);
    let (second, next) = ids(&host, &format!("?limit=2&cursor={}", next.as_str().unwrap())).await;
    assert_eq!(second, all[2..4]);
    let (third, next) = ids(&host, &format!("?limit=2&cursor={}", next.as_str().unwrap())).await;
    assert_eq!((third, next), (all[4..].to_vec(), Value::Null));
    let (exactly, next) = ids(&host, "?limit=5").await;
    assert_eq!((exactly.len(), next), (5, Value::Null), "a full page knows that it is the last");
}

#[tokio::test]
async fn filters_narrow_the_list() {
    let host = host().await;
    let old = started(&host).await.to_string();
    succeed(&host).await;
    host.clock.advance(Duration::from_secs(60));
    apply(&host, "other").await;
    let call = Call::post("/api/v1/workflows/other/runs", "1").header("x-correlation-id", "c-1");
    let new = host.call(call).await.json["run"].as_str().unwrap().to_owned();
    for (query, expected) in [
        ("?workflow=flow", vec![&old]),
        ("?workflow=other", vec![&new]),
        ("?workflow=none", vec![]),
        ("?state=succeeded", vec![&old]),
        ("?state=queued,running", vec![&new]),
        ("?state=queued,succeeded", vec![&new, &old]),
        ("?since=2026-09-21T14:13:21Z", vec![&new]),
        ("?until=2026-09-21T14:13:21Z", vec![&old]),
        ("?correlation_id=c-1", vec![&new]),
        ("?workflow=flow&state=queued", vec![]),
    ] {
        let (found, _) = ids(&host, query).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query}");
    }
}

#[tokio::test]
async fn a_run_is_listed_without_its_output() {
    let host = host().await;
    let reply = start(&host, &json!(1)).await;
    host.clock.advance(Duration::from_millis(1500));
    succeed(&host).await;
    let list = host.get("/api/v1/runs").await;
    let run = &list.ok(200)["items"][0];
    assert_eq!(
        *run,
        json!({
            "id": reply.json["run"], "workflow": "flow", "version": 1, "state": "succeeded",
            "trigger": "api", "event": reply.json["event"], "correlation_id": run["correlation_id"],
            "created_at": "2026-09-21T14:13:20.000Z", "ended_at": "2026-09-21T14:13:21.500Z",
            "duration_ms": 1500, "depth": 0,
        })
    );
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let host = host().await;
    for (query, code, word) in [
        ("?limit=0", "invalid-query", "limit"),
        ("?limit=201", "invalid-query", "200"),
        ("?limit=many", "invalid-query", "limit"),
        ("?state=done", "invalid-query", "succeeded"),
        ("?since=yesterday", "invalid-query", "since"),
        ("?stat=queued", "invalid-query", "state"),
        ("?cursor=AAAA", "invalid-cursor", "cursor"),
        ("?cursor=!", "invalid-cursor", "cursor"),
    ] {
        let refused = host.get(&format!("/api/v1/runs{query}")).await;
        let detail = refused.problem(400, code)["detail"].to_string();
        assert!(detail.contains(word), "{query}: {detail}");
    }
}
