//! Asana as a provider of the shared stand-in server: state, authentication, error shapes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, header};
use serde_json::{Value, json};

use super::error::{self, Refusal};
use super::record::Records;
use super::{TOKEN, project, task};
use crate::standin::{Provider, Standin, StartError, json_response};

/// Starts an empty Asana on loopback that takes [`TOKEN`].
///
/// # Errors
/// If no port is free.
pub async fn start() -> Result<Standin<Asana>, StartError> {
    Standin::start(Asana::new(TOKEN)).await
}

/// Starts an empty Asana at this address, with this token.
///
/// # Errors
/// If the address is taken.
pub async fn start_at(address: SocketAddr, token: &str) -> Result<Standin<Asana>, StartError> {
    Standin::start_at(Asana::new(token), address).await
}

/// Projects and tasks of one account, and the token that opens it.
pub struct Asana {
    token: String,
    records: Mutex<Records>,
}

impl Asana {
    /// An account with nothing in it.
    pub fn new(token: &str) -> Self {
        Self { token: token.to_owned(), records: Mutex::new(Records::empty()) }
    }

    /// All projects in the order of their creation, as `GET /projects/{gid}` shows them.
    pub fn projects(&self) -> Vec<Value> {
        self.records().projects.iter().cloned().map(Value::Object).collect()
    }

    /// All tasks in the order of their creation, as `GET /tasks/{gid}` shows them.
    pub fn tasks(&self) -> Vec<Value> {
        self.records().tasks.iter().cloned().map(Value::Object).collect()
    }

    pub(super) fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn authenticate(State(asana): State<Arc<Asana>>, request: Request, next: Next) -> Response {
    let token = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    match token {
        Some(token) if token == asana.token => next.run(request).await,
        _ => Refusal::Unauthenticated.into_response(),
    }
}

impl Provider for Asana {
    fn name(&self) -> &'static str {
        "asana"
    }

    fn base_path(&self) -> &'static str {
        "/api/1.0"
    }

    fn router(self: Arc<Self>) -> Router {
        Router::new()
            .merge(project::routes())
            .merge(task::routes())
            .fallback(|| async { Refusal::NoRoute })
            .method_not_allowed_fallback(|| async { Refusal::NoRoute })
            .layer(from_fn_with_state(Arc::clone(&self), authenticate))
            .with_state(self)
    }

    fn is_write(&self, method: &Method, _path: &str) -> bool {
        !method.is_safe()
    }

    fn rate_limited(&self, retry_after_s: u64) -> http::Response<Body> {
        let mut response = json_response(StatusCode::TOO_MANY_REQUESTS, &error::rate_limit());
        response.headers_mut().insert(header::RETRY_AFTER, retry_after_s.into());
        response
    }

    fn failure(&self, _status: StatusCode) -> Value {
        error::server_error()
    }

    fn objects(&self) -> Value {
        json!({ "projects": self.projects(), "tasks": self.tasks() })
    }

    fn reset(&self) {
        *self.records() = Records::empty();
    }
}
