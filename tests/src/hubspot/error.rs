//! HubSpot's error answers, in the shapes its documentation and its client libraries' issue
//! trackers show.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::response::IntoResponse;
use http::StatusCode;
use serde_json::{Value, json};

use super::PORTAL_ID;
use crate::standin::json_response;

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Refusal {
    /// No bearer token, or a wrong one.
    Unauthenticated,
    /// No such object, or no such path.
    NotFound,
    /// The request is not as documented; the text says where.
    Invalid(String),
    /// Values that do not fit their properties.
    InvalidProperties(Vec<InvalidProperty>),
    /// A contact with this e-mail address is there already.
    ContactExists { id: u64 },
}

/// One value that does not fit its property.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct InvalidProperty {
    pub name: String,
    pub code: &'static str,
    pub message: String,
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Invalid(_) | Self::InvalidProperties(_) => StatusCode::BAD_REQUEST,
            Self::ContactExists { .. } => StatusCode::CONFLICT,
        }
    }

    fn body(&self) -> Value {
        match self {
            Self::Unauthenticated => body(
                "Authentication credentials not found. This API supports OAuth 2.0 \
                 authentication and you can find more details at \
                 https://developers.hubspot.com/docs/methods/auth/oauth-overview",
                "INVALID_AUTHENTICATION",
            ),
            Self::NotFound => body("resource not found", "OBJECT_NOT_FOUND"),
            Self::Invalid(message) => body(message, "VALIDATION_ERROR"),
            Self::InvalidProperties(invalid) => body(
                &format!("Property values were not valid: {}", details(invalid)),
                "VALIDATION_ERROR",
            ),
            Self::ContactExists { id } => {
                body(&format!("Contact already exists. Existing ID: {id}"), "CONFLICT")
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> axum::response::Response {
        json_response(self.status(), &self.body())
    }
}

/// The body of a 429.
pub(super) fn rate_limit() -> Value {
    let mut value = body("You have reached your ten_secondly_rolling limit.", "RATE_LIMITS");
    value["errorType"] = "RATE_LIMIT".into();
    value["policyName"] = "TEN_SECONDLY_ROLLING".into();
    value["groupName"] = format!("publicapi:private-apps:{PORTAL_ID}").into();
    value
}

/// The body of a 5xx.
pub(super) fn internal() -> Value {
    json!({
        "status": "error",
        "message": "internal error",
        "correlationId": correlation_id(),
    })
}

fn body(message: &str, category: &str) -> Value {
    json!({
        "status": "error",
        "message": message,
        "correlationId": correlation_id(),
        "category": category,
    })
}

/// HubSpot puts the list, as JSON, into the message itself.
fn details(invalid: &[InvalidProperty]) -> Value {
    invalid
        .iter()
        .map(|property| {
            json!({
                "isValid": false,
                "message": property.message,
                "error": property.code,
                "name": property.name,
                "localizedErrorMessage": property.message,
                "portalId": PORTAL_ID,
            })
        })
        .collect()
}

/// A UUID that nobody else gets; counted, not random, so that answers are the same each time.
fn correlation_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("5ca1ab1e-0000-4000-8000-{number:012x}")
}
