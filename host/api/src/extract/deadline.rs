//! When an answer is due, for work that is to stop by itself before.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tokio::time::Instant;

/// When the answer is due: the outermost layer cuts off what takes longer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(pub Instant);

impl Deadline {
    /// What is left, less what it may take to write the answer.
    pub fn left(self, margin: Duration) -> Duration {
        self.0.saturating_duration_since(Instant::now()).saturating_sub(margin)
    }
}

impl<S: Sync> FromRequestParts<S> for Deadline {
    type Rejection = Infallible;

    /// The outermost layer has put it there.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or_else(|| Self(Instant::now())))
    }
}
