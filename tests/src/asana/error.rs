//! Asana's error answers: a list of messages, as on its "Errors" and "Rate limits" pages.

use axum::response::IntoResponse;
use http::StatusCode;
use serde_json::{Value, json};

use crate::standin::json_response;

const HELP: &str = "For more information on API status codes and how to handle them, read the docs \
                    on errors: https://developers.asana.com/docs/errors";

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Refusal {
    /// No bearer token, or a wrong one.
    Unauthenticated,
    /// No such path or method.
    NoRoute,
    /// No such object; the field or the kind, and the id.
    Unknown { what: &'static str, gid: String },
    /// The request is not as documented; the text says where.
    Invalid(String),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::NoRoute | Self::Unknown { .. } => StatusCode::NOT_FOUND,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Unauthenticated => "Not Authorized".to_owned(),
            Self::NoRoute => "No matching route for request".to_owned(),
            Self::Unknown { what, gid } => format!("{what}: Unknown object: {gid}"),
            Self::Invalid(message) => message.clone(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> axum::response::Response {
        let body = match self {
            // The one error documented without help.
            Self::Unauthenticated => json!({ "errors": [{ "message": self.message() }] }),
            _ => json!({ "errors": [{ "message": self.message(), "help": HELP }] }),
        };
        json_response(self.status(), &body)
    }
}

/// The body of a 429.
pub(super) fn rate_limit() -> Value {
    let message = "You've made too many requests and hit a rate limit. \
                   Please retry after the given amount of time.";
    json!({ "errors": [{ "message": message }] })
}

/// The body of a 5xx; the phrase is what Asana's support would ask for.
pub(super) fn server_error() -> Value {
    json!({ "errors": [{ "message": "Server Error", "phrase": "6 sad squid snuggle softly" }] })
}
