//! Each misbehaviour, as a client sees it on the wire, and whether the work was done.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tombolo_tests::asana::{self, Asana, TOKEN};
use tombolo_tests::{Misbehaviour, Standin};

use crate::client::Caller;

/// Long enough that an answer on loopback would have come.
const NO_ANSWER_WITHIN: Duration = Duration::from_millis(300);

async fn start() -> (Standin<Asana>, Caller) {
    let standin = asana::start().await.unwrap();
    let caller = Caller::new(standin.base_url(), TOKEN);
    (standin, caller)
}

fn body() -> Value {
    json!({ "data": { "name": "P", "workspace": "1" } })
}

fn create(asana: &Caller) -> reqwest::RequestBuilder {
    asana.request(Method::POST, "/projects").json(&body())
}

/// Everything that comes back over a bare connection until the server closes it.
async fn raw_answer(standin: &Standin<Asana>) -> Vec<u8> {
    let mut stream = TcpStream::connect(standin.address()).await.unwrap();
    let body = body().to_string();
    let request = format!(
        "POST /api/1.0/projects HTTP/1.1\r\nhost: asana\r\nauthorization: Bearer {TOKEN}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.unwrap();
    received
}

#[tokio::test]
async fn a_connection_closed_before_the_work() {
    let (standin, asana) = start().await;
    standin.misbehave(Misbehaviour::CloseBeforeWork.times(2));
    assert_eq!(raw_answer(&standin).await, b"", "not one byte comes back");
    assert!(create(&asana).send().await.unwrap_err().is_request());
    assert_eq!(standin.provider().projects().len(), 0);
    let calls = standin.calls();
    assert_eq!(calls.len(), 2);
    assert!(calls.iter().all(|call| call.status.is_none() && !call.performed));
    assert_eq!(create(&asana).send().await.unwrap().status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_connection_closed_after_the_work() {
    let (standin, asana) = start().await;
    standin.misbehave(Misbehaviour::CloseAfterWork.times(2));
    assert_eq!(raw_answer(&standin).await, b"", "not one byte comes back");
    assert!(create(&asana).send().await.unwrap_err().is_request());
    assert_eq!(standin.provider().projects().len(), 2, "the work was done");
    assert!(standin.calls().iter().all(|call| call.status.is_none() && call.performed));
    assert_eq!(standin.misbehaviours_left(), 0);
}

#[tokio::test]
async fn a_connection_closed_in_the_middle_of_the_body() {
    let (standin, asana) = start().await;
    standin.misbehave(Misbehaviour::CloseMidBody.times(2));
    let received = String::from_utf8(raw_answer(&standin).await).unwrap();
    let (head, half) = received.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 201"), "{head}");
    assert!(half.starts_with(r#"{"data":{"#), "{half}");
    assert!(serde_json::from_str::<Value>(half).is_err());

    let response = create(&asana).send().await.unwrap();
    assert!(response.bytes().await.is_err(), "the length that was told did not come");
    assert_eq!(standin.provider().projects().len(), 2);
}

#[tokio::test]
async fn hanging_before_and_after_the_work() {
    let (standin, asana) = start().await;
    for (misbehaviour, done) in [(Misbehaviour::Hang, 0), (Misbehaviour::HangAfterWork, 1)] {
        standin.misbehave(misbehaviour);
        let mut answer = tokio::spawn(create(&asana).send());
        standin
            .wait_for(|calls| calls.last().is_some_and(|call| call.performed == (done == 1)))
            .await
            .unwrap();
        let in_vain = tokio::time::timeout(NO_ANSWER_WITHIN, &mut answer).await;
        assert!(in_vain.is_err(), "no answer comes");
        assert_eq!(standin.provider().projects().len(), done);
        answer.abort();
    }
    assert_eq!(standin.count("POST", "/projects"), 2);
}

#[tokio::test]
async fn a_late_answer_comes_after_the_work() {
    let (standin, asana) = start().await;
    standin.misbehave(Misbehaviour::Delay { delay_ms: 50 });
    let started = Instant::now();
    let answer = tokio::spawn(create(&asana).send());
    let calls = standin.wait_for(|calls| calls.iter().any(|call| call.performed)).await.unwrap();
    assert_eq!(calls[0].status, None, "done, not yet answered");
    assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::CREATED);
    assert!(started.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn statuses_of_the_provider() {
    let (standin, asana) = start().await;
    for status in [500, 502, 503] {
        standin.misbehave(Misbehaviour::Status { status }.on("POST", "/projects"));
        assert_eq!(create(&asana).send().await.unwrap().status(), status);
    }
    assert_eq!(standin.provider().projects().len(), 0);
}

#[tokio::test]
async fn malformed_and_empty_bodies_hide_work_that_was_done() {
    let (standin, asana) = start().await;
    standin.misbehave(Misbehaviour::MalformedJson);
    standin.misbehave(Misbehaviour::EmptyBody);
    let malformed = create(&asana).send().await.unwrap();
    assert_eq!(malformed.status(), StatusCode::CREATED);
    let text = malformed.text().await.unwrap();
    assert!(text.starts_with('{') && serde_json::from_str::<Value>(&text).is_err(), "{text}");

    let empty = create(&asana).send().await.unwrap();
    assert_eq!(empty.status(), StatusCode::CREATED);
    assert_eq!(empty.text().await.unwrap(), "");
    assert_eq!(standin.provider().projects().len(), 2);
}

#[tokio::test]
async fn a_web_page_and_a_redirect_instead_of_an_answer() {
    let (standin, asana) = start().await;
    standin.misbehave(Misbehaviour::Html);
    let location = "http://127.0.0.1:9/elsewhere".to_owned();
    standin.misbehave(Misbehaviour::Redirect { location: location.clone() });
    let page = create(&asana).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    assert!(page.text().await.unwrap().starts_with("<!doctype html>"));

    let redirect = create(&asana).send().await.unwrap();
    assert_eq!(redirect.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(redirect.headers()["location"], location.as_str());
    assert_eq!(standin.provider().projects().len(), 0);
}

#[tokio::test]
async fn an_oversized_body_is_streamed_in_chunks() {
    let (standin, asana) = start().await;
    let bytes = 300_000;
    standin.misbehave(Misbehaviour::Oversized { bytes });
    let whole = create(&asana).send().await.unwrap();
    assert_eq!(whole.headers()["transfer-encoding"], "chunked");
    let whole = whole.bytes().await.unwrap();
    assert_eq!(whole.len() as u64, bytes);
    let value: Value = serde_json::from_slice(&whole).unwrap();
    assert!(value["padding"].as_str().unwrap().len() > 299_000);

    standin.misbehave(Misbehaviour::Oversized { bytes: u64::MAX });
    let mut endless = create(&asana).send().await.unwrap();
    let mut read = 0;
    while read < 20_000_000 {
        read += endless.chunk().await.unwrap().expect("it has no end").len();
    }
    drop(endless);
    assert_eq!(create(&asana).send().await.unwrap().status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_slow_body_comes_byte_by_byte() {
    let (standin, asana) = start().await;
    standin.misbehave(Misbehaviour::Slow { byte_delay_ms: 1 });
    let mut response = create(&asana).send().await.unwrap();
    let mut text = Vec::new();
    let mut pieces = 0;
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.extend_from_slice(&chunk);
        pieces += 1;
    }
    assert!(pieces > 10, "in {pieces} pieces");
    let value: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(value["data"]["name"], "P");
}

#[tokio::test]
async fn a_rule_hits_only_what_matches_and_only_so_often() {
    let (standin, asana) = start().await;
    standin.misbehave(Misbehaviour::Status { status: 503 }.on("POST", "/projects").times(2));
    assert_eq!(asana.get("/projects").await.0, StatusCode::OK);
    assert_eq!(asana.post("/tasks", &body()).await.0, StatusCode::CREATED);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(asana.post("/projects", &body()).await.0.as_u16());
    }
    assert_eq!(statuses, [503, 503, 201]);
    assert_eq!(standin.count("POST", "/projects"), 3);
    assert_eq!(standin.count("POST", ""), 4);
}
