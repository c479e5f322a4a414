//! What the guard keeps in memory, and what is done for it in the background.
//!
//! Nothing here is on the way of a request but a look into memory: uses of tokens are written, and
//! what tenants use is counted, by [`Gate::run`].

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use tombolo_core::clock::Clock;
use tombolo_core::ports::documents::Documents;
use tombolo_core::ports::store::{Store, StoreError};
use tombolo_core::quota::{Allowances, Counts};
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

/// How often stored bytes are counted. A tenant may go over by what is stored during this time.
const COUNT_STORAGE_EVERY: Duration = Duration::from_secs(60);

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
    /// If the store fails; they are written the next time, unless there are later ones.
    pub async fn write_uses(&self) -> Result<(), StoreError> {
        let uses = self.uses.take();
        let written = self.store.touch_tokens(uses.clone()).await;
        if written.is_err() {
            self.uses.put_back(uses);
        }
        written
    }

    /// Reads the quotas, and counts the runs of those tenants that have a bound for them.
    ///
    /// # Errors
    /// If the store fails; what was known holds on.
    pub async fn count(&self) -> Result<(), StoreError> {
        let quotas = self.store.quotas().await?;
        let bounded: Vec<_> = quotas
            .iter()
            .filter_map(|(tenant, quotas)| Some((*tenant, quotas.concurrent_runs?)))
            .collect();
        self.allowances.counting();
        let open_runs = match bounded.as_slice() {
            [] => None,
            of => Some(self.store.open_runs(of).await?),
        };
        self.allowances.counted(&Counts { quotas, open_runs });
        Ok(())
    }

    /// Counts the stored bytes of those tenants that have a bound for them.
    ///
    /// # Errors
    /// If the store fails; what was known holds on.
    pub async fn count_storage(&self) -> Result<(), StoreError> {
        let of = self.allowances.with_bounded_storage();
        if !of.is_empty() {
            self.allowances.stored(&self.store.storage_bytes(&of).await?);
        }
        Ok(())
    }

    /// Does it all until `stopping`, and writes once more then. What fails is tried again the next
    /// time. Nothing that is slow holds up anything else.
    pub async fn run(self: Arc<Self>, stopping: CancellationToken) {
        tokio::join!(
            self.keep_writing(&stopping),
            self.keep_counting(&stopping),
            self.keep_counting_storage(&stopping),
            self.keep_keys(&stopping)
        );
        self.used().await;
    }

    async fn keep_writing(&self, stopping: &CancellationToken) {
        let mut times = every(WRITE_USES_EVERY);
        while comes(&mut times, stopping).await {
            self.used().await;
        }
    }

    async fn keep_counting(&self, stopping: &CancellationToken) {
        let (mut times, mut passed) = (every(COUNT_RUNS_EVERY), 0_u32);
        while comes(&mut times, stopping).await {
            passed = passed.wrapping_add(1);
            if self.allowances.is_empty() && !passed.is_multiple_of(TIMES_PER_LOOK) {
                continue;
            }
            if let Err(error) = self.count().await {
                tracing::warn!(%error, "what tenants use was not counted");
            }
        }
    }

    /// At once for the first time: until then nobody is over.
    async fn keep_counting_storage(&self, stopping: &CancellationToken) {
        let mut times = every(COUNT_STORAGE_EVERY);
        times.reset_immediately();
        while comes(&mut times, stopping).await {
            if let Err(error) = self.count_storage().await {
                tracing::warn!(%error, "what tenants have stored was not counted");
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
}

/// Waits for the next time. False if there is none any more.
async fn comes(times: &mut Interval, stopping: &CancellationToken) -> bool {
    tokio::select! {
        () = stopping.cancelled() => false,
        _ = times.tick() => true,
    }
}

fn every(period: Duration) -> Interval {
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
