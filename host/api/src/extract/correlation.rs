//! The correlation id: the caller's if it is usable, else a new one. It is echoed in every answer.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tombolo_core::id::IdSource;

/// The header.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-correlation-id");

/// Longest id that is taken over, in characters.
const MAX_LENGTH: usize = 128;

/// Follows a request to the last call of the run it starts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Correlation(pub String);

impl Correlation {
    /// Takes the caller's id over if it is short and made of letters, digits and `.-_:`, so that it
    /// can stand in a log line, a header and a file name.
    pub fn of(headers: &HeaderMap, ids: &dyn IdSource) -> Self {
        let given = headers.get(HEADER).and_then(|value| value.to_str().ok()).filter(|text| {
            (1..=MAX_LENGTH).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b))
        });
        Self(given.map_or_else(|| ids.next().simple().to_string(), str::to_owned))
    }

    /// For the answer.
    pub fn value(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

impl<S: Sync> FromRequestParts<S> for Correlation {
    type Rejection = Infallible;

    /// The outermost layer has put it there.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}
