//! What the sender is told once its events are durable.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tombolo_core::json::Json;
use tombolo_core::ports::intake::Answer;
use tombolo_core::ports::store::Accepted;

/// 202 with the runs: the events are durable, the work follows.
pub(crate) fn accepted(outcomes: &[Accepted]) -> Response {
    let runs: Vec<_> = outcomes.iter().flat_map(Accepted::runs).collect();
    let duplicates =
        outcomes.iter().filter(|outcome| matches!(outcome, Accepted::Duplicate { .. })).count();
    let body = json!({
        "accepted": outcomes.len() - duplicates,
        "duplicates": duplicates,
        "runs": runs,
    });
    (StatusCode::ACCEPTED, [(header::CONTENT_TYPE, "application/json")], body.to_string())
        .into_response()
}

/// The run's own answer, or 202 with its address when it takes longer.
pub(crate) fn result(outcome: &Accepted, answer: Answer) -> Response {
    match answer {
        Answer::NotYet => {
            let mut response = accepted(std::slice::from_ref(outcome));
            let href = outcome.runs().first().map(|run| format!("/api/v1/runs/{run}"));
            if let Some(location) = href.and_then(|href| HeaderValue::try_from(href).ok()) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            response
        }
        Answer::Ready { status, headers, body, .. } => own(status, headers, &body),
    }
}

/// The answer as the workflow gives it.
fn own(status: u16, headers: Vec<(String, String)>, body: &Json) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    let mut response = (status, content_type, body.text().to_owned()).into_response();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
