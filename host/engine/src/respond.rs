//! What a waiting caller is answered: from a `respond` node, or from the run's end.

use serde_json::{Value, json};
use tombolo_core::error::StepError;
use tombolo_core::id::RunId;
use tombolo_core::json::Json;
use tombolo_core::ports::intake::Answer;
use tombolo_core::run::RunState;

/// Status of a run that failed or was cancelled, told to somebody who waited for its result.
const FAILED_STATUS: u16 = 500;

/// The answer that a `respond` node's output means.
pub(crate) fn from_node(output: &Json, state: RunState) -> Answer {
    let value = output.value();
    let status =
        value.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
    let headers = value
        .get("headers")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    let body = value.get("body").cloned().unwrap_or(Value::Null);
    Answer::Ready { status: status.unwrap_or(200), headers, body: body.into(), state }
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
