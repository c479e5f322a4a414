//! What a waiting caller is answered: from a `respond` node, or from the run's end.

use std::ops::RangeInclusive;

use serde_json::{Value, json};
use tombolo_core::error::StepError;
use tombolo_core::id::RunId;
use tombolo_core::json::Json;
use tombolo_core::ports::intake::Answer;
use tombolo_core::run::RunState;

/// Status of a run that failed or was cancelled, told to somebody who waited for its result.
const FAILED_STATUS: u16 = 500;

/// Statuses that end an exchange. 1xx does not: what follows a 101 is another protocol.
const FINAL: RangeInclusive<u64> = 200..=599;

/// Headers that are not a workflow's to set: they belong to the connection (RFC 9110, 7.6.1), or say
/// where the answer ends and when it was made.
const NOT_ITS_OWN: [&str; 9] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The answer that a `respond` node's output means, as far as it is the workflow's to give. A status
/// that is none gives way to 200: the run's work is done and the body is its result.
pub(crate) fn from_node(output: &Json, state: RunState) -> Answer {
    let value = output.value();
    let status =
        value.get("status").and_then(Value::as_u64).filter(|status| FINAL.contains(status));
    let own = |name: &str| !NOT_ITS_OWN.iter().any(|other| name.eq_ignore_ascii_case(other));
    let headers = value
        .get("headers")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(name, _)| own(name))
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    let body = value.get("body").cloned().unwrap_or(Value::Null);
    let status = status.and_then(|status| u16::try_from(status).ok()).unwrap_or(200);
    Answer::Ready { status, headers, body: body.into(), state }
}

/// The answer that the end of a run without a `respond` node means.
pub(crate) fn from_end(
    run: RunId,
    state: RunState,
    output: Option<Json>,
    error: Option<&StepError>,
) -> Answer {
    match state {
        RunState::Succeeded => Answer::Ready {
            status: 200,
            headers: Vec::new(),
            body: output.unwrap_or_default(),
            state,
        },
        _ => {
            let title = if state == RunState::Cancelled {
                "The run was cancelled"
            } else {
                "The run failed"
            };
            let body = json!({
                "type": format!("/problems/run-{}", state.name()),
                "title": title,
                "status": FAILED_STATUS,
                "detail": error.map(|error| error.message.clone()),
                "run": run,
                "error": error,
            });
            let headers = vec![("content-type".to_owned(), "application/problem+json".to_owned())];
            Answer::Ready { status: FAILED_STATUS, headers, body: body.into(), state }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u64, headers: Value) -> (u16, Vec<(String, String)>) {
        let output = json!({"status": status, "headers": headers, "body": 1});
        match from_node(&output.into(), RunState::Running) {
            Answer::Ready { status, headers, .. } => (status, headers),
            Answer::NotYet => panic!("it has answered"),
        }
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
            (u64::MAX, 200),
        ] {
            assert_eq!(answer(given, json!({})).0, sent, "{given}");
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
            assert_eq!(answer(200, json!({ name: "x" })).1, [], "{name}");
        }
        let (_, headers) = answer(200, json!({"content-type": "text/plain", "X-Mine": "x"}));
        assert_eq!(headers.len(), 2);
    }
}
