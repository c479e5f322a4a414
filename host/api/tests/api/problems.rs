//! Wrong requests get a precise answer.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;
use tombolo_api::{Kind, Settings};

use crate::edges::PANIC;
use crate::harness::{Call, Host};

const VALIDATE: &str = "/api/v1/workflows/validate";

#[tokio::test]
async fn what_does_not_exist_is_a_problem_too() {
    let host = Host::start().await;
    let nowhere = host.get("/api/v1/workflow").await;
    assert_eq!(nowhere.problem(404, "unknown-route")["instance"], "/api/v1/workflow");
    let wrong = host.call(Call::new("DELETE", "/api/v1/runs")).await;
    wrong.problem(405, "wrong-method");
    assert!(wrong.header("allow").unwrap().contains("GET"), "{:?}", wrong.headers);
    host.get("/api/v1/runs/run_1").await.problem(400, "invalid-id");
    let number = host.get("/api/v1/workflows/a/versions/first").await;
    let detail = &number.problem(400, "invalid-id")["detail"];
    assert_eq!(detail, "`first` is no whole number from 0 to 4294967295");
    host.get("/api/v1/workflows/%FF").await.problem(400, "invalid-id");
    host.get("/docs/%FF").await.problem(400, "invalid-id");
}

#[tokio::test]
async fn every_type_leads_to_its_meaning() {
    let host = Host::start().await;
    for kind in Kind::ALL {
        let path = format!("/problems/{}", kind.code());
        let meaning = host.send(Call::new("GET", &path)).await;
        assert_eq!(meaning.ok(200)["type"], path);
        assert_eq!(meaning.json["status"], kind.status().as_u16());
    }
    host.send(Call::new("GET", "/problems/none")).await.problem(404, "problem-not-found");
}

#[tokio::test]
async fn wrong_json_is_refused_at_its_place() {
    let host = Host::start().await;
    let post = async |body: Vec<u8>| host.call(Call::post(VALIDATE, body)).await;
    let syntax = post(b"{\n  \"name\": }".to_vec()).await;
    let syntax = syntax.problem(400, "not-json");
    assert_eq!((&syntax["line"], &syntax["column"]), (&json!(2), &json!(11)));
    let twice = post(br#"{"name":"a","name":"b"}"#.to_vec()).await;
    assert!(twice.problem(400, "duplicate-key")["detail"].to_string().contains("name"));
    let bytes = post(b"{\"name\":\"\xff\"}".to_vec()).await;
    assert_eq!(bytes.problem(400, "not-utf8")["offset"], 9);
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    post(deep.into_bytes()).await.problem(400, "json-too-deep");
    post(b"1 2".to_vec()).await.problem(400, "not-json");
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let host = Host::start().await;
    let call = |media: &str| Call::post(VALIDATE, "{}").header("content-type", media);
    let refused = host.call(call("text/plain")).await;
    assert!(
        refused.problem(415, "unsupported-media-type")["detail"]
            .to_string()
            .contains("application/json")
    );
    for media in
        ["application/json; charset=utf-8", "Application/JSON", "application/cloudevents+json"]
    {
        host.call(call(media)).await.ok(200);
    }
}

#[tokio::test]
async fn a_body_is_bounded_whether_it_says_its_size_or_not() {
    let settings = Settings { max_workflow_bytes: 100, ..Settings::default() };
    let host = Host::with(settings).await;
    let fits = format!("{:<100}", "{}");
    host.call(Call::post(VALIDATE, fits)).await.ok(200);
    let large = format!("{:<101}", "{}");
    let said = Call::post(VALIDATE, large.clone()).header("content-length", "101");
    assert_eq!(host.call(said).await.problem(413, "body-too-large")["limit_bytes"], 100);
    let parts = [Bytes::from(large), Bytes::from_static(b"more")];
    let unsaid = Body::from_stream(stream::iter(parts.map(Ok::<_, Infallible>)));
    host.call(Call::post(VALIDATE, unsaid)).await.problem(413, "body-too-large");
}

#[tokio::test]
async fn a_body_that_breaks_off_or_never_comes_is_named() {
    let settings = Settings { body_timeout: Duration::from_millis(20), ..Settings::default() };
    let host = Host::with(settings).await;
    let broken = stream::iter([Ok(Bytes::from_static(b"{")), Err("reset")]);
    let call = Call::post(VALIDATE, Body::from_stream(broken));
    host.call(call).await.problem(400, "body-broken");
    let never = stream::pending::<Result<Bytes, Infallible>>();
    let call = Call::post(VALIDATE, Body::from_stream(never));
    host.call(call).await.problem(408, "body-timeout");
}

#[tokio::test]
async fn a_handler_that_hangs_or_panics_is_answered() {
    let settings = Settings { answer_timeout: Duration::from_millis(50), ..Settings::default() };
    let host = Host::with(settings).await;
    let never = stream::pending::<Result<Bytes, Infallible>>();
    let call = Call::post(VALIDATE, Body::from_stream(never));
    host.call(call).await.problem(504, "timeout");

    let host = Host::start().await;
    let panics = host.call(Call::post("/api/v1/plugins", PANIC)).await;
    panics.problem(500, "internal");
    assert!(!panics.text.contains("a bug in the sandbox"), "{}", panics.text);
    host.get("/api/v1/plugins").await.ok(200);
}

#[tokio::test]
async fn routes_of_others_have_the_same_surroundings() {
    let host = Host::start().await;
    let refused =
        host.send(Call::post("/others/refuse", "").header("x-correlation-id", "c-1")).await;
    assert_eq!(refused.ok(401)["saw"], "c-1", "the body comes through");
    assert_eq!(refused.header("x-correlation-id"), Some("c-1"));
    assert_eq!(refused.header("x-content-type-options"), Some("nosniff"));
    let named = host.send(Call::post("/others/refuse", "")).await;
    assert_eq!(named.json["saw"].as_str(), named.header("x-correlation-id"));
    host.send(Call::post("/others/panic", "")).await.problem(500, "internal");
}

#[tokio::test]
async fn the_correlation_id_is_echoed_if_it_is_harmless() {
    let host = Host::start().await;
    let with = |id: &str| Call::new("GET", "/healthz").header("x-correlation-id", id);
    let kept = host.send(with("order-17.a:B_c")).await;
    assert_eq!(kept.header("x-correlation-id"), Some("order-17.a:B_c"));
    for id in ["", "a b", "{x}", &"a".repeat(129)] {
        let replaced = host.send(with(id)).await;
        let new = replaced.header("x-correlation-id").unwrap();
        assert_ne!(new, id);
        assert_eq!(new.len(), 32, "{new}");
    }
}
