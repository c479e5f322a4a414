//! The port of checkpoints: where signed words about the record of what people did are kept, beside
//! the store that they are about.

use async_trait::async_trait;

use crate::audit::SignedCheckpoint;
use crate::clock::Timestamp;

/// A place for checkpoints.
#[async_trait]
pub trait Checkpoints: Send + Sync {
    /// Keeps one. When this returns, it is durable there. The same one may come twice.
    ///
    /// # Errors
    /// Why it was not kept, for the log. It comes again later, or a newer one does.
    async fn keep(&self, signed: &SignedCheckpoint, at: Timestamp) -> Result<(), String>;
}
