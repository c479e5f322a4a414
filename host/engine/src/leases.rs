//! The leases this process holds, and their renewal in one batched write.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::Lease;

use crate::{Inner, cancels};

/// A lease is renewed this often within its time.
const RENEWALS_PER_LEASE: u32 = 3;

/// Signals to the driver of one run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signals {
    /// Somebody asked for the end of the run.
    pub cancel: CancellationToken,
    /// The lease is somebody else's: write nothing more.
    pub lost: CancellationToken,
    /// Something came for a step from outside.
    pub news: Arc<Notify>,
}

/// The runs this process works on. A run that is claimed again is another lease: its epoch tells
/// the two apart.
#[derive(Default)]
pub(crate) struct Leases {
    held: Mutex<HashMap<RunId, Entry>>,
    /// How often a driver may have been told something that was not here.
    missed: AtomicU64,
}

struct Entry {
    lease: Lease,
    signals: Signals,
    /// False for a run that is about to be accepted: there is no lease to renew yet.
    stored: bool,
    /// Set for a run that may be what ended its workers, until it has made progress.
    suspected: Option<Instant>,
}

/// Suspects that are under way at the same time, unless they take their time.
const SUSPECTS_AT_ONCE: usize = 1;

impl Leases {
    /// Registers a run for as long as the returned guard lives.
    pub fn hold(inner: &Arc<Inner>, lease: &Lease) -> Held {
        let held = Self::reserve(inner, lease);
        held.mark_stored();
        held
    }

    /// Registers a run that is about to be stored with this lease.
    pub fn reserve(inner: &Arc<Inner>, lease: &Lease) -> Held {
        let signals = Signals::default();
        let entry = Entry {
            lease: lease.clone(),
            signals: signals.clone(),
            stored: false,
            suspected: None,
        };
        if let Some(before) = inner.leases.lock().insert(lease.run, entry) {
            before.signals.lost.cancel();
        }
        Held { inner: inner.clone(), lease: lease.clone(), signals }
    }

    /// Tells the driver of a run to end it, if the run is worked on here.
    pub fn cancel(&self, run: RunId) {
        if let Some(entry) = self.lock().get(&run) {
            entry.signals.cancel.cancel();
        }
    }

    /// Tells the driver of a run that something came for it. False if the run is not worked on here.
    pub fn tell_news(&self, run: RunId) -> bool {
        let told = self.lock().get(&run).inspect(|entry| entry.signals.news.notify_one()).is_some();
        if !told {
            self.note_missed();
        }
        told
    }

    /// Something became durable of which runs have to be told that may not be here yet.
    pub fn note_missed(&self) {
        self.missed.fetch_add(1, Ordering::SeqCst);
    }

    /// Grows when something was told to nobody. What was claimed before and is held after such a
    /// change has to look again.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::SeqCst)
    }

    /// How many more suspects may be worked on. One that has gone well for `apart` counts no more.
    pub fn room_for_suspects(&self, apart: Duration) -> usize {
        let held = self.lock();
        let counts = |entry: &&Entry| entry.suspected.is_some_and(|at| at.elapsed() < apart);
        SUSPECTS_AT_ONCE.saturating_sub(held.values().filter(counts).count())
    }

    /// The run has made progress. True if it was a suspect.
    pub fn clear(&self, run: RunId) -> bool {
        self.lock().get_mut(&run).and_then(|entry| entry.suspected.take()).is_some()
    }

    /// True if the run is worked on here.
    pub fn works_on(&self, run: RunId) -> bool {
        self.lock().contains_key(&run)
    }

    /// The runs that are worked on here.
    pub fn runs(&self) -> Vec<RunId> {
        self.lock().keys().copied().collect()
    }

    fn all(&self) -> Vec<Lease> {
        self.lock().values().filter(|entry| entry.stored).map(|entry| entry.lease.clone()).collect()
    }

    fn lose(&self, lost: &Lease) {
        if let Some(entry) = self.lock().get(&lost.run)
            && entry.lease.epoch == lost.epoch
        {
            entry.signals.lost.cancel();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Entry>> {
        // Nothing panics while holding it; a poisoned map is still the map.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run that is worked on here.
pub(crate) struct Held {
    inner: Arc<Inner>,
    lease: Lease,
    pub signals: Signals,
}

impl Held {
    /// The lease is in the store: from now on it is renewed.
    pub fn mark_stored(&self) {
        self.change(|entry| entry.stored = true);
    }

    /// The run may be what ended its workers.
    pub fn suspect(&self) {
        self.change(|entry| entry.suspected = Some(Instant::now()));
    }

    fn change(&self, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.inner.leases.lock().get_mut(&self.lease.run)
            && entry.lease.epoch == self.lease.epoch
        {
            change(entry);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.inner.leases.lock();
        if held.get(&self.lease.run).is_some_and(|entry| entry.lease.epoch == self.lease.epoch)
            && let Some(entry) = held.remove(&self.lease.run)
            && entry.suspected.is_some()
        {
            // There is room for the next one.
            self.inner.wake.notify_one();
        }
    }
}

/// Renews all leases until the engine stops for good.
pub(crate) async fn renew(inner: Arc<Inner>) {
    let lease = inner.settings.lease();
    let mut renewed_at = Instant::now();
    loop {
        tokio::select! {
            () = tokio::time::sleep(lease / RENEWALS_PER_LEASE) => {}
            () = inner.abandon.cancelled() => return,
        }
        let leases = inner.leases.all();
        let asked_at = Instant::now();
        if leases.is_empty() {
            renewed_at = asked_at;
            continue;
        }
        let until = inner.ports.clock.now().plus(lease);
        // An answer that comes after the end of the leases is none.
        let left = lease.saturating_sub(renewed_at.elapsed());
        let renewed = tokio::time::timeout(left, inner.ports.store.renew(&leases, until));
        match renewed.await {
            Ok(Ok(lost)) => {
                renewed_at = asked_at;
                leases
                    .iter()
                    .filter(|lease| lost.contains(&lease.run))
                    .for_each(|lease| inner.leases.lose(lease));
            }
            Ok(Err(error)) => tracing::error!(%error, "leases could not be renewed"),
            Err(_) => tracing::error!("leases could not be renewed in their time"),
        }
        // By now somebody else may work on them: what they still call here would be called twice.
        // A process that has the store to itself loses its runs to nobody.
        if inner.settings.shared && renewed_at.elapsed() >= lease {
            tracing::error!(runs = leases.len(), "giving up runs whose leases have ended");
            leases.iter().for_each(|lease| inner.leases.lose(lease));
        }
        // A wish that was not told when it came.
        cancels::tell(&inner).await;
    }
}
