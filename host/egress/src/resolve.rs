//! Names to addresses. Passed in, so that a test can answer differently each time.

use std::io;
use std::net::IpAddr;

use async_trait::async_trait;

/// Looks names up. Asked once for each new connection, never for an IP address.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// All addresses of `host`, best first.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The operating system's resolver, with its search order and its hosts file.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    #[expect(clippy::disallowed_methods, reason = "the guard checks every address that comes back")]
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((host, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}
