//! A connector that misbehaves in the ways only a connector can, and shows what it is told. For the
//! tests of the sandbox only; on the raw bindings, because the SDK would not let it.

// A component only: the names of its exports are none that a native linker takes.
#![cfg(target_family = "wasm")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use exports::tombolo::node::node::{Guest, NodeError, Outcome};
use serde_json::{Value, json};
use tombolo::node::types::ErrorClass;
use tombolo::node::{context, log, state};
use wasi::http::outgoing_handler;
use wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};
use wasi::io::streams::StreamError;

wit_bindgen::generate!({
    path: "../../../../wit",
    world: "tombolo:node/connector",
    generate_all,
});

struct Caller;

export!(Caller);

impl Guest for Caller {
    fn describe() -> String {
        let operation = |name: &str| json!({ "name": name, "effect": "unsafe", "params": true, "output": true });
        json!({
            "contract": "1.0", "name": "caller", "version": "0.1.0", "world": "connector",
            // Asked for in vain: a connector is never reused.
            "reuse": true,
            "operations": [
                operation("count"), operation("call"), operation("calls"), operation("call-and-spin"),
                operation("hoard"), operation("handles"), operation("headers"),
                operation("header-list"), operation("body"), operation("context"),
                operation("state"), operation("state-then-fail"), operation("clock"),
            ],
        })
        .to_string()
    }

    fn invoke(operation: String, params: String) -> Result<Outcome, NodeError> {
        let params: Value =
            serde_json::from_str(&params).map_err(|error| failed("params", &error.to_string()))?;
        let n = params["n"].as_u64().unwrap_or(0);
        let output = match operation.as_str() {
            "count" => count(),
            "call" => call(&params)?,
            "calls" => calls(&params)?,
            "call-and-spin" => {
                let _pending = start(&params)?;
                loop {
                    std::hint::black_box(&params);
                }
            }
            "hoard" => hoard(&params, n)?,
            "handles" => {
                let held: Vec<Fields> = (0..n).map(|_| Fields::new()).collect();
                json!(held.len())
            }
            "headers" => headers(n),
            "header-list" => header_list(n),
            "body" => body(&params, n)?,
            "context" => context(),
            "state" => state_twice(),
            "state-then-fail" => {
                state::compare_and_set("visits", 0, "1");
                return Err(failed("changed-my-mind", "after a write"));
            }
            "clock" => json!({ "now": now(), "random": rand() }),
            other => return Err(failed("unknown-operation", other)),
        };
        Ok(Outcome { output: output.to_string(), ports: Vec::new() })
    }
}

fn failed(code: &str, message: &str) -> NodeError {
    NodeError {
        class: ErrorClass::Permanent,
        code: code.to_owned(),
        message: message.to_owned(),
        retry_after_ms: None,
        details: None,
    }
}

fn count() -> Value {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    json!(CALLS.fetch_add(1, Ordering::Relaxed) + 1)
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

fn rand() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(1)
}

/// Sends a request without waiting for its answer.
fn start(params: &Value) -> Result<FutureIncomingResponse, NodeError> {
    let request = request(params, Fields::new());
    let body = request.body().map_err(|()| failed("body", "no body"))?;
    let future = outgoing_handler::handle(request, None)
        .map_err(|code| failed("handle", &code.to_string()))?;
    {
        let stream = body.write().map_err(|()| failed("body", "no stream"))?;
        let text = params["body"].as_str().unwrap_or_default();
        // The host closes the stream of a request that it refuses; the answer says why.
        let _ = stream.blocking_write_and_flush(text.as_bytes());
    }
    let _ = OutgoingBody::finish(body, None);
    Ok(future)
}

fn request(params: &Value, fields: Fields) -> OutgoingRequest {
    let request = OutgoingRequest::new(fields);
    let method = match params["method"].as_str() {
        Some("POST") => Method::Post,
        Some("GET") | None => Method::Get,
        Some(other) => Method::Other(other.to_owned()),
    };
    request.set_method(&method).expect("a method");
    let local = params["authority"].as_str();
    let scheme = if local.is_some() { Scheme::Http } else { Scheme::Https };
    request.set_scheme(Some(&scheme)).expect("a scheme");
    request.set_authority(local.or(Some("api.example.com"))).expect("an authority");
    request.set_path_with_query(params["path"].as_str()).expect("a path");
    request
}

