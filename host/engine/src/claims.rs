//! The claim loop: takes due runs from the queue as long as there are free slots.

use std::sync::Arc;
use std::time::Duration;

use tombolo_core::id::RunId;
use tombolo_core::ports::store::{Claim, Claimed, StoreError};

use crate::{Inner, cancels, drive};

/// Pause after the store failed, so that a broken disk does not spin a core.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);

/// Claims until the engine closes.
pub(crate) async fn run(inner: Arc<Inner>) {
    loop {
        // Registered before looking: a wake between "nothing there" and "sleep" is not lost.
        let woken = inner.wake.notified();
        let pause = match claim(&inner).await {
            Ok(More::Now) => continue,
            Ok(More::In(pause)) => pause,
            Err(error) => {
                tracing::error!(%error, "no runs could be claimed");
                PAUSE_AFTER_ERROR
            }
        };
        tokio::select! {
            () = woken => {}
            () = tokio::time::sleep(pause) => {}
            () = inner.closing.cancelled() => return,
        }
    }
}

enum More {
    Now,
    In(Duration),
}

async fn claim(inner: &Arc<Inner>) -> Result<More, StoreError> {
    if inner.closing.is_cancelled() {
        return Ok(More::In(Duration::ZERO));
    }
    let first = tokio::select! {
        first = inner.slots.clone().acquire_owned() => first,
        () = inner.closing.cancelled() => return Ok(More::In(Duration::ZERO)),
    };
    let Ok(first) = first else {
        return Ok(More::In(inner.settings.poll()));
    };
    let mut permits = vec![first];
    while permits.len() < inner.settings.claim_batch {
        let Ok(permit) = inner.slots.clone().try_acquire_owned() else {
            break;
        };
        permits.push(permit);
    }
    let now = inner.ports.clock.now();
    let claim = Claim {
        worker: inner.worker.clone(),
        limit: permits.len(),
        now,
        until: now.plus(inner.settings.lease()),
        held: inner.leases.runs(),
    };
    let full = claim.limit;
    let missed = inner.leases.missed();
    let claimed = inner.ports.store.claim(claim).await?;
    let runs: Vec<RunId> = claimed.iter().map(Claimed::run).collect();
    for (run, permit) in claimed.into_iter().zip(permits) {
        drive::spawn(inner, run, permit);
    }
    if inner.leases.missed() != missed {
        // Between the read of the runs and now.
        for run in &runs {
            inner.leases.tell_news(*run);
        }
        cancels::tell(inner).await;
    }
    let count = runs.len();
    if count == full {
        return Ok(More::Now);
    }
    let due = inner.ports.store.next_due().await?;
    let pause = due.map_or(inner.settings.poll(), |due| due.since(inner.ports.clock.now()));
    Ok(More::In(pause.min(inner.settings.poll())))
}
