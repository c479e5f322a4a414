//! One call of HubSpot's API, and what its errors say.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tombolo_sdk::http::{Request, Response};
use tombolo_sdk::{ErrorClass, NodeError};

use crate::object::Object;

/// HubSpot's error body.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Problem {
    message: String,
    category: Option<String>,
    correlation_id: Option<String>,
    #[serde(default)]
    errors: Vec<Value>,
}

/// Sends and reads the answer.
pub fn send<T: DeserializeOwned>(object: &Object, request: Request) -> Result<T, NodeError> {
    let response = request.send_any()?;
    if response.is_success() { response.json() } else { Err(error(object, response)) }
}

fn error(object: &Object, response: Response) -> NodeError {
    let status = response.status();
    let problem = response.json::<Problem>();
    let error = response.into_error();
    // What is no error body of HubSpot comes from something in between; the plain error says it.
    let Ok(problem) = problem else {
        return error;
    };
    let code = match (error.class, &problem.category) {
        (ErrorClass::NotFound, _) => object.not_found.to_owned(),
        (ErrorClass::Conflict, _) => object.exists.to_owned(),
        (_, Some(category)) => format!("hubspot-{}", category.to_lowercase().replace('_', "-")),
        (_, None) => format!("http-{status}"),
    };
    let message = format!("HubSpot ({status}): {}", problem.message);
    let details = json!({
        "status": status,
        "category": problem.category,
        "correlationId": problem.correlation_id,
        "errors": problem.errors,
    });
    NodeError { message, ..error }.with_code(code).with_details(details)
}
