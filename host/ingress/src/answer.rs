//! What the sender is told once its events are durable.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tombolo_core::ports::intake::Answer;
use tombolo_core::ports::store::Accepted;

/// Headers that a `respond` node may not set: they belong to the connection.
const OURS: [HeaderName; 4] =
    [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION, header::UPGRADE];

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
        Answer::Ready { status, headers, body, .. } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            let mut response =
                (status, [(header::CONTENT_TYPE, "application/json")], body.text().to_owned())
                    .into_response();
            for (name, value) in headers {
                if let (Ok(name), Ok(value)) =
                    (HeaderName::try_from(name), HeaderValue::try_from(value))
                    && !OURS.contains(&name)
                {
                    response.headers_mut().insert(name, value);
                }
            }
            response
        }
    }
}
