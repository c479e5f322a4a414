//! A delivery as it came, and how it is read: who sent it, what its body says. Pure work on bytes,
//! which for a large body is done on a thread of its own.

use std::sync::Arc;

use axum::http::request::Parts;
use bytes::Bytes;
use serde_json::Value;
use tombolo_core::json;
use tombolo_core::ports::intake::Hook;
use tombolo_core::secret::Secret;

use crate::dedupe::{Delivered, delivery_key};
use crate::problem::Problem;
use crate::verify::{Refusal, Required, Signed, Verified, check_head, resolve, verify};

/// Bodies above this are read on a thread of their own, bytes: hashing and parsing them takes
/// milliseconds, in which the serving thread would answer nobody else.
const LARGE_BODY: usize = 256 * 1024;

/// A request to a webhook, complete.
pub(crate) struct Delivery {
    pub hook: Arc<Hook>,
    pub parts: Parts,
    pub raw: Bytes,
    /// The address as the sender calls it, without path and query.
    pub public_url: String,
}

/// What verifies it, and when.
pub(crate) struct Seal {
    pub secrets: Vec<Secret>,
    pub now_ms: i64,
}

/// A delivery whose sender is verified and whose body is read.
pub(crate) struct Read {
    pub delivery: Delivery,
    pub body: Value,
    pub verified: Option<Verified>,
    /// See [`delivery_key`].
    pub key: Option<String>,
}

/// What a trigger asks of its senders; nothing if anybody may send.
fn required(hook: &Hook) -> Result<Option<Required<'_>>, Problem> {
    resolve(&hook.webhook.verify).map_err(|_| Problem::refused(&Refusal::UnusableScheme))
}

/// Refuses by its headers alone what would be refused with any body: a request without a signature
/// where one is asked for, mostly. So nothing is held for a sender that does not even claim to be
/// the right one.
pub(crate) fn check(hook: &Hook, parts: &Parts) -> Result<(), Problem> {
    let Some(required) = required(hook)? else {
        return Ok(());
    };
    check_head(required.scheme, &parts.headers).map_err(|refusal| Problem::refused(&refusal))
}

impl Delivery {
    /// What its trigger asks of the sender; nothing if anybody may send.
    pub fn required(&self) -> Result<Option<Required<'_>>, Problem> {
        required(&self.hook)
    }

    /// Verifies, then parses. Fails closed: a trigger that is not open needs a good signature.
    pub async fn read(self, seal: Seal) -> Result<Read, Problem> {
        if self.raw.len() <= LARGE_BODY {
            return self.read_here(&seal);
        }
        match tokio::task::spawn_blocking(move || self.read_here(&seal)).await {
            Ok(read) => read,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Problem::stopping()),
            },
        }
    }

    fn read_here(self, seal: &Seal) -> Result<Read, Problem> {
        let required = self.required()?;
        let verified = required.map(|required| self.verify(required, seal)).transpose()?;
        let body = if self.raw.is_empty() {
            Value::Null
        } else {
            json::parse(&self.raw).map_err(|error| Problem::invalid_json(&error))?
        };
        let delivered = Delivered {
            required,
            verified: verified.as_ref(),
            headers: &self.parts.headers,
            body: &body,
            raw: &self.raw,
        };
        let key = delivery_key(&self.hook.webhook, &delivered)
            .map_err(|refusal| Problem::refused(&refusal))?;
        Ok(Read { delivery: self, body, verified, key })
    }

    fn verify(&self, required: Required<'_>, seal: &Seal) -> Result<Verified, Problem> {
        let uri = &self.parts.uri;
        let path = uri.path_and_query().map_or(uri.path(), |both| both.as_str());
        let url = format!("{}{path}", self.public_url);
        let signed = Signed {
            method: &self.parts.method,
            url: &url,
            path,
            headers: &self.parts.headers,
            body: &self.raw,
        };
        verify(required.scheme, &seal.secrets, &signed, seal.now_ms)
            .map_err(|refusal| Problem::refused(&refusal))
    }
}
