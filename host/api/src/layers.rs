//! What surrounds every route: correlation id, time limit, caught panics, the finish of problems,
//! and the one log line of a request.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::time::Instant;

use crate::app::{App, Shared};
use crate::extract::{CORRELATION_HEADER, Correlation, Deadline};
use crate::problem::{Kind, MEDIA_TYPE, Problem};

/// Largest problem of others that is read for the log; bytes.
const MAX_PROBLEM_BYTES: u64 = 64 * 1024;

/// Adds the layers to routes of others. They keep the time limits of their own.
pub(crate) fn wrap_others(others: Router, app: &Shared) -> Router<Shared> {
    others.with_state(()).layer(from_fn_with_state(Shared::clone(app), surround_others))
}

/// Adds the layers to the routes that ask for no token but show an address.
pub(crate) fn wrap_addressed(router: Router<Shared>, app: &Shared) -> Router<Shared> {
    router
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Shared::clone(app), surround_addressed))
}

/// Adds the layers, and the answers to what no route knows.
pub(crate) fn wrap(router: Router<Shared>, app: &Shared) -> Router<Shared> {
    router
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Shared::clone(app), surround))
}

async fn unknown_route(uri: Uri) -> Problem {
    Problem::new(Kind::UnknownRoute, format!("nothing answers at `{}`", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::new(Kind::WrongMethod, format!("`{}` does not take {method}", uri.path()))
}

async fn surround(State(app): State<Shared>, request: Request, next: Next) -> Response {
    observe(&app, request, next, Side::Ours).await
}

async fn surround_addressed(State(app): State<Shared>, request: Request, next: Next) -> Response {
    observe(&app, request, next, Side::Addressed).await
}

async fn surround_others(State(app): State<Shared>, request: Request, next: Next) -> Response {
    observe(&app, request, next, Side::Others).await
}

/// Whose routes answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Those of this crate.
    Ours,
    /// Callback addresses. Their senders see no log, either: what is refused is a warning. The
    /// address itself is a secret and stands in no log.
    Addressed,
    /// Webhooks. How long they answer is said by their trigger, and their senders see no log: what
    /// is refused is a warning.
    Others,
}

async fn observe(app: &App, mut request: Request, next: Next, side: Side) -> Response {
    let started = Instant::now();
    let correlation = Correlation::of(request.headers(), &*app.ports.ids);
    request.extensions_mut().insert(correlation.clone());
    if let Some(value) = correlation.value() {
        // What others read of it is the same.
        request.headers_mut().insert(CORRELATION_HEADER, value);
    }
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let limit = (side != Side::Others).then(|| app.settings().answer_timeout);
    if let Some(limit) = limit {
        request.extensions_mut().insert(Deadline(started + limit));
    }
    let mut response = answer(limit, request, next).await;
    let problem = response.extensions_mut().remove::<Problem>();
    let code = match &problem {
        Some(problem) => Some(problem.kind().code().to_owned()),
        None => foreign_code(&mut response).await,
    };
    let line = Line {
        method: &method,
        // The route is enough to count, the path is needed to find the sender.
        route: if side == Side::Others { &path } else { route.as_deref().unwrap_or("-") },
        status: response.status(),
        problem: code.as_deref(),
        correlation_id: &correlation.0,
        duration: started.elapsed(),
    };
    line.write(side);
    if let Some(problem) = problem {
        if let Some(cause) = problem.cause() {
            tracing::error!(correlation_id = %correlation.0, cause, "a request failed on our side");
        }
        let body = problem.body(Some(&path), Some(&correlation.0)).to_string();
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(body);
    }
    mark(&mut response, &correlation);
    response
}

/// The one line of a request.
struct Line<'a> {
    method: &'a Method,
    route: &'a str,
    status: StatusCode,
    problem: Option<&'a str>,
    correlation_id: &'a str,
    duration: Duration,
}

impl Line<'_> {
    fn write(&self, side: Side) {
        let Self { method, route, status, problem, correlation_id, duration } = *self;
        let status = status.as_u16();
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        if side != Side::Ours && status >= 400 {
            tracing::warn!(%method, route, status, problem, correlation_id, duration_ms, "refused");
        } else {
            tracing::info!(%method, route, status, problem, correlation_id, duration_ms, "request");
        }
    }
}

/// The code of a problem that is not one of this crate's. Its body is read and put back.
async fn foreign_code(response: &mut Response) -> Option<String> {
    let kind = response.headers().get(header::CONTENT_TYPE)?;
    let small = response.body().size_hint().exact().is_some_and(|size| size <= MAX_PROBLEM_BYTES);
    if kind.as_bytes() != MEDIA_TYPE.as_bytes() || !small {
        return None;
    }
    // Of known size: complete in memory.
    let bytes = std::mem::take(response.body_mut()).collect().await.ok()?.to_bytes();
    let document: Option<Value> = serde_json::from_slice(&bytes).ok();
    *response.body_mut() = Body::from(bytes);
    Some(document?["type"].as_str()?.rsplit('/').next()?.to_owned())
}

/// The handler's answer, or a problem if it panics or takes too long. A stream's body lives longer.
async fn answer(limit: Option<Duration>, request: Request, next: Next) -> Response {
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind();
    let answered = match limit {
        Some(limit) => tokio::time::timeout(limit, handled).await.map_err(|_| limit),
        None => Ok(handled.await),
    };
    match answered {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => Problem::internal(format!("panic: {}", message(&*panic))).into_response(),
        Err(limit) => {
            let limit_s = limit.as_secs();
            let detail = format!("there was no answer within {limit_s} s (limit answer_timeout)");
            Problem::new(Kind::Timeout, detail).into_response()
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

fn mark(response: &mut Response, correlation: &Correlation) {
    const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    if let Some(value) = correlation.value() {
        headers.insert(CORRELATION_HEADER, value);
    }
}
