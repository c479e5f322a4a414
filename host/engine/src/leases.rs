//! The leases this process holds, and their renewal in one batched write.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::Lease;

use crate::Inner;

/// A lease is renewed this often within its time.
const RENEWALS_PER_LEASE: u32 = 3;

/// Signals to the driver of one run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signals {
    /// Somebody asked for the end of the run.
    pub cancel: CancellationToken,
    /// The lease is somebody else's: write nothing more.
    pub lost: CancellationToken,
}

/// The runs this process works on.
#[derive(Default)]
pub(crate) struct Leases(Mutex<HashMap<RunId, (Lease, Signals)>>);

impl Leases {
    /// Registers a run for as long as the returned guard lives.
    pub fn hold(this: &Arc<Inner>, lease: &Lease) -> Held {
        let signals = Signals::default();
        this.leases.lock().insert(lease.run, (lease.clone(), signals.clone()));
        Held { inner: this.clone(), run: lease.run, signals }
    }

    /// Tells the driver of a run to end it. False if the run is not worked on here.
    pub fn cancel(&self, run: RunId) -> bool {
        let held = self.lock();
        held.get(&run).inspect(|(_, signals)| signals.cancel.cancel()).is_some()
    }

    fn all(&self) -> Vec<Lease> {
        self.lock().values().map(|(lease, _)| lease.clone()).collect()
    }

    fn lose(&self, run: RunId) {
        if let Some((_, signals)) = self.lock().get(&run) {
            signals.lost.cancel();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, (Lease, Signals)>> {
        // Nothing panics while holding it; a poisoned map is still the map.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run that is worked on here.
pub(crate) struct Held {
    inner: Arc<Inner>,
    run: RunId,
    pub signals: Signals,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.inner.leases.lock().remove(&self.run);
    }
}

/// Renews all leases until the engine stops for good.
pub(crate) async fn renew(inner: Arc<Inner>) {
    let period = inner.settings.lease() / RENEWALS_PER_LEASE;
    loop {
        tokio::select! {
            () = tokio::time::sleep(period) => {}
            () = inner.abandon.cancelled() => return,
        }
        let leases = inner.leases.all();
        if leases.is_empty() {
            continue;
        }
        let until = inner.ports.clock.now().plus(inner.settings.lease());
        match inner.ports.store.renew(&leases, until).await {
            Ok(lost) => lost.into_iter().for_each(|run| {
                tracing::warn!(%run, "lease lost; leaving the run to its new owner");
                inner.leases.lose(run);
            }),
            Err(error) => tracing::error!(%error, "leases could not be renewed"),
        }
    }
}
