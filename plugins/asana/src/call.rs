//! One call of Asana's API: everything travels in `data`, errors in `errors`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tombolo_sdk::http::{Request, Response};
use tombolo_sdk::{ErrorClass, NodeError};

/// What Asana has answered, without the `data` around it.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Thing {
    gid: String,
    name: Option<String>,
    /// Where people find it.
    permalink_url: Option<String>,
    /// The other fields, as Asana names them.
    #[serde(flatten)]
    fields: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
struct Problems {
    errors: Vec<Problem>,
}

#[derive(Serialize, Deserialize)]
struct Problem {
    message: String,
    help: Option<String>,
    phrase: Option<String>,
}

/// Puts the fields that are there into `data`.
pub fn with_data(request: Request, data: Value) -> Result<Request, NodeError> {
    let data = match data {
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(fields.collect())
        }
        other => other,
    };
    request.json(&Envelope { data })
}

/// Sends and reads the answer. Without `fields`, Asana answers what it thinks best.
pub fn send(request: Request, fields: &[String]) -> Result<Thing, NodeError> {
    let request =
        if fields.is_empty() { request } else { request.query("opt_fields", fields.join(",")) };
    let response = request.send_any()?;
    if response.is_success() {
        Ok(response.json::<Envelope<Thing>>()?.data)
    } else {
        Err(error(response))
    }
}

fn error(response: Response) -> NodeError {
    let status = response.status();
    let problems = response.json::<Problems>();
    let error = response.into_error();
    // What is no error body of Asana comes from something in between; the plain error says it.
    let Ok(Problems { errors }) = problems else {
        return error;
    };
    let reasons: Vec<&str> = errors.iter().map(|one| one.message.as_str()).collect();
    let message = format!("Asana ({status}): {}", reasons.join("; "));
    let code = match error.class {
        ErrorClass::NotFound => "asana-not-found".into(),
        _ => error.code.clone(),
    };
    NodeError { message, ..error }
        .with_code(code)
        .with_details(json!({ "status": status, "errors": errors }))
}
