//! The one error type of the API: a problem as RFC 9457 has it.
//!
//! Owns how an error looks to a caller. Never shows what only the log should have.

mod from;
mod kind;
mod repair;

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

pub use kind::Kind;

/// The media type of a problem.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was not done: `application/problem+json` (RFC 9457) with `type`, `title`,
/// `status`, `detail`, `instance`, `correlation_id`, and members of its own by type.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: Kind,
    detail: String,
    members: Vec<(&'static str, Value)>,
    retry_after: Option<Duration>,
    cause: Option<String>,
}

impl Problem {
    /// A problem with a sentence about this occurrence.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), members: Vec::new(), retry_after: None, cause: None }
    }

    /// The same with a member of its own, see RFC 9457 section 3.2.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.members.push((name, value.into()));
        self
    }

    /// The same with `Retry-After`, in whole seconds.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Our side's failure: the cause goes to the log, the caller gets the correlation id.
    pub fn internal(cause: impl Into<String>) -> Self {
        let detail = "The request could not be done; nothing is known to be wrong with it.";
        Self { cause: Some(cause.into()), ..Self::new(Kind::Internal, detail) }
    }

    /// The database cannot be reached: why goes to the log.
    pub(crate) fn unreachable(cause: impl Into<String>) -> Self {
        let detail = "The database cannot be reached at this moment.";
        Self { cause: Some(cause.into()), ..Self::new(Kind::StoreUnreachable, detail) }
    }

    /// Its type.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What happened this time.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// What the log should have of it.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// `instance` and `correlation_id` are known to the outermost layer only.
    pub(crate) fn body(&self, instance: Option<&str>, correlation_id: Option<&str>) -> Value {
        let mut body = Map::new();
        body.insert("type".to_owned(), type_uri(self.kind).into());
        body.insert("title".to_owned(), self.kind.title().into());
        body.insert("status".to_owned(), self.kind.status().as_u16().into());
        body.insert("detail".to_owned(), self.detail.as_str().into());
        for (name, value) in [("instance", instance), ("correlation_id", correlation_id)] {
            if let Some(value) = value {
                body.insert(name.to_owned(), value.into());
            }
        }
        for (name, value) in &self.members {
            body.insert((*name).to_owned(), value.clone());
        }
        Value::Object(body)
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if self.kind == Kind::Unauthorized {
            let challenge = HeaderValue::from_static("Bearer realm=\"tombolo\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        headers
    }
}

/// Rounded up: who comes back a moment too early is refused again.
fn whole_seconds(wait: Duration) -> u64 {
    let more = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(more).max(1)
}

/// `type` is a relative reference: the same on every installation, and it leads to
/// `GET /problems/{code}`.
pub(crate) fn type_uri(kind: Kind) -> String {
    format!("/problems/{}", kind.code())
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = self.body(None, None).to_string();
        let mut response = (self.kind.status(), self.headers(), body).into_response();
        response.extensions_mut().insert(self);
        response
    }
}
