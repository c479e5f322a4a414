//! What built-in nodes do with their parameters. Who starts runs and who waits is the engine.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::error::{ErrorClass, StepError};
use crate::id::RunId;
use crate::json::Json;
use crate::ports::sandbox::Outcome;
use crate::wait::WaitSpec;
use crate::workflow::{Builtin, Span};

/// How long an address lets its node go on, if the node does not say.
pub const DEFAULT_EXPIRY: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 3600);

/// Most runs that may lead to a run that is called: by calls and by events.
pub const MAX_CALL_DEPTH: u32 = 16;

/// Most runs that may lead to a run that takes an event: by calls and by events. Two workflows may
/// take each, so that what one event can lead to doubles with every step.
pub const MAX_EVENT_DEPTH: u32 = 16;

/// What a built-in begins with.
#[derive(Debug, Clone, PartialEq)]
pub enum Begun {
    /// It is done.
    Done(Outcome),
    /// It waits: until `due`, or for a signal before then.
    Waits {
        /// When it has waited long enough.
        due: Option<Timestamp>,
    },
    /// It starts a run of another workflow.
    Calls(WorkflowCall),
    /// It publishes an event.
    Publishes(Publication),
}

/// A call of another workflow.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct WorkflowCall {
    /// Its name.
    pub name: String,
    /// What its expressions see as `.trigger`.
    #[serde(default)]
    pub input: Value,
    /// True if the step waits for its end.
    #[serde(default = "yes")]
    pub wait: bool,
}

/// An event to be published.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Publication {
    /// `order.placed.v2`.
    pub event: String,
    /// What its subscribers see as `.trigger`.
    #[serde(default)]
    pub data: Value,
}

fn yes() -> bool {
    true
}

/// Begins a built-in with its resolved parameters.
///
/// # Errors
/// Of class `invalid-input`, if the parameters are wrong.
pub fn begin(builtin: Builtin, input: &Json, now: Timestamp) -> Result<Begun, StepError> {
    match builtin {
        Builtin::Set | Builtin::Respond => Ok(Begun::Done(plain(input.clone()))),
        Builtin::Wait => begin_wait(input, now),
        Builtin::Callback | Builtin::Approval => {
            let expires = read::<Expiry>(builtin, input)?.expires;
            let due = now.plus(expires.map_or(DEFAULT_EXPIRY, |span| span.0));
            Ok(Begun::Waits { due: Some(due) })
        }
        Builtin::Workflow => read(builtin, input).map(Begun::Calls),
        Builtin::Publish => read(builtin, input).map(Begun::Publishes),
    }
}

#[derive(Deserialize)]
struct Expiry {
    #[serde(default)]
    expires: Option<Span>,
}

fn begin_wait(input: &Json, now: Timestamp) -> Result<Begun, StepError> {
    let spec = WaitSpec::parse(input.value()).and_then(|spec| spec.due(now));
    let due = spec.map_err(|error| {
        let message = format!("`wait`: {error}");
        StepError::new(ErrorClass::InvalidInput, error.code(), message)
    })?;
    if due <= now {
        return Ok(Begun::Done(waited(due)));
    }
    Ok(Begun::Waits { due: Some(due) })
}

fn read<T: serde::de::DeserializeOwned>(builtin: Builtin, input: &Json) -> Result<T, StepError> {
    serde_json::from_str(input.text()).map_err(|error| {
        let message = format!("the parameters of `{}`: {error}", builtin.name());
        StepError::new(ErrorClass::InvalidInput, "parameters-invalid", message)
    })
}

/// The time that a step waited for has come.
///
/// # Errors
/// If it waited for somebody who did not come.
pub fn due(builtin: Builtin, due: Timestamp) -> Result<Outcome, StepError> {
    match builtin {
        Builtin::Callback | Builtin::Approval => {
            let (code, message) = if builtin == Builtin::Approval {
                ("approval-expired", format!("nobody decided by {due}"))
            } else {
                ("callback-expired", format!("nobody called back by {due}"))
            };
            Err(StepError::new(ErrorClass::Permanent, code, message))
        }
        _ => Ok(waited(due)),
    }
}

/// What a step waited for has come.
///
/// # Errors
/// The called run's, as it is.
pub fn signalled(builtin: Builtin, body: &Json) -> Result<Outcome, StepError> {
    match builtin {
        Builtin::Approval => {
            let decision = body.value()["decision"].as_str().unwrap_or_default();
            Ok(Outcome { output: body.clone(), ports: vec![decision.to_owned()] })
        }
        Builtin::Workflow => ended(body),
        _ => Ok(plain(body.clone())),
    }
}

/// What the end of a called run tells the step that called it.
pub fn end_of_call(output: Option<&Json>, error: Option<&StepError>) -> Json {
    match (output, error) {
        (_, Some(error)) => json!({ "error": error }).into(),
        (output, None) => {
            json!({ "output": output.map_or(Value::Null, |json| json.value().clone()) }).into()
        }
    }
}

/// The error of a called run, as the step that called it has it.
pub fn error_of_call(called: RunId, error: StepError) -> StepError {
    let details = json!({ "run": called, "details": error.details });
    error.with_details(details)
}

fn ended(body: &Json) -> Result<Outcome, StepError> {
    let body = body.value();
    match body.get("error") {
        Some(error) => Err(serde_json::from_value(error.clone()).unwrap_or_else(|_| {
            StepError::new(ErrorClass::Permanent, "called-run-failed", "the called run failed")
        })),
        None => Ok(plain(body.get("output").cloned().unwrap_or_default().into())),
    }
}

fn waited(until: Timestamp) -> Outcome {
    plain(json!({ "until": until }).into())
}

fn plain(output: Json) -> Outcome {
    Outcome { output, ports: Vec::new() }
}
