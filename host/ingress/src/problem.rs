//! What a sender is told when its request is not taken: problem+json (RFC 9457).

use std::time::Duration;

use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use tombolo_core::error::ErrorClass;
use tombolo_core::json::InvalidJson;
use tombolo_core::ports::sandbox::ExpressionError;
use tombolo_core::ports::store::StoreError;
use tombolo_core::quota::OverQuota;

use crate::expression::Expression;
use crate::verify::Refusal;

/// How long a sender should wait when the host is busy, and when its disk is full; seconds.
const RETRY_BUSY_S: u64 = 1;
const RETRY_FULL_S: u64 = 30;

/// The same when its tenant has stored all that it may: bytes are counted as often.
const RETRY_FULL_QUOTA: Duration = Duration::from_secs(60);

/// A refusal of a request.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: String,
    title: &'static str,
    detail: String,
    retry_after_s: Option<u64>,
    more: Map<String, Value>,
}

impl Problem {
    pub fn new(
        status: StatusCode,
        code: &str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        let (code, detail) = (code.to_owned(), detail.into());
        Self { status, code, title, detail, retry_after_s: None, more: Map::new() }
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.more.insert(key.to_owned(), value.into());
        self
    }

    fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Nobody listens there.
    pub fn no_hook(path: &str) -> Self {
        let detail = format!("no live workflow of this tenant has a webhook at `{path}`");
        Self::new(StatusCode::NOT_FOUND, "no-such-hook", "No such webhook", detail)
    }

    /// Somebody looks at a webhook in a browser, mostly.
    pub fn wrong_method(method: &Method) -> Self {
        let detail = format!("a webhook takes POST, not {method}");
        let title = "The address exists, the method does not";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", title, detail)
    }

    pub fn too_large(limit: usize) -> Self {
        let detail =
            format!("the body is larger than {limit} bytes (limit server.body_limit_bytes)");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large", detail)
            .with("limit_bytes", limit)
    }

    /// The bodies of all deliveries together are too much, whatever the size of this one.
    pub fn too_many_bodies(limit: usize) -> Self {
        let detail = format!(
            "the bodies of all requests in progress would take more than {limit} bytes (limit \
             max_bodies_in_flight); send it again"
        );
        let title = "Too much at once";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-bodies", title, detail)
            .with("limit_bytes", limit)
            .retry_after(RETRY_BUSY_S)
    }

    /// The tenant is over a quota. Whatever it is, the sender is told to come back: one that is told
    /// that it may not would give up, or turn the webhook off.
    pub fn over_quota(over: &OverQuota) -> Self {
        Self::quota_used_up(over, over.to_string())
            .with("quota", over.quota.name())
            .with("limit", over.limit)
            .with("current", over.current)
    }

    /// The same for a sender who is not verified, and learns nothing about the tenant.
    pub fn over_some_quota(over: &OverQuota) -> Self {
        Self::quota_used_up(over, "the tenant takes no more at this moment".to_owned())
    }

    fn quota_used_up(over: &OverQuota, detail: String) -> Self {
        let wait = over.retry_after.unwrap_or(RETRY_FULL_QUOTA);
        let more = u64::from(wait.subsec_nanos() > 0);
        let title = "A quota of the tenant is used up";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "quota-used-up", title, detail)
            .retry_after(wait.as_secs().saturating_add(more).max(1))
    }

    pub fn broken_body(reason: String) -> Self {
        let detail = format!("the body broke off: {reason}");
        Self::new(StatusCode::BAD_REQUEST, "body-broken", "The body broke off", detail)
    }

    pub fn body_timeout(limit: Duration) -> Self {
        let limit_s = limit.as_secs();
        let detail = format!("the body was not complete within {limit_s} s (limit body_timeout)");
        let title = "The body did not arrive in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, "body-timeout", title, detail)
    }

    /// The signature is not good. One status for all, whatever is wrong.
    pub fn refused(refusal: &Refusal) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            refusal.code(),
            "The sender is not verified",
            refusal.to_string(),
        )
    }

    pub fn invalid_json(error: &InvalidJson) -> Self {
        let problem = Self::new(
            StatusCode::BAD_REQUEST,
            error.code(),
            "The body is not acceptable JSON",
            error.to_string(),
        );
        match error {
            InvalidJson::Syntax { line, column, .. }
            | InvalidJson::DuplicateKey { line, column, .. } => {
                problem.with("line", *line).with("column", *column)
            }
            InvalidJson::NotUtf8 { offset } => problem.with("offset", *offset),
            InvalidJson::TooDeep => problem,
        }
    }

    /// The trigger's own expression failed on this body.
    pub fn expression(one: Expression<'_>, message: &str) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "trigger-expression-failed",
            "The trigger cannot read this body",
            told(one, message),
        )
    }

    /// An expression without a value. Only one that is itself at fault is the end of the delivery: a
    /// sender gives up after a 422, and sends again after a 503.
    pub fn unevaluated(one: Expression<'_>, error: &ExpressionError) -> Self {
        if error.class == ErrorClass::InvalidInput {
            return Self::expression(one, &error.message);
        }
        tracing::warn!(key = one.key, code = %error.code, %error, "a trigger was not evaluated");
        let detail = told(one, &format!("not evaluated: {error}; send it again"));
        let title = "Too much at once";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, &error.code, title, detail)
            .retry_after(RETRY_BUSY_S)
    }

    /// The process stops before the body was read.
    pub fn stopping() -> Self {
        let detail = "the server stops; send it again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "The server stops", detail)
            .retry_after(RETRY_BUSY_S)
    }

    pub fn from_store(error: StoreError) -> Self {
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        match error {
            StoreError::Busy { .. } => {
                Self::new(unavailable, "store-busy", "Too much at once", error.to_string())
                    .retry_after(RETRY_BUSY_S)
            }
            StoreError::Overloaded(_) => Self::new(
                unavailable,
                "evaluator-unavailable",
                "Too much at once",
                error.to_string(),
            )
            .retry_after(RETRY_BUSY_S),
            StoreError::Full => {
                Self::new(unavailable, "disk-full", "No space left", error.to_string())
                    .retry_after(RETRY_FULL_S)
            }
            StoreError::Unreachable(why) | StoreError::Unknown(why) => {
                tracing::error!(why, "an event could not be stored");
                let detail = "the event may not be stored; send it again";
                let title = "The database cannot be reached";
                Self::new(unavailable, "store-unreachable", title, detail).retry_after(RETRY_BUSY_S)
            }
            other => {
                tracing::error!(error = %other, "an event could not be stored");
                let detail = "the event was not stored; send it again";
                Self::new(unavailable, "store-failed", "The store failed", detail)
                    .retry_after(RETRY_BUSY_S)
            }
        }
    }
}

#[cfg(test)]
impl Problem {
    pub fn code(&self) -> &str {
        &self.code
    }

    pub fn detail(&self) -> &str {
        &self.detail
    }
}

fn told(one: Expression<'_>, message: &str) -> String {
    format!("`{}` of this webhook's trigger, `{}`: {message}", one.key, one.text)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": format!("/problems/{}", self.code),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Value::Object(fields) = &mut body {
            fields.extend(self.more);
        }
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