/// One call, its answer or the name of its error.
fn call(params: &Value) -> Result<Value, NodeError> {
    let future = start(params)?;
    future.subscribe().block();
    let response = match future.get() {
        Some(Ok(Ok(response))) => response,
        Some(Ok(Err(code))) => return Ok(json!({ "error": name(&code) })),
        Some(Err(())) | None => return Err(failed("future", "gave nothing")),
    };
    let headers: Vec<Value> = response
        .headers()
        .entries()
        .into_iter()
        .map(|(name, value)| json!([name, String::from_utf8_lossy(&value)]))
        .collect();
    let body = response.consume().map_err(|()| failed("body", "gone"))?;
    let stream = body.stream().map_err(|()| failed("body", "gone"))?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(65_536) {
            Ok(chunk) => bytes.extend(chunk),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => {
                return Ok(json!({ "error": error.to_debug_string() }));
            }
        }
    }
    log::write(log::Level::Info, "called");
    Ok(
        json!({ "status": response.status(), "headers": headers, "body": String::from_utf8_lossy(&bytes) }),
    )
}

/// Several calls in a row; the first answer over 499 ends them with a hope that it will pass.
fn calls(params: &Value) -> Result<Value, NodeError> {
    let mut answers = Vec::new();
    for request in params["requests"].as_array().into_iter().flatten() {
        let answer = call(request)?;
        if answer["status"].as_u64().is_none_or(|status| status >= 500) {
            let message = format!("after {} good answers: {answer}", answers.len());
            return Err(NodeError { class: ErrorClass::Transient, ..failed("refused", &message) });
        }
        answers.push(answer["body"].clone());
    }
    Ok(json!(answers))
}

fn name(code: &ErrorCode) -> String {
    let text = format!("{code:?}");
    let name = text.trim_start_matches("ErrorCode::");
    name.split(['(', ' ']).next().unwrap_or(name).to_owned()
}

/// Starts `n` calls and reads no answer.
fn hoard(params: &Value, n: u64) -> Result<Value, NodeError> {
    let futures = (0..n).map(|_| start(params)).collect::<Result<Vec<_>, _>>()?;
    let mut answers = Vec::new();
    let mut held = Vec::new();
    for future in futures {
        future.subscribe().block();
        match future.get() {
            Some(Ok(Ok(response))) => {
                answers.push(json!(response.status()));
                held.push(response);
            }
            Some(Ok(Err(code))) => answers.push(json!(name(&code))),
            Some(Err(())) | None => answers.push(Value::Null),
        }
    }
    Ok(json!(answers))
}

/// Adds headers until the host has enough of them.
fn headers(n: u64) -> Value {
    let fields = Fields::new();
    for at in 0..n {
        if let Err(error) = fields.append(&format!("x-header-{at}"), b"value") {
            return json!({ "added": at, "error": format!("{error:?}") });
        }
    }
    json!({ "added": n })
}

fn header_list(n: u64) -> Value {
    let list: Vec<_> = (0..n).map(|at| (format!("x-header-{at}"), b"value".to_vec())).collect();
    match Fields::from_list(&list) {
        Ok(_) => json!("accepted"),
        Err(error) => json!(format!("{error:?}")),
    }
}

/// Sends a body of `n` bytes.
fn body(params: &Value, n: u64) -> Result<Value, NodeError> {
    let request = request(params, Fields::new());
    let body = request.body().map_err(|()| failed("body", "no body"))?;
    let future = outgoing_handler::handle(request, None)
        .map_err(|code| failed("handle", &code.to_string()))?;
    let chunk = [b'x'; 4096];
    let mut written = 0;
    {
        let stream = body.write().map_err(|()| failed("body", "no stream"))?;
        while written < n && stream.blocking_write_and_flush(&chunk).is_ok() {
            written += 4096;
        }
    }
    let _ = OutgoingBody::finish(body, None);
    future.subscribe().block();
    Ok(match future.get() {
        Some(Ok(Ok(response))) => json!({ "status": response.status() }),
        Some(Ok(Err(code))) => json!({ "error": name(&code), "stopped": written < n }),
        Some(Err(())) | None => Value::Null,
    })
}

fn context() -> Value {
    json!({
        "run": context::run_id(),
        "node": context::node(),
        "attempt": context::attempt(),
        "idempotency_key": context::idempotency_key(),
        "correlation_id": context::correlation_id(),
        "deadline_ms": context::deadline_ms(),
        "base_url": context::base_url(),
    })
}

/// Counts a visit, reads its own write, and counts another.
fn state_twice() -> Value {
    let entry = state::get("visits");
    let (visits, version) =
        entry.map_or((0, 0), |entry| (entry.value.parse().unwrap_or(0), entry.version));
    let stale = state::compare_and_set("visits", version + 7, "0");
    let first = state::compare_and_set("visits", version, &(visits + 1).to_string());
    let seen = state::get("visits").map(|entry| entry.value);
    let second = state::compare_and_set("visits", version + 1, &(visits + 2_u64).to_string());
    json!({ "before": visits, "stale": stale, "first": first, "seen": seen, "second": second })
}
