//! What the host answered, and what a test says it should have been.

use anyhow::{Context, ensure};
use reqwest::header::HeaderMap;
use serde_json::Value;

/// An answer with its whole body.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
}

impl Answer {
    pub(super) async fn of(response: reqwest::Response) -> anyhow::Result<Self> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, text: response.text().await? })
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// A header as text; empty if it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body, if the status is this one.
    ///
    /// # Errors
    /// If it is another, with the answer.
    pub fn expect(&self, status: u16) -> anyhow::Result<Value> {
        ensure!(self.status == status, "not {status} but {}: {}", self.status, self.text);
        Ok(self.json())
    }

    /// The body, if this is the problem with that code: status, media type, `type`, and words for
    /// people.
    ///
    /// # Errors
    /// If it is something else, with the answer.
    pub fn problem(&self, status: u16, code: &str) -> anyhow::Result<Value> {
        let body = self.expect(status)?;
        let kind = self.header("content-type");
        ensure!(kind == "application/problem+json", "a problem is sent as `{kind}`: {}", self.text);
        ensure!(body["type"] == format!("/problems/{code}"), "not `{code}`: {}", self.text);
        ensure!(body["status"] == status, "the body names another status: {}", self.text);
        for words in ["title", "detail"] {
            let said =
                body[words].as_str().with_context(|| format!("no `{words}`: {}", self.text))?;
            ensure!(!said.is_empty(), "`{words}` says nothing: {}", self.text);
        }
        Ok(body)
    }
}
