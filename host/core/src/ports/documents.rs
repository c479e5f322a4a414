//! The port of public documents that the host itself reads, at addresses that an operator has named.

use async_trait::async_trait;
use bytes::Bytes;
use http::Uri;

/// Reads documents.
#[async_trait]
pub trait Documents: Send + Sync {
    /// The body of what is there, within the reader's bounds of time and size. Follows no redirect.
    ///
    /// # Errors
    /// Why there is none, for the log: it names the host and no more of the address.
    async fn get(&self, uri: &Uri) -> Result<Bytes, String>;
}
