//! The handle of a running stand-in: where it is, what it was asked, what it shall do wrong, and its
//! end. Dropping the handle stops the stand-in.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;

use super::answer::Shared;
use super::call::Log;
use super::idempotency::FirstAnswers;
use super::misbehaviour::{Queue, below};
use super::server::Server;
use super::{Call, Provider, Rule, WAIT_LIMIT};

/// The address that means: loopback, any free port.
const ANY_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Why a stand-in did not start.
#[derive(Debug, thiserror::Error)]
#[error("the stand-in of {name} cannot listen at {address}: choose a free port, or port 0")]
pub struct StartError {
    name: &'static str,
    address: SocketAddr,
    source: std::io::Error,
}

/// The calls that were waited for did not come.
#[derive(Debug, thiserror::Error)]
#[error("the stand-in of {name} waited {WAIT_LIMIT:?} in vain; it was called: {calls}")]
pub struct WaitError {
    name: &'static str,
    calls: String,
}

/// A running stand-in of the provider `P`.
pub struct Standin<P> {
    provider: Arc<P>,
    address: SocketAddr,
    server: Server,
}

impl<P: Provider> Standin<P> {
    /// Starts on loopback, at any free port.
    pub async fn start(provider: P) -> Result<Self, StartError> {
        Self::start_at(provider, ANY_PORT).await
    }

    /// Starts at this address; port 0 takes any free port.
    pub async fn start_at(provider: P, address: SocketAddr) -> Result<Self, StartError> {
        let name = provider.name();
        let failed = |source| StartError { name, address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;

        let provider = Arc::new(provider);
        let server = Server::new(Arc::new(Shared {
            router: Arc::clone(&provider).router(),
            provider: Arc::clone(&provider) as Arc<dyn Provider>,
            log: Log::default(),
            queue: Mutex::new(Queue::default()),
            first_answers: FirstAnswers::default(),
            honour_idempotency_keys: AtomicBool::new(false),
        }));
        server.open.spawn(server.clone().run(listener));
        Ok(Self { provider, address, server })
    }

    /// The provider's own part, to look at or add objects.
    pub fn provider(&self) -> &P {
        &self.provider
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://<address>`, without the provider's base path.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `http://<address><base path>`: what a connection's base URL would be.
    pub fn base_url(&self) -> String {
        format!("http://{}{}", self.address, self.provider.base_path())
    }

    /// Adds a command to the queue: a [`Misbehaviour`](super::Misbehaviour) for the next call, or a
    /// [`Rule`] for calls of one kind.
    pub fn misbehave(&self, rule: impl Into<Rule>) {
        self.server.shared.queue().push(rule.into());
    }

    /// How many calls are still to go wrong on command.
    pub fn misbehaviours_left(&self) -> u64 {
        self.server.shared.queue().left()
    }

    /// From now on, whether a repeated `Idempotency-Key` gets the first answer, the work being
    /// performed once. Off at the start: neither HubSpot nor Asana knows such keys.
    pub fn honour_idempotency_keys(&self, honour: bool) {
        self.server.shared.honour_idempotency_keys.store(honour, Ordering::Relaxed);
    }

    /// All calls, in the order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.server.shared.log.calls()
    }

    /// How many calls of this method came at or below this path, which may leave out the base path.
    pub fn count(&self, method: &str, path_prefix: &str) -> usize {
        let base = self.provider.base_path();
        self.server
            .shared
            .log
            .count(|call| call.method == method && below(base, path_prefix, &call.path))
    }

    /// How many calls changed something.
    pub fn performed(&self) -> usize {
        self.server.shared.log.count(|call| call.performed)
    }

    /// How many idempotency keys saw their work performed more than once.
    pub fn duplicates(&self) -> usize {
        self.server.shared.log.duplicates()
    }

    /// Waits until the calls are as wanted and returns them; looks again at each arrival, each
    /// performed work and each answer.
    ///
    /// # Errors
    /// After [`WAIT_LIMIT`], with what did come.
    pub async fn wait_for(
        &self,
        condition: impl Fn(&[Call]) -> bool,
    ) -> Result<Vec<Call>, WaitError> {
        let log = &self.server.shared.log;
        tokio::time::timeout(WAIT_LIMIT, log.until(condition))
            .await
            .map_err(|_| WaitError { name: self.provider.name(), calls: summary(&log.calls()) })
    }

    /// Back to the start: no calls, no commands, no first answers, the seeded objects.
    pub fn reset(&self) {
        self.server.shared.reset();
    }

    /// Stops accepting, drops every connection, and returns when all have ended.
    pub async fn shutdown(self) {
        self.server.stop.cancel();
        self.server.open.close();
        self.server.open.wait().await;
    }
}

impl<P> Drop for Standin<P> {
    fn drop(&mut self) {
        self.server.stop.cancel();
    }
}

impl<P: Provider> std::fmt::Debug for Standin<P> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Standin")
            .field("provider", &self.provider.name())
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

fn summary(calls: &[Call]) -> String {
    if calls.is_empty() {
        return "never".to_owned();
    }
    let lines: Vec<String> = calls
        .iter()
        .map(|call| {
            let status = call.status.map_or("no answer".to_owned(), |status| status.to_string());
            format!("{} {} ({status})", call.method, call.path)
        })
        .collect();
    lines.join(", ")
}
