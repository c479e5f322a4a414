//! The control routes under `/_control`, for use from other processes: the same as the Rust handle.
//! Calls to them are never recorded and never hit by a misbehaviour.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::routing::{delete, get, post};
use http::{Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::Shared;
use super::{Call, Rule, json_response};

type Answer = Response<Body>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/_control", delete(reset))
        .route("/_control/misbehave", post(misbehave))
        .route("/_control/settings", post(settings))
        .route("/_control/calls", get(calls))
        .route("/_control/objects", get(objects))
        .with_state(shared)
}

/// `DELETE /_control`: back to the start.
async fn reset(State(shared): State<Arc<Shared>>) -> Answer {
    shared.reset();
    done()
}

/// `POST /_control/misbehave`: one [`Rule`].
async fn misbehave(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    with(&body, |rule: Rule| shared.queue().push(rule))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    honour_idempotency_keys: bool,
}

/// `POST /_control/settings`: `{"honour_idempotency_keys": true}`.
async fn settings(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    with(&body, |settings: Settings| {
        shared.honour_idempotency_keys.store(settings.honour_idempotency_keys, Ordering::Relaxed);
    })
}

/// `GET /_control/calls`: all calls, and the figures a test asks for.
async fn calls(State(shared): State<Arc<Shared>>) -> Answer {
    let calls = shared.log.calls();
    let value = json!({
        "standin": shared.provider.name(),
        "total": calls.len(),
        "performed": calls.iter().filter(|call| call.performed).count(),
        "duplicates": shared.log.duplicates(),
        "misbehaviours_left": shared.queue().left(),
        "calls": calls.iter().map(Call::to_json).collect::<Vec<Value>>(),
    });
    json_response(StatusCode::OK, &value)
}

/// `GET /_control/objects`: what the stand-in holds.
async fn objects(State(shared): State<Arc<Shared>>) -> Answer {
    json_response(StatusCode::OK, &shared.provider.objects())
}

fn done() -> Answer {
    json_response(StatusCode::OK, &json!({ "ok": true }))
}

/// Does something with the request's JSON, or says what is wrong with it.
fn with<T: DeserializeOwned>(body: &[u8], act: impl FnOnce(T)) -> Answer {
    match serde_json::from_slice(body) {
        Ok(value) => {
            act(value);
            done()
        }
        Err(error) => {
            json_response(StatusCode::BAD_REQUEST, &json!({ "error": error.to_string() }))
        }
    }
}
