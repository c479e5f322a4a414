//! The record of calls, the control routes, the end of a stand-in.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tombolo_tests::Misbehaviour;
use tombolo_tests::asana::{self, TOKEN};
use tombolo_tests::standin::MAX_REQUEST_BODY_BYTES;

use crate::client::{Caller, answer, client};

fn project() -> Value {
    json!({ "data": { "name": "P", "workspace": "1" } })
}

#[tokio::test]
async fn calls_are_recorded_whole_and_in_order() {
    let standin = asana::start().await.unwrap();
    let asana = Caller::new(standin.base_url(), TOKEN);
    asana.get("/projects?workspace=1").await;
    let request = asana.request(reqwest::Method::POST, "/projects");
    answer(request.header("Idempotency-Key", "k").header("X-Correlation-Id", "c").json(&project()))
        .await;

    let calls = standin.calls();
    let lines: Vec<(u64, &str, &str)> =
        calls.iter().map(|call| (call.sequence, &*call.method, &*call.path)).collect();
    assert_eq!(lines, [(0, "GET", "/api/1.0/projects"), (1, "POST", "/api/1.0/projects")]);
    assert_eq!(calls[0].query.as_deref(), Some("workspace=1"));
    assert_eq!(calls[0].header("authorization"), Some(&*format!("Bearer {TOKEN}")));
    assert_eq!(calls[1].idempotency_key.as_deref(), Some("k"));
    assert_eq!(calls[1].header("x-correlation-id"), Some("c"));
    assert_eq!(calls[1].json(), project());
    assert_eq!((calls[1].status, calls[1].performed), (Some(201), true));
    assert!(calls[0].at_unix_ms <= calls[1].at_unix_ms);

    standin.reset();
    assert_eq!((standin.calls().len(), standin.provider().projects().len()), (0, 0));
    asana.get("/projects").await;
    assert_eq!(standin.calls()[0].sequence, 2, "a sequence is never used twice");
}

#[tokio::test]
async fn waiting_ends_with_the_call_that_was_waited_for() {
    let standin = asana::start().await.unwrap();
    let asana = Caller::new(standin.base_url(), TOKEN);
    let answered = standin.wait_for(|calls| calls.iter().any(|call| call.status == Some(201)));
    let request = async {
        asana.get("/projects").await;
        asana.post("/projects", &project()).await
    };
    let (calls, _) = tokio::join!(answered, request);
    assert_eq!(calls.unwrap().len(), 2);
}

#[tokio::test]
async fn the_control_routes_do_what_the_handle_does() {
    let standin = asana::start().await.unwrap();
    let asana = Caller::new(standin.base_url(), TOKEN);
    let control = |path: &str| format!("{}/_control{path}", standin.origin());

    let rule = json!({
        "method": "POST",
        "path_prefix": "/api/1.0/projects",
        "times": 1,
        "misbehaviour": { "kind": "rate_limit", "retry_after_s": 3 },
    });
    assert_eq!(answer(client().post(control("/misbehave")).json(&rule)).await.0, StatusCode::OK);
    assert_eq!(standin.misbehaviours_left(), 1);
    assert_eq!(asana.post("/projects", &project()).await.0, StatusCode::TOO_MANY_REQUESTS);
    asana.post("/projects", &project()).await;

    let (_, calls) = answer(client().get(control("/calls"))).await;
    assert_eq!((&calls["standin"], &calls["total"]), (&"asana".into(), &2.into()));
    assert_eq!((&calls["performed"], &calls["duplicates"]), (&1.into(), &0.into()));
    assert_eq!(calls["calls"][0]["misbehaviour"]["kind"], "rate_limit");
    assert_eq!(calls["calls"][1]["status"], 201);
    let (_, objects) = answer(client().get(control("/objects"))).await;
    assert_eq!(objects["projects"][0]["name"], "P");

    let settings = json!({ "honour_idempotency_keys": true });
    assert_eq!(answer(client().post(control("/settings")).json(&settings)).await.0, StatusCode::OK);
    for _ in 0..2 {
        let request = asana.request(reqwest::Method::POST, "/projects");
        answer(request.header("Idempotency-Key", "k").json(&project())).await;
    }
    assert_eq!((standin.performed(), standin.duplicates()), (2, 0));

    assert_eq!(answer(client().delete(control(""))).await.0, StatusCode::OK);
    assert_eq!((standin.calls().len(), standin.provider().projects().len()), (0, 0));
}

#[tokio::test]
async fn a_wrong_command_is_refused_and_the_next_call_goes_well() {
    let standin = asana::start().await.unwrap();
    let url = format!("{}/_control/misbehave", standin.origin());
    for wrong in [r#"{"misbehaviour":{"kind":"explode"}}"#, r#"{"times":1}"#, "", r#"{"x":1}"#] {
        let (status, error) = answer(client().post(&url).body(wrong)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
        assert!(error["error"].is_string(), "{wrong}");
    }
    assert_eq!(standin.misbehaviours_left(), 0);
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused() {
    let standin = asana::start().await.unwrap();
    let asana = Caller::new(standin.base_url(), TOKEN);
    let body = vec![b'x'; MAX_REQUEST_BODY_BYTES + 1];
    let request = asana.request(reqwest::Method::POST, "/projects").body(body);
    // The answer may come before all is sent, and then the rest of the request is refused.
    if let Ok(response) = request.send().await {
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    assert_eq!(standin.performed(), 0);
    assert_eq!(asana.get("/projects").await.0, StatusCode::OK);
}

#[tokio::test]
async fn shutdown_ends_even_what_hangs() {
    let standin = asana::start().await.unwrap();
    let asana = Caller::new(standin.base_url(), TOKEN);
    standin.misbehave(Misbehaviour::Hang);
    let hanging = tokio::spawn(asana.request(reqwest::Method::GET, "/projects").send());
    standin.wait_for(|calls| calls.len() == 1).await.unwrap();
    let address = standin.address();
    standin.shutdown().await;
    assert!(hanging.await.unwrap().is_err());
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
    let taken_over = asana::start_at(address, TOKEN).await.unwrap();
    assert_eq!(taken_over.address(), address);
    let refused = asana::start_at(address, TOKEN).await.unwrap_err();
    assert!(refused.to_string().contains(&address.to_string()), "{refused}");
}
