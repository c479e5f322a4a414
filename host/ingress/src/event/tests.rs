//! From a request to its events, with the real jq.

use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request};
use bytes::Bytes;
use serde_json::{Value, json};
use tombolo_core::clock::Timestamp;
use tombolo_core::ports::intake::{Arrival, Hook};
use tombolo_core::secret::Secret;

use crate::delivery::{Delivery, Seal};
use crate::expression::Expressions;
use crate::problem::Problem;
use crate::testing::{JqSandbox, hook};
use crate::verify::{Signed, preset, sign};

const NOW_MS: i64 = 1_678_886_400_000;
const PUBLIC_URL: &str = "https://tombolo.example";
const PATH: &str = "/hooks/default/inbox";

fn secret() -> Secret {
    Secret::new(b"app-secret".to_vec())
}

fn request(address: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(Method::POST).uri(address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

async fn read(hook: Arc<Hook>, parts: Parts, raw: Bytes) -> Result<Vec<Arrival>, Problem> {
    let delivery = Delivery { hook: hook.clone(), parts, raw, public_url: PUBLIC_URL.to_owned() };
    let read = delivery.read(Seal { secrets: vec![secret()], now_ms: NOW_MS }).await?;
    let sandbox = JqSandbox::default();
    let expressions = Expressions { sandbox: &sandbox, hook: &hook, now: Timestamp(NOW_MS) };
    super::arrivals(&expressions, read, "cor-1").await
}

async fn keys(webhook: Value, headers: &[(&str, &str)], body: Value) -> Vec<String> {
    let raw = Bytes::from(body.to_string());
    let arrivals = read(hook(webhook), request(PATH, headers), raw).await.unwrap();
    arrivals.into_iter().map(|arrival| arrival.dedupe_key).collect()
}

/// As HubSpot sends it, signed.
async fn from_hubspot(more: Value, body: &Value) -> Result<Vec<Arrival>, Problem> {
    let mut webhook = json!({ "verify": { "preset": "hubspot-v3", "secrets": ["app"] } });
    for (key, value) in more.as_object().into_iter().flatten() {
        webhook[key] = value.clone();
    }
    let raw = Bytes::from(body.to_string());
    let url = format!("{PUBLIC_URL}{PATH}");
    let signed = Signed {
        method: &Method::POST,
        url: &url,
        path: PATH,
        headers: &HeaderMap::new(),
        body: &raw,
    };
    let mut parts = request(PATH, &[]);
    parts.headers =
        sign(&preset("hubspot-v3").unwrap().scheme, &secret(), &signed, NOW_MS).unwrap();
    read(hook(webhook), parts, raw).await
}

#[tokio::test]
async fn null_and_the_empty_text_are_no_keys() {
    let webhook = json!({ "split": "${ .body }", "dedupe": "${ .id }" });
    let body = json!([{"id": "", "n": 1}, {"id": "", "n": 2}, {"n": 3}, {"id": 0}, {"id": "a"}]);
    let keys = keys(webhook, &[], body).await;
    assert!(keys[..3].iter().all(|key| key.starts_with("sha256:")), "{keys:?}");
    assert!(keys[0] != keys[1] && keys[1] != keys[2], "{keys:?}");
    assert_eq!(keys[3..], ["0", "a"]);
}

#[tokio::test]
async fn an_empty_header_is_no_key() {
    let webhook = json!({ "dedupe": { "header": "X-Delivery" } });
    let of = async |value| keys(webhook.clone(), &[("X-Delivery", value)], json!({"n": 1})).await;
    assert_eq!(of("d-1").await, ["d-1"]);
    let hashed = of("").await;
    assert!(hashed[0].starts_with("sha256:"), "{hashed:?}");
    assert_eq!(keys(webhook.clone(), &[], json!({"n": 1})).await, hashed);
}

/// Whether the trigger is open or signed: nobody can say which of the two was meant.
#[tokio::test]
async fn a_header_that_is_there_twice_is_no_key() {
    let webhook = json!({ "dedupe": { "header": "X-Delivery" } });
    for second in ["d-2", "d-1"] {
        let headers = [("X-Delivery", "d-1"), ("x-delivery", second)];
        let refused = read(hook(webhook.clone()), request(PATH, &headers), Bytes::from("1")).await;
        let problem = refused.unwrap_err();
        assert_eq!(problem.code(), "duplicate-header");
        assert!(problem.detail().contains("`X-Delivery`"), "{}", problem.detail());
    }
}

#[tokio::test]
async fn items_share_the_deliverys_key_and_differ_by_their_place() {
    let webhook = json!({ "split": "${ .body }", "dedupe": { "header": "X-Delivery" } });
    let keys = keys(webhook, &[("X-Delivery", "d-1")], json!([1, 1])).await;
    assert_eq!(keys, ["d-1#0", "d-1#1"]);
}

#[tokio::test]
async fn a_long_key_is_its_hash() {
    let webhook = json!({ "dedupe": "${ .id }" });
    let of = |id: String| keys(webhook.clone(), &[], json!({ "id": id }));
    assert_eq!(of("x".repeat(255)).await, ["x".repeat(255)]);
    assert!(of("x".repeat(256)).await[0].starts_with("sha256:"));
}

fn hubspot_event(id: u64, subscription: u64, attempt: u64) -> Value {
    json!({ "eventId": id, "subscriptionId": subscription, "occurredAt": 1_678_886_400_000_u64,
            "attemptNumber": attempt, "objectId": 7 })
}

#[tokio::test]
async fn another_attempt_of_hubspot_is_the_same_event() {
    let first = json!([hubspot_event(1, 2, 0), hubspot_event(1, 3, 0)]);
    let again = json!([hubspot_event(1, 3, 1)]);
    for (webhook, expected) in [
        (json!({ "split": "${ .body }" }), vec!["1-2-1678886400000", "1-3-1678886400000"]),
        (json!({}), vec!["1-2-1678886400000,1-3-1678886400000"]),
    ] {
        let keys = |arrivals: Vec<Arrival>| -> Vec<String> {
            arrivals.into_iter().map(|arrival| arrival.dedupe_key).collect()
        };
        let all = keys(from_hubspot(webhook.clone(), &first).await.unwrap());
        assert_eq!(all, expected);
        let later = keys(from_hubspot(webhook, &again).await.unwrap());
        assert_eq!(later, ["1-3-1678886400000"]);
    }
    let unknown = from_hubspot(json!({}), &json!([{"eventId": 1}])).await.unwrap();
    assert!(unknown[0].dedupe_key.starts_with("sha256:"), "{}", unknown[0].dedupe_key);
}

#[tokio::test]
async fn the_event_says_how_it_came_and_keeps_no_secret() {
    let headers = [("x-github-event", "push"), ("x-github-token", "canary"), ("cookie", "canary")];
    let parts = request(&format!("{PATH}?token=canary&page=2"), &headers);
    let webhook = hook(json!({ "split": "${ [{query, headers, method, path, body}] }" }));
    let arrivals = read(webhook, parts, Bytes::from_static(b"{\"a\":1}")).await.unwrap();
    let kept = json!({ "x-github-event": "push" });
    let query = json!({ "token": "[redacted]", "page": "2" });
    assert_eq!(
        arrivals[0].trigger,
        json!({ "query": query, "headers": kept, "method": "POST", "path": "inbox",
                "body": {"a": 1} })
    );
    let event = Value::Object(arrivals[0].event.clone());
    assert_eq!(event, json!({ "source": "hook:inbox", "headers": kept, "query": query }));
}

#[tokio::test]
async fn too_many_items_and_no_list_are_told() {
    for (body, words) in [(json!(vec![0; 1_001]), "1001 items"), (json!({}), "a list")] {
        let raw = Bytes::from(body.to_string());
        let hook = hook(json!({ "split": "${ .body }" }));
        let problem = read(hook, request(PATH, &[]), raw).await.unwrap_err();
        assert!(problem.detail().contains(words), "{}", problem.detail());
    }
}

/// Above the bound the work is done elsewhere; what comes of it is the same.
#[tokio::test]
async fn a_large_body_is_read_like_a_small_one() {
    for length in [10, 1_000_000] {
        let body = json!([{ "text": "x".repeat(length) }]);
        let arrivals = from_hubspot(json!({}), &body).await.unwrap();
        assert_eq!(arrivals[0].trigger, body);
        assert_eq!(arrivals[0].event["sent_at"], json!(Timestamp(NOW_MS)));

        let signed_other = Bytes::from(body.to_string());
        let webhook = json!({ "verify": { "preset": "github", "secrets": ["app"] } });
        let headers = [("x-hub-signature-256", &*format!("sha256={}", "0".repeat(64)))];
        let refused = read(hook(webhook), request(PATH, &headers), signed_other).await;
        let problem = refused.unwrap_err();
        assert!(problem.detail().contains("no secret of this trigger"), "{}", problem.detail());

        let broken = Bytes::from(format!("\"{}", "x".repeat(length)));
        let problem = read(hook(json!({})), request(PATH, &[]), broken).await.unwrap_err();
        assert_eq!(problem.code(), "not-json");
    }
}
