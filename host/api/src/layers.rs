//! What surrounds every route: correlation id, time limit, caught panics, the finish of problems,
//! and the one log line of a request.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;

use crate::app::{App, Shared};
use crate::extract::{CORRELATION_HEADER, Correlation};
use crate::problem::{Kind, Problem};

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

async fn surround(State(app): State<Shared>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let correlation = Correlation::of(request.headers(), &*app.ports.ids);
    request.extensions_mut().insert(correlation.clone());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let mut response = answer(&app, request, next).await;
    let problem = response.extensions_mut().remove::<Problem>();
    tracing::info!(
        %method,
        route = route.as_deref().unwrap_or("-"),
        status = response.status().as_u16(),
        problem = problem.as_ref().map(|problem| problem.kind().code()),
        correlation_id = %correlation.0,
        duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "request"
    );
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

/// The handler's answer, or a problem if it panics or takes too long. A stream's body lives longer.
async fn answer(app: &App, request: Request, next: Next) -> Response {
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(app.settings().answer_timeout, handled).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => Problem::internal(format!("panic: {}", message(&*panic))).into_response(),
        Err(_) => {
            let limit_s = app.settings().answer_timeout.as_secs();
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
