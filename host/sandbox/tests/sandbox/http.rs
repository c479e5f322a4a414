//! Calls to the outside: what goes out, what comes back, what is on record, and what is too much.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use tombolo_core::effect::Effect;
use tombolo_core::error::ErrorClass;
use tombolo_core::id::ContentHash;
use tombolo_core::ports::egress::{EgressError, InboundResponse};

use crate::support::outside::{Answer, response};
use crate::support::{Call, Lab, settings};

fn call(caller: ContentHash, params: Value) -> Call {
    Call::new(caller, "call", params).effect(Effect::Unsafe)
}

fn post() -> Value {
    json!({ "method": "POST", "path": "/deals?limit=1", "body": "{\"a\":1}" })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_through_the_egress_and_is_on_record() {
    let lab = Lab::new(settings());
    let caller = lab.install("guest_caller").await;
    lab.outside.answers(|_| {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", HeaderValue::from_static("r-1"));
        let body = "{\"id\":7}".into();
        Answer::Now(Ok(InboundResponse { status: StatusCode::CREATED, headers, body }))
    });
    let invoked = lab.run(call(caller, post())).await;
    let outcome = invoked.result.unwrap();
    assert_eq!(outcome.output.value()["status"], 201);
    assert_eq!(outcome.output.value()["body"], "{\"id\":7}");
    assert_eq!(outcome.output.value()["headers"], json!([["x-request-id", "r-1"]]));

    let calls = lab.outside.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].method, Method::POST);
    assert_eq!(calls[0].uri.to_string(), "https://api.example.com/deals?limit=1");
    assert_eq!(&calls[0].body[..], b"{\"a\":1}");
    assert!(!calls[0].headers.contains_key("host"), "the egress sets it");
    assert_eq!(calls[0].caller.idempotency_key, "key-1");
    assert!(
        calls[0].budget <= Duration::from_secs(60) && calls[0].budget > Duration::from_secs(50)
    );

    assert_eq!(invoked.calls.len(), 1);
    assert_eq!(invoked.calls[0].status, Some(201));
    assert_eq!(invoked.logs[0].message, "called");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guest_learns_whether_something_may_have_been_sent() {
    let lab = Lab::new(settings());
    let caller = lab.install("guest_caller").await;
    let host = || "api.example.com:443".to_owned();
    type Refusal = fn(String) -> EgressError;
    let cases: [(Refusal, &str); 7] = [
        (|_| EgressError::Refused { reason: "allowed_hosts".to_owned() }, "HttpRequestDenied"),
        (|_| EgressError::InvalidRequest { reason: "no host".to_owned() }, "HttpRequestUriInvalid"),
        (|host| EgressError::Connect { host, reason: "closed".to_owned() }, "ConnectionRefused"),
        (|host| EgressError::Timeout { host, limit_ms: 5, sent: false }, "ConnectionTimeout"),
        (|host| EgressError::Timeout { host, limit_ms: 5, sent: true }, "HttpResponseTimeout"),
        (|host| EgressError::Broken { host, reason: "reset".to_owned() }, "ConnectionTerminated"),
        (|host| EgressError::ResponseTooLarge { host, limit_bytes: 5 }, "HttpResponseBodySize"),
    ];
    for (error, expected) in cases {
        lab.outside.answers(move |_| Answer::Now(Err(error(host()))));
        let invoked = lab.run(call(caller, post())).await;
        assert_eq!(invoked.result.unwrap().output.value()["error"], expected);
        let sentence = error(host()).to_string();
        assert_eq!(invoked.calls[0].error.as_ref(), Some(&sentence));
        assert!(invoked.logs.iter().any(|line| line.message.contains(&sentence)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_an_answer_is_unknown_only_if_it_can_have_changed_something() {
    let lab = Lab::new(settings());
    let caller = lab.install("guest_caller").await;
    lab.outside.answers(|_| Answer::Never);
    let cases = [
        ("POST", Effect::Unsafe, ErrorClass::UnknownOutcome),
        ("GET", Effect::Unsafe, ErrorClass::Transient),
        ("POST", Effect::Keyed, ErrorClass::Transient),
        ("POST", Effect::Read, ErrorClass::Transient),
    ];
    for (method, effect, class) in cases {
        let params = json!({ "method": method, "path": "/slow?token=s3cret" });
        let slow =
            Call::new(caller, "call", params).effect(effect).timeout(Duration::from_millis(300));
        let invoked = lab.run(slow).await;
        let error = invoked.result.unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.class),
            ("step-timeout", class),
            "{method} {effect:?}"
        );
        assert_eq!(invoked.calls.len(), 1);
        assert_eq!(invoked.calls[0].url, "https://api.example.com/slow?…");
        assert!(invoked.calls[0].error.as_ref().unwrap().contains("ended before the answer"));
    }
    let calls = lab.outside.calls();
    assert!(
        calls.iter().all(|call| call.budget < Duration::from_millis(300)),
        "less than the attempt"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_change_that_nobody_knows_of_makes_the_outcome_unknown() {
    let lab = Lab::new(settings());
    let caller = lab.install("guest_caller").await;
    let spin = |params, effect| {
        Call::new(caller, "call-and-spin", params)
            .effect(effect)
            .timeout(Duration::from_millis(300))
    };
    let class = async |answer: fn() -> Answer| {
        lab.outside.answers(move |_| answer());
        lab.error(spin(post(), Effect::Unsafe)).await.class
    };
    let refused = || Answer::Now(Err(EgressError::Refused { reason: "no".to_owned() }));
    assert_eq!(class(refused).await, ErrorClass::Transient, "nothing was sent");
    assert_eq!(class(|| response(201, "{}")).await, ErrorClass::Transient, "it is in the journal");
    assert_eq!(class(|| response(400, "{}")).await, ErrorClass::Transient, "it was not done");
    for status in [502, 504, 520, 524] {
        lab.outside.answers(move |_| response(status, ""));
        let gateways_word = lab.error(spin(post(), Effect::Unsafe)).await.class;
        assert_eq!(gateways_word, ErrorClass::UnknownOutcome, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_does_not_decide_that_an_unknown_outcome_is_tried_again() {
    let lab = Lab::new(settings());
    let caller = lab.install("guest_caller").await;
    lab.outside.answers(|_| response(504, ""));
    let calls = |effect| Call::new(caller, "calls", json!({ "requests": [post()] })).effect(effect);
    assert_eq!(lab.error(calls(Effect::Unsafe)).await.class, ErrorClass::UnknownOutcome);
    assert_eq!(lab.error(calls(Effect::Keyed)).await.class, ErrorClass::Transient);
    lab.outside.answers(|_| response(503, ""));
    assert_eq!(lab.error(calls(Effect::Unsafe)).await.class, ErrorClass::Transient);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pure_step_reaches_nothing_whatever_its_component_can() {
    let lab = Lab::new(settings());
    let caller = lab.install("guest_caller").await;
    let invoked = lab.run(Call::new(caller, "call", post()).effect(Effect::Pure)).await;
    assert_eq!(invoked.result.unwrap().output.value()["error"], "HttpRequestDenied");
    assert!(lab.outside.calls().is_empty());
    assert!(invoked.logs[0].message.contains("effect `pure`"), "{:?}", invoked.logs);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads_are_bounded() {
    let lab = Lab::new(settings());
    let caller = lab.install("guest_caller").await;
    lab.outside.answers(|_| response(200, "x"));
    let params = json!({ "path": "/page", "n": 12 });
    let invoked = lab.run(Call::new(caller, "hoard", params).effect(Effect::Read)).await;
    let answers = invoked.result.unwrap().output.value().clone();
    let answers = answers.as_array().unwrap();
    assert_eq!(answers[..8], vec![json!(200); 8]);
    assert_eq!(answers[8..], vec![json!("ConnectionLimitReached"); 4]);
    assert_eq!(lab.outside.calls().len(), 8);
    assert!(invoked.logs.iter().any(|line| line.message.contains("http.open_calls")));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_an_attempt_are_bounded() {
    let mut settings = settings();
    settings.http.calls = 3;
    let lab = Lab::new(settings);
    let caller = lab.install("guest_caller").await;
    let params = json!({ "path": "/page", "n": 5 });
    let output = lab.output(Call::new(caller, "hoard", params).effect(Effect::Read)).await;
    assert_eq!(output, json!([200, 200, 200, "HttpRequestDenied", "HttpRequestDenied"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_thousand_headers_end_the_attempt() {
    let lab = Lab::new(settings());
    let caller = lab.install("guest_caller").await;
    for operation in ["headers", "header-list"] {
        let few = Call::new(caller, operation, json!({ "n": 50 })).effect(Effect::Read);
        lab.output(few).await;
        let many = Call::new(caller, operation, json!({ "n": 40_000 })).effect(Effect::Read);
        let error = lab.error(many).await;
        assert_eq!(error.class, ErrorClass::Permanent, "{error:?}");
        assert_eq!(error.code, "header-limit", "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_forty_thousand_headers_is_not_passed_on() {
    let lab = Lab::new(settings());
    let caller = lab.install("guest_caller").await;
    lab.outside.answers(|_| {
        let mut headers = HeaderMap::new();
        for _ in 0..20_000 {
            headers.append("x-header", HeaderValue::from_static("value"));
        }
        Answer::Now(Ok(InboundResponse { status: StatusCode::OK, headers, body: "x".into() }))
    });
    let output = lab.output(call(caller, post())).await;
    assert_eq!(output["error"], "HttpResponseHeaderSectionSize");
}

#[tokio::test(flavor = "multi_thread")]
async fn hop_by_hop_headers_of_an_answer_do_not_reach_the_guest() {
    let lab = Lab::new(settings());
    let caller = lab.install("guest_caller").await;
    lab.outside.answers(|_| {
        let mut headers = HeaderMap::new();
        headers.insert("connection", HeaderValue::from_static("close"));
        headers.insert("proxy-authenticate", HeaderValue::from_static("Basic"));
        headers.insert("etag", HeaderValue::from_static("v1"));
        Answer::Now(Ok(InboundResponse { status: StatusCode::OK, headers, body: "x".into() }))
    });
    let output = lab.output(call(caller, post())).await;
    assert_eq!(output["headers"], json!([["etag", "v1"]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_body_is_bounded_and_nothing_is_sent() {
    let mut settings = settings();
    settings.http.request_bytes = 100_000;
    let lab = Lab::new(settings);
    let caller = lab.install("guest_caller").await;
    let body = |n: u64| json!({ "method": "POST", "path": "/upload", "n": n });
    let upload = |n| Call::new(caller, "body", body(n)).effect(Effect::Unsafe);
    let invoked = lab.run(upload(10_000_000)).await;
    let output = invoked.result.unwrap().output.value().clone();
    assert_eq!(output["error"], "HttpRequestBodySize");
    assert_eq!(output["stopped"], true, "the guest is told while it writes");
    assert!(lab.outside.calls().is_empty());
    assert!(invoked.calls[0].error.as_ref().unwrap().starts_with("not sent"));
    assert_eq!(lab.output(upload(90_000)).await["status"], 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_answer_arrives_whole() {
    let lab = Lab::new(settings());
    let caller = lab.install("guest_caller").await;
    lab.outside.answers(|_| response(200, "x".repeat(5_000_000)));
    let output = lab.output(call(caller, post())).await;
    assert_eq!(output["body"].as_str().map(str::len), Some(5_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_told_who_it_works_for() {
    let lab = Lab::new(settings());
    let caller = lab.install("guest_caller").await;
    let invocation = Call::new(caller, "context", json!({})).effect(Effect::Read);
    let deadline = invocation.clone().invocation().deadline.0;
    let mut seen = lab.output(invocation).await;
    // What it waited for its turn is added.
    let told = seen["deadline_ms"].take().as_i64().unwrap();
    assert!((deadline..deadline + 1_000).contains(&told), "{told}");
    assert_eq!(
        seen,
        json!({
            "run": "run_00000000000000000000000000000007", "node": "deal", "attempt": 2,
            "idempotency_key": "key-1", "correlation_id": "corr-1", "deadline_ms": null,
            "base_url": null,
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn state_is_written_with_the_result_or_not_at_all() {
    let lab = Lab::new(settings());
    let caller = lab.install("guest_caller").await;
    let state =
        || Call::new(caller, "state", json!({})).effect(Effect::Keyed).state("visits", "5", 3);
    let invoked = lab.run(state()).await;
    assert_eq!(
        invoked.result.unwrap().output.value(),
        &json!({ "before": 5, "stale": false, "first": true, "seen": "6", "second": true })
    );
    assert_eq!(invoked.state.len(), 1);
    let write = &invoked.state[0];
    assert_eq!((write.key.as_str(), write.expected, write.value.text()), ("visits", 3, "7"));

    let failing = Call::new(caller, "state-then-fail", json!({})).effect(Effect::Keyed);
    let invoked = lab.run(failing).await;
    assert_eq!(invoked.result.unwrap_err().code, "changed-my-mind");
    assert!(invoked.state.is_empty());
}
