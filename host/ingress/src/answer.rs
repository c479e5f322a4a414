//! What the sender is told once its events are durable.

use std::ops::RangeInclusive;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tombolo_core::json::Json;
use tombolo_core::ports::intake::Answer;
use tombolo_core::ports::store::Accepted;

/// Headers that a `respond` node may not set: they belong to the connection (RFC 9110, 7.6.1), or
/// say where the answer ends and when it was made.
const OURS: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::DATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Statuses that end an exchange. 1xx does not: what follows a 101 is another protocol.
const FINAL: RangeInclusive<u16> = 200..=599;

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
        Answer::Ready { status, headers, body, .. } => own(status, headers, body),
    }
}

/// The answer as the workflow gives it, as far as it is the workflow's to give. A status that is
/// none gives way to 200, as in the API: the run's work is done and the body is its result.
fn own(status: u16, headers: Vec<(String, String)>, body: Json) -> Response {
    let status = Some(status).filter(|status| FINAL.contains(status));
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    let mut response =
        (status.unwrap_or(StatusCode::OK), content_type, body.text().to_owned()).into_response();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value))
            && !OURS.contains(&name)
        {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)]) -> Response {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        own(status, headers.collect(), Json::from_trusted("{}".to_owned()))
    }

    #[test]
    fn a_status_that_ends_no_exchange_gives_way_to_200() {
        for (given, sent) in [
            (200, 200),
            (204, 204),
            (302, 302),
            (418, 418),
            (599, 599),
            (0, 200),
            (99, 200),
            (100, 200),
            (101, 200),
            (199, 200),
            (600, 200),
            (999, 200),
            (1000, 200),
        ] {
            assert_eq!(answer(given, &[]).status().as_u16(), sent, "{given}");
        }
    }

    #[test]
    fn what_belongs_to_the_connection_is_not_the_workflows_to_set() {
        for name in [
            "Connection",
            "Content-Length",
            "Date",
            "Keep-Alive",
            "Proxy-Connection",
            "TE",
            "Trailer",
            "Transfer-Encoding",
            "Upgrade",
        ] {
            let response = answer(200, &[(name, "x")]);
            assert!(!response.headers().contains_key(name), "{name}");
        }
        let response = answer(200, &[("content-type", "text/plain"), ("X-Mine", "x")]);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/plain");
        assert_eq!(response.headers()["x-mine"], "x");
    }
}
