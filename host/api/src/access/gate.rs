//! What the guard keeps in memory, and what is done for it in the background.
//!
//! Nothing here is on the way of a request but a look into memory: uses of tokens are written, and
//! what tenants use is counted, by [`Gate::run`].

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use tombolo_core::clock::Clock;
use tombolo_core::ports::documents::Documents;
use tombolo_core::ports::store::{Store, StoreError};
use tombolo_core::quota::{Allowances, Counts, Quotas};
use tombolo_core::rate::Rate;

use super::known::Known;
use super::oidc::{Issuer, OidcSettings};
use super::rates::Rates;
use super::uses::Uses;

/// How often the uses of tokens are written: each token at most once in this time.
const WRITE_USES_EVERY: Duration = Duration::from_secs(60);

/// How often quotas are read and runs under way are counted. A tenant may go over its quota by what
/// all processes together let in during this time.
const COUNT_RUNS_EVERY: Duration = Duration::from_secs(5);

/// Every how many of these times it is looked whether somebody has a quota by now, while nobody has: a
/// process that has nothing to do asks its database less than once a second, in all.
const TIMES_PER_LOOK: u32 = 2;

/// Every how many of these times the stored bytes are counted, too: once a minute.
const TIMES_PER_STORAGE: u32 = 12;

/// How often the identity provider's keys are read anew.
const READ_KEYS_EVERY: Duration = Duration::from_secs(15 * 60);

/// Who may call, and how often. Each bound has a default and a documented problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessSettings {
    /// Requests a minute of one token or person; 0 for no bound. Problem `rate-limited`.
    pub requests_per_minute: u32,
    /// Requests that may come at once after a time of rest.
    pub burst: u32,
    /// The identity provider whose tokens are taken beside ours; None for none.
    pub oidc: Option<OidcSettings>,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self { requests_per_minute: 60_000, burst: 5_000, oidc: None }
    }
}

/// See the module.
pub struct Gate {
    store: Arc<dyn Store>,
    allowances: Arc<Allowances>,
    pub(crate) known: Known,
    pub(crate) uses: Uses,
    pub(crate) rates: Rates,
    pub(crate) issuer: Option<Issuer>,
}

/// What the gate works with.
pub struct GatePorts {
    /// Tokens, tenants and their quotas.
    pub store: Arc<dyn Store>,
    /// Where the identity provider's keys are read.
    pub documents: Arc<dyn Documents>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Shared with whoever else takes events in.
    pub allowances: Arc<Allowances>,
}

impl Gate {
    /// With nothing known yet.
    pub fn new(ports: GatePorts, settings: AccessSettings) -> Self {
        let GatePorts { store, documents, clock, allowances } = ports;
        let AccessSettings { requests_per_minute, burst, oidc } = settings;
        Self {
            store,
            allowances,
            known: Known::default(),
            uses: Uses::default(),
            rates: Rates::new(Rate::new(requests_per_minute, burst.max(1))),
            issuer: oidc.map(|settings| Issuer::new(settings, documents, clock)),
        }
    }

    /// What tenants may still use.
    pub fn allowances(&self) -> &Allowances {
        &self.allowances
    }

    /// Asks the store for this token the next time.
    pub(crate) fn forget(&self, hash: &[u8; 32]) {
        self.known.forget(hash);
    }

    /// Writes the uses of tokens since the last time.
    ///
    /// # Errors
    /// If the store fails; these uses are lost.
    pub async fn write_uses(&self) -> Result<(), StoreError> {
        self.store.touch_tokens(self.uses.take()).await
    }

    /// Reads the quotas and counts what tenants with one use. What no tenant has a bound for is not
    /// counted.
    ///
    /// # Errors
    /// If the store fails; what was known holds on.
    pub async fn count(&self, storage_too: bool) -> Result<(), StoreError> {
        let quotas = self.store.quotas().await?;
        let bounded = |has: fn(&Quotas) -> bool| quotas.iter().any(|(_, quotas)| has(quotas));
        self.allowances.counting();
        let open_runs = match bounded(|quotas| quotas.concurrent_runs.is_some()) {
            true => Some(self.store.open_runs().await?),
            false => None,
        };
        let storage_bytes = match storage_too && bounded(|quotas| quotas.storage_bytes.is_some()) {
            true => Some(self.store.storage_bytes().await?),
            false => None,
        };
        self.allowances.counted(&Counts { quotas, open_runs, storage_bytes });
        Ok(())
    }

    /// Does it all until `stopping`, and writes once more then. What fails is tried again the next
    /// time.
    pub async fn run(self: Arc<Self>, stopping: CancellationToken) {
        // A provider that is slow holds up nothing else.
        tokio::join!(self.keep_counting(&stopping), self.keep_keys(&stopping));
        self.used().await;
    }

    async fn keep_counting(&self, stopping: &CancellationToken) {
        let (mut uses, mut runs) = (every(WRITE_USES_EVERY), every(COUNT_RUNS_EVERY));
        let mut times = 0_u32;
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = uses.tick() => self.used().await,
                _ = runs.tick() => {
                    times = times.wrapping_add(1);
                    if !self.allowances.is_empty() || times.is_multiple_of(TIMES_PER_LOOK) {
                        self.counted(times.is_multiple_of(TIMES_PER_STORAGE)).await;
                    }
                }
            }
        }
    }

    async fn keep_keys(&self, stopping: &CancellationToken) {
        let read = async {
            loop {
                self.read_keys().await;
                tokio::time::sleep(READ_KEYS_EVERY).await;
            }
        };
        tokio::select! {
            () = stopping.cancelled() => {}
            () = read => {}
        }
    }

    /// Reads the identity provider's keys anew, if there is one.
    pub async fn read_keys(&self) {
        if let Some(issuer) = &self.issuer {
            issuer.refresh().await;
        }
    }

    async fn used(&self) {
        if let Err(error) = self.write_uses().await {
            tracing::warn!(%error, "when tokens were used last was not written");
        }
    }

    async fn counted(&self, storage_too: bool) {
        if let Err(error) = self.count(storage_too).await {
            tracing::warn!(%error, "what tenants use was not counted");
        }
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
