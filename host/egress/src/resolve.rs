//! Names to addresses. Passed in, so that a test can answer differently each time.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};

use async_trait::async_trait;
use tokio::sync::Semaphore;

/// Lookups under way at once in the whole process; more wait. The operating system's cannot be
/// called off: one that nobody waits for any more goes on, for up to half a minute, and keeps its
/// thread.
const MAX_LOOKUPS: usize = 64;

static LOOKUPS: Semaphore = Semaphore::const_new(MAX_LOOKUPS);

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
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let host = host.to_owned();
        let look_up = move || {
            let found = (host.as_str(), 0).to_socket_addrs()?;
            Ok(found.map(|address| address.ip()).collect())
        };
        bounded(&LOOKUPS, look_up).await
    }
}

/// Runs `work` on a thread where it may block. The work itself holds its place in `gate`: it is not
/// free before the work has ended, even if nobody waits for it any more.
async fn bounded<T: Send + 'static>(
    gate: &'static Semaphore,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let place = gate.acquire().await.map_err(io::Error::other)?;
    let work = move || {
        let _place = place;
        work()
    };
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_lookup_that_was_given_up_still_counts() {
        static GATE: Semaphore = Semaphore::const_new(1);
        let (answer, asked) = mpsc::sync_channel::<()>(0);
        let mut first = Box::pin(bounded(&GATE, move || asked.recv().map_err(io::Error::other)));
        assert!(first.as_mut().now_or_never().is_none(), "nobody has answered");
        drop(first);

        let mut second = Box::pin(bounded(&GATE, || Ok("second")));
        assert!(second.as_mut().now_or_never().is_none(), "the first is still under way");
        answer.send(()).unwrap();
        assert_eq!(second.await.unwrap(), "second");
    }

    #[tokio::test]
    async fn the_system_knows_this_machine() {
        let found = SystemResolver.resolve("localhost").await.unwrap();
        assert!(found.iter().all(IpAddr::is_loopback) && !found.is_empty(), "{found:?}");
    }
}
