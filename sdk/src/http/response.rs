//! Reading one response, and turning one that is no success into an error.

use std::time::{Duration, SystemTime};

use ::http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{rate_limit, retry_after};
use crate::error::{ErrorClass, NodeError};

/// How many characters of a body that is not JSON go into an error's details.
const EXCERPT_CHARACTERS: usize = 200;

/// Largest JSON error body that goes into an error's details whole, in bytes.
const MAX_ERROR_BODY_BYTES: usize = 8 * 1024;

/// A response as the transport hands it over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Incoming {
    /// The status.
    pub status: u16,
    /// In the order they came.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// A response, whatever its status.
#[derive(Debug, Clone)]
pub struct Response {
    method: Method,
    place: String,
    incoming: Incoming,
}

impl Response {
    pub(super) fn new(method: Method, place: String, incoming: Incoming) -> Self {
        Self { method, place, incoming }
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.incoming.status
    }

    /// True for 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.incoming.status)
    }

    /// The first header of this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All headers, in the order they came.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.incoming.headers.iter();
        pairs.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The body.
    pub fn bytes(&self) -> &[u8] {
        &self.incoming.body
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.incoming.body).into_owned()
    }

    /// The body read as JSON. One that does not fit is `upstream-malformed-json`, with its beginning
    /// in the details.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, NodeError> {
        serde_json::from_slice(&self.incoming.body).map_err(|error| {
            NodeError::permanent(
                "upstream-malformed-json",
                format!(
                    "the response to {} {} is not the expected JSON: {error}",
                    self.method, self.place
                ),
            )
            .with_details(json!({ "status": self.incoming.status, "body": self.excerpt() }))
        })
    }

    /// The error that this status stands for, see [`ErrorClass::of_status`]. Its code is `http-404`
    /// and the like, its details hold the status and the body, and `Retry-After` is understood, or
    /// where there is none, after a 429 or a 503, what says when the limit of calls is over.
    pub fn into_error(self) -> NodeError {
        let status = self.incoming.status;
        let reason = StatusCode::from_u16(status)
            .ok()
            .and_then(|code| code.canonical_reason())
            .unwrap_or("unknown status");
        let error = NodeError::new(
            ErrorClass::of_status(status),
            format!("http-{status}"),
            format!("{} {} answered {status} {reason}", self.method, self.place),
        )
        .with_details(json!({ "status": status, "body": self.error_body() }));
        match self.wait(now()) {
            Some(wait) => error.retry_after(wait),
            None => error,
        }
    }

    fn wait(&self, now: SystemTime) -> Option<Duration> {
        self.header("retry-after")
            .and_then(|header| retry_after::parse(header, now))
            .or_else(|| rate_limit::wait(self.incoming.status, |name| self.header(name), now))
    }

    fn error_body(&self) -> Value {
        let body = &self.incoming.body;
        Some(body)
            .filter(|body| body.len() <= MAX_ERROR_BODY_BYTES)
            .and_then(|body| serde_json::from_slice(body).ok())
            .unwrap_or_else(|| Value::String(self.excerpt()))
    }

    fn excerpt(&self) -> String {
        // No more bytes than that many characters can have.
        let end = self.incoming.body.len().min(EXCERPT_CHARACTERS * 4);
        String::from_utf8_lossy(&self.incoming.body[..end])
            .chars()
            .take(EXCERPT_CHARACTERS)
            .collect()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a plugin's clock is the one that the host passes in through WASI"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
        let headers =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let incoming = Incoming { status, headers, body: body.as_bytes().to_vec() };
        Response::new(Method::GET, "https://x.test/a".to_owned(), incoming)
    }

    #[test]
    fn a_rate_limit_says_how_long_to_wait() {
        let error =
            response(429, &[("Retry-After", "3")], r#"{"message":"slow down"}"#).into_error();
        assert_eq!(error.class, ErrorClass::RateLimited);
        assert_eq!(error.code, "http-429");
        assert_eq!(error.message, "GET https://x.test/a answered 429 Too Many Requests");
        assert_eq!(error.retry_after_ms, Some(3_000));
        assert_eq!(
            error.details.as_deref(),
            Some(&json!({"status": 429, "body": {"message": "slow down"}}))
        );
    }

    #[test]
    fn retry_after_comes_before_what_limits_say() {
        let limit = ("RateLimit", r#""default";r=0;t=30"#);
        let wait =
            |headers: &[(&str, &str)]| response(429, headers, "").into_error().retry_after_ms;
        assert_eq!(wait(&[limit]), Some(30_000));
        assert_eq!(wait(&[limit, ("Retry-After", "3")]), Some(3_000));
        assert_eq!(wait(&[limit, ("Retry-After", "soon")]), Some(30_000));
    }

    #[test]
    fn html_where_json_was_promised_is_shown_in_part() {
        let html = format!("<html>{}", "ä".repeat(5_000));
        let error = response(200, &[], &html).json::<Value>().expect_err("is not JSON");
        assert_eq!(error.class, ErrorClass::Permanent);
        assert_eq!(error.code, "upstream-malformed-json");
        let details = error.details.expect("has details");
        let excerpt = details["body"].as_str().expect("is text");
        assert!(excerpt.starts_with("<html>ä"));
        assert_eq!(excerpt.chars().count(), EXCERPT_CHARACTERS);
    }

    #[test]
    fn an_empty_body_is_malformed_too() {
        let error = response(200, &[], "").json::<Value>().expect_err("is empty");
        assert_eq!(error.code, "upstream-malformed-json");
    }
}
