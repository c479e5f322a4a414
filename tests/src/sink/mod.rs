//! The sink: an HTTP server for benchmarks and tests that takes any call, answers `{"ok":true}` and
//! counts.
//!
//! It runs on a thread of its own, so that it takes the same from every test, and remembers a few
//! bytes a call at most. Never looks at a path but for `/_control`.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

mod server;
mod tally;

use tally::Tally;
pub use tally::{Arrival, MAX_ARRIVALS, MAX_REMEMBERED, Recording, SinkCounts};

/// How a sink behaves.
#[derive(Debug, Clone, Copy)]
pub struct SinkOptions {
    /// Where it listens; port 0 takes any free port.
    pub address: SocketAddr,
    /// How long each answer takes; zero answers at once.
    pub delay: Duration,
    /// What is kept of each call.
    pub recording: Recording,
}

impl Default for SinkOptions {
    /// Loopback, any free port, at once, duplicates counted.
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            delay: Duration::ZERO,
            recording: Recording::Duplicates,
        }
    }
}

/// Why a sink did not start.
#[derive(Debug, thiserror::Error)]
#[error("the sink cannot listen at {address}: choose a free port, or port 0")]
pub struct SinkError {
    address: SocketAddr,
    source: std::io::Error,
}

/// The calls that were waited for did not come.
#[derive(Debug, thiserror::Error)]
#[error("the sink waited {limit:?} for {wanted} calls, and got {got}")]
pub struct SinkWaitError {
    limit: Duration,
    wanted: u64,
    got: u64,
}

/// A running sink; dropping it stops it.
pub struct Sink {
    address: SocketAddr,
    tally: Arc<Tally>,
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Sink {
    /// Starts a sink. Needs no runtime.
    ///
    /// # Errors
    /// If the address is taken.
    pub fn start(options: SinkOptions) -> Result<Self, SinkError> {
        let failed = |source| SinkError { address: options.address, source };
        let listener = TcpListener::bind(options.address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let tally = Arc::new(Tally::new(options.recording));
        let stop = CancellationToken::new();
        let serving = server::run(listener, Arc::clone(&tally), options.delay, stop.clone());
        let thread = std::thread::Builder::new()
            .name("sink".to_owned())
            .spawn(move || server::block_on(serving))
            .map_err(failed)?;
        Ok(Self { address, tally, stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://<address>`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The figures so far.
    pub fn counts(&self) -> SinkCounts {
        self.tally.counts()
    }

    /// When each call came, in the order of arrival; empty unless arrivals are recorded.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.tally.arrivals()
    }

    /// Waits until this many calls have come.
    ///
    /// # Errors
    /// After `limit`.
    pub async fn wait_for(&self, calls: u64, limit: Duration) -> Result<SinkCounts, SinkWaitError> {
        tokio::time::timeout(limit, self.tally.until(calls)).await.map_err(|_| SinkWaitError {
            limit,
            wanted: calls,
            got: self.counts().calls,
        })
    }

    /// Forgets all calls.
    pub fn reset(&self) {
        self.tally.reset();
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A sink that panicked has been seen to be dead by whoever called it.
            let _ = thread.join();
        }
    }
}
