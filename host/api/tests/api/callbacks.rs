//! `/callbacks/{tenant}/{run}/{node}/{proof}`: without a token

use axum::body::Body;
use serde_json::{Value, json};
use tombolo_api::Settings;
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::run::{RunState, StepState};

use crate::harness::{Call, Host, Reply};
use crate::logged;
use crate::repairs::{path, proof};
use crate::runs::scene::{asking, asking_about, asking_soon, end, step};

const APPROVAL: &str = "approved_by";

async fn post(host: &Host, path: &str, body: impl Into<Body>) -> Reply {
    host.send(Call::post(path, body).header("content-type", "application/json")).await
}

async fn form(host: &Host, path: &str, fields: &str) -> Reply {
    let kind = "application/x-www-form-urlencoded";
    host.send(Call::post(path, fields.to_owned()).header("content-type", kind)).await
}

async fn get(host: &Host, path: &str) -> Reply {
    host.send(Call::new("GET", path)).await
}

async fn kept(host: &Host, run: RunId) -> Vec<(String, Value)> {
    let signals = host.store.signals(host.tenant, run).await.unwrap();
    signals.into_iter().map(|signal| (signal.step.node, signal.body.value().clone())).collect()
}

#[tokio::test]
async fn a_callback_is_answered_by_who_knows_its_address_and_once() {
    let host = Host::start().await;
    let run = asking(&host).await;
    let address = path(host.tenant, run, "called");
    let first = post(&host, &address, r#"{"paid": true}"#).await;
    assert_eq!(*first.ok(202), json!({"status": "kept"}));
    for body in [r#"{"paid": true}"#, "2"] {
        post(&host, &address, body).await.problem(409, "already-answered");
    }
    assert_eq!(kept(&host, run).await, [("called".to_owned(), json!({"paid": true}))]);

    let audit = host.get("/api/v1/audit").await;
    let entry = &audit.ok(200)["items"][0];
    assert_eq!((&entry["actor"], &entry["action"]), (&json!("callback"), &json!("step-signalled")));
    assert_eq!(entry["subject"], format!("{run}/steps/called/0"));
}

#[tokio::test]
async fn no_body_is_null_and_a_wrong_one_is_refused() {
    let host = Host::start().await;
    let run = asking_soon(&host).await;
    let address = path(host.tenant, run, "called");
    post(&host, &address, r#"{"a": 1, "a": 2}"#).await.problem(400, "duplicate-key");
    form(&host, &address, "a=1").await.problem(415, "unsupported-media-type");
    host.send(Call::new("POST", &address)).await.ok(202);
    assert_eq!(
        kept(&host, run).await,
        [("called".to_owned(), Value::Null)],
        "kept before it waits"
    );
}

#[tokio::test]
async fn every_wrong_address_is_answered_alike() {
    let host = Host::start().await;
    let run = asking(&host).await;
    let other = TenantId(uuid::Uuid::from_u128(7));
    let unknown: RunId = format!("run_{}", "0".repeat(32)).parse().unwrap();
    let address =
        |tenant, run, node: &str, proof: &str| format!("/callbacks/{tenant}/{run}/{node}/{proof}");
    let good = proof(host.tenant, run, "called");
    let wrong = [
        address(host.tenant, run, "called", "wrong"),
        address(host.tenant, run, APPROVAL, &good),
        address(host.tenant, unknown, "called", &good),
        address(other, run, "called", &good),
        address(host.tenant, run, "none", &good),
        // Nobody is given such proofs. They hold, and lead to nothing.
        path(host.tenant, unknown, "called"),
        path(other, run, "called"),
        path(host.tenant, run, "none"),
        path(host.tenant, run, "n"),
        "/callbacks/default/run_1/called/x".to_owned(),
    ];
    let same = |reply: &Reply| {
        let mut body = reply.problem(404, "callback-not-found").clone();
        for own in ["instance", "correlation_id"] {
            body.as_object_mut().unwrap().remove(own);
        }
        body
    };
    let first = same(&post(&host, &wrong[0], "1").await);
    for address in &wrong {
        assert_eq!(same(&post(&host, address, "1").await), first, "{address}");
        assert_eq!(same(&get(&host, address).await), first, "{address}");
    }
    assert_eq!(kept(&host, run).await, []);
}

#[tokio::test]
async fn what_is_over_is_gone() {
    let host = Host::start().await;
    let expired = asking(&host).await;
    let steps = vec![step("called", 0, StepState::Dead), step(APPROVAL, 0, StepState::Dead)];
    end(&host, expired, steps, RunState::Failed).await;
    let address = path(host.tenant, expired, "called");
    post(&host, &address, "1").await.problem(410, "callback-over");
    let decision = r#"{"decision": "approved"}"#;
    let address = path(host.tenant, expired, APPROVAL);
    post(&host, &address, decision).await.problem(410, "callback-over");
    let page = form(&host, &address, "decision=approved").await;
    page.ok(410);
    assert!(page.text.contains("Too late") && !page.text.contains("<form"), "{}", page.text);
    get(&host, &address).await.ok(410);
}

#[tokio::test]
async fn an_approval_is_decided_by_json() {
    let host = Host::start().await;
    let run = asking(&host).await;
    let address = path(host.tenant, run, APPROVAL);
    for (body, pointer) in [
        (json!({"decision": "yes"}), "/decision"),
        (json!({"decision": "approved", "by": "token:tok_1"}), "/by"),
        (json!({"decision": "approved", "admin": true}), "/admin"),
        (json!(null), ""),
    ] {
        let refused = post(&host, &address, body.to_string()).await;
        assert_eq!(refused.problem(422, "invalid-body")["pointer"], pointer, "{body}");
    }
    let body = json!({"decision": "approved", "by": "Ada", "reason": "fine"});
    post(&host, &address, body.to_string()).await.ok(202);
    assert_eq!(kept(&host, run).await, [(APPROVAL.to_owned(), body)]);
    let second = json!({"decision": "rejected"}).to_string();
    post(&host, &address, second).await.problem(409, "already-answered");
}

#[tokio::test]
async fn an_approval_is_decided_by_a_form_that_a_page_shows() {
    let host = Host::start().await;
    let run = asking(&host).await;
    let address = path(host.tenant, run, APPROVAL);
    let page = get(&host, &address).await;
    page.ok(200);
    for part in ["Pay 5 €?", "<dt>to</dt><dd>ACME</dd>", "value=\"approved\"", "value=\"rejected\""]
    {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    assert_eq!(kept(&host, run).await, [], "to look is not to decide");
    host.send(Call::new("HEAD", &address)).await.ok(200);
    assert_eq!(kept(&host, run).await, []);

    let thanks = form(&host, &address, "by=Ada+L%C3%B6w&reason=&decision=rejected").await;
    thanks.ok(202);
    assert!(thanks.text.contains("You have rejected this"), "{}", thanks.text);
    let body = json!({"decision": "rejected", "by": "Ada Löw", "reason": null});
    assert_eq!(kept(&host, run).await, [(APPROVAL.to_owned(), body)]);

    let again = form(&host, &address, "decision=approved").await;
    again.ok(409);
    let page = get(&host, &address).await;
    page.ok(200);
    for shown in [again, page] {
        assert!(shown.text.contains("This was rejected by Ada Löw."), "{}", shown.text);
        assert!(!shown.text.contains("<form"), "nothing is left to decide");
    }
}

#[tokio::test]
async fn a_form_is_read_strictly() {
    let host = Host::start().await;
    let run = asking(&host).await;
    let address = path(host.tenant, run, APPROVAL);
    for (fields, word) in [
        ("by=Ada", "decision"),
        ("decision=approved&decision=rejected", "twice"),
        ("decision=approved&%3Cscript%3E=1", "unknown field `&lt;script&gt;`"),
    ] {
        let refused = form(&host, &address, fields).await;
        refused.ok(422);
        assert!(refused.text.contains(word), "{fields}: {}", refused.text);
        assert_eq!(refused.header("content-type"), Some("text/html; charset=utf-8"));
    }
    assert_eq!(kept(&host, run).await, []);
}

#[tokio::test]
async fn a_page_is_closed_to_scripts_frames_and_other_sites() {
    let host = Host::start().await;
    let evil = "</title><script src=\"//evil.example\"></script>'\"><img src=x onerror=alert(1)>";
    let about = json!({"title": evil, "details": {evil: evil, "nested": {"a": [evil]}}});
    let run = asking_about(&host, &about).await;
    let page = get(&host, &path(host.tenant, run, APPROVAL)).await;
    page.ok(200);
    for tag in ["<script", "<img", "<link", "<iframe", "onerror=alert(1)>", "http", "url("] {
        assert!(!page.text.contains(tag), "{tag}: {}", page.text);
    }
    assert!(page.text.contains("&lt;script src=&quot;//evil.example&quot;&gt;"), "it is shown");

    let policy = page.header("content-security-policy").unwrap();
    for part in
        ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(page.header(name), Some(value));
    }
}

#[tokio::test]
async fn a_page_before_its_time_asks_nothing() {
    let host = Host::start().await;
    let run = asking_soon(&host).await;
    let address = path(host.tenant, run, APPROVAL);
    let page = get(&host, &address).await;
    page.ok(200);
    assert!(page.text.contains("Not asked yet") && !page.text.contains("<form"), "{}", page.text);
    post(&host, &address, r#"{"decision": "approved"}"#).await.ok(202);
}

#[tokio::test]
async fn a_callback_node_has_no_page() {
    let host = Host::start().await;
    let run = asking(&host).await;
    let page = get(&host, &path(host.tenant, run, "called")).await;
    page.problem(405, "wrong-method");
    assert_eq!(page.header("allow"), Some("POST"));
    let put = host.send(Call::new("PUT", &path(host.tenant, run, "called"))).await;
    put.problem(405, "wrong-method");
}

#[tokio::test]
async fn bodies_are_bounded_alone_and_together() {
    let settings = Settings {
        max_callback_bytes: 4 * 1024,
        max_callback_bodies_bytes: 1,
        max_body_bytes: 1024,
        ..Settings::default()
    };
    let host = Host::with(settings).await;
    let run = asking(&host).await;
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let address = path(host.tenant, run, "called");
    let large = post(&host, &address, text(4 * 1024 + 1)).await;
    assert_eq!(large.problem(413, "body-too-large")["limit_bytes"], 4 * 1024);
    let decision = path(host.tenant, run, APPROVAL);
    post(&host, &decision, text(1025)).await.problem(413, "body-too-large");

    // One that hangs holds nearly all that there is for bodies.
    let (feed, hanging) = tokio::sync::mpsc::channel::<Result<String, std::io::Error>>(1);
    feed.send(Ok(format!("\"{}", "x".repeat(2_560)))).await.unwrap();
    let stream = futures_util::stream::unfold(hanging, |mut chunks| async move {
        Some((chunks.recv().await?, chunks))
    });
    let slow = tokio::spawn({
        let (router, address) = (host.router.clone(), address.clone());
        async move {
            crate::harness::send(router, Call::post(&address, Body::from_stream(stream))).await
        }
    });
    // The second chunk is taken only after the first was counted.
    feed.send(Ok("x".to_owned())).await.unwrap();
    feed.reserve().await.unwrap();
    let refused = post(&host, &decision, text(1024)).await;
    refused.problem(422, "invalid-body");
    let refused = post(&host, &path(host.tenant, run, "called"), text(2 * 1024)).await;
    refused.problem(503, "too-many-bodies");
    assert!(refused.header("retry-after").is_some());
    feed.send(Ok("\"".to_owned())).await.unwrap();
    drop(feed);
    slow.await.unwrap().ok(202);
}

#[tokio::test]
async fn the_address_stands_in_no_log() {
    logged::listen();
    let host = Host::start().await;
    let run = asking(&host).await;
    let address = path(host.tenant, run, "called");
    post(&host, &address, "1").await.ok(202);
    post(&host, &address, "1").await.problem(409, "already-answered");
    let wrong = format!("{address}x");
    post(&host, &wrong, "1").await.problem(404, "callback-not-found");
    let text = logged::text();
    assert!(text.contains("/callbacks/{tenant}/{run}/{node}/{proof}"), "{text}");
    assert!(text.contains("WARN") && text.contains("already-answered"), "{text}");
    assert!(!text.contains(&proof(host.tenant, run, "called")), "{text}");
}
