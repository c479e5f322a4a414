//! The port between the shared server and one provider: its routes, its objects, its error shapes.
//! Never touches connections, records or misbehaviour.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{Method, Response, StatusCode, header};
use serde_json::Value;

/// What a provider adds to the shared server.
pub trait Provider: Send + Sync + 'static {
    /// The provider's name in messages, such as `asana`.
    fn name(&self) -> &'static str;

    /// What all its paths begin with, such as `/api/1.0`. Rules and counts may leave it out.
    fn base_path(&self) -> &'static str;

    /// The documented routes, authentication included.
    fn router(self: Arc<Self>) -> Router;

    /// Whether a successful call of this method and path changes anything. A search by POST does
    /// not, so it is no performed work and no duplicate when it is repeated.
    fn is_write(&self, method: &Method, path: &str) -> bool;

    /// The documented answer to too many requests, with `Retry-After` in seconds.
    fn rate_limited(&self, retry_after_s: u64) -> Response<Body>;

    /// The body of an answer with this status that is the provider's fault.
    fn failure(&self, status: StatusCode) -> Value;

    /// All objects the stand-in holds, for people and other processes.
    fn objects(&self) -> Value;

    /// Back to the state it started with.
    fn reset(&self);
}

/// A JSON answer.
pub fn json_response(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/json;charset=utf-8"),
    );
    response
}
