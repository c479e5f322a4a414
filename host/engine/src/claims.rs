//! The claim loop: takes due runs from the queue as long as there are free slots.

use std::sync::Arc;
use std::time::Duration;

use tombolo_core::clock::Timestamp;
use tombolo_core::id::RunId;
use tombolo_core::ports::store::{Claim, Claimed, StoreError, Turns, Wanted};

use crate::slots::Slot;
use crate::{Inner, cancels, drive};

/// Pause after the store failed, so that a broken disk does not spin a core.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);

/// Claims until the engine closes.
pub(crate) async fn run(inner: Arc<Inner>) {
    let mut longest = inner.settings.poll();
    loop {
        // Registered before looking: a wake between "nothing there" and "sleep" is not lost.
        let woken = inner.wake.notified();
        let pause = match look(&inner, longest).await {
            Ok(More::Now) => {
                longest = inner.settings.poll();
                continue;
            }
            Ok(More::In(pause)) => pause,
            Err(error) => {
                tracing::error!(%error, "no runs could be claimed");
                PAUSE_AFTER_ERROR
            }
        };
        tokio::select! {
            () = woken => longest = inner.settings.poll(),
            () = inner.slots.freed.notified() => longest = inner.settings.poll(),
            () = tokio::time::sleep(pause) => {
                // Not a quiet time, if a tenant's runs are left out: another's may come.
                longest = match inner.slots.leaves_out() {
                    true => inner.settings.poll(),
                    false => (longest * 2).min(inner.settings.idle_poll()),
                };
            }
            () = inner.closing.cancelled() => return,
        }
    }
}

enum More {
    Now,
    In(Duration),
}

/// Claims what is due, and says when to look again: after `longest` at the latest.
async fn look(inner: &Arc<Inner>, longest: Duration) -> Result<More, StoreError> {
    if inner.closing.is_cancelled() {
        return Ok(More::In(Duration::ZERO));
    }
    let first = tokio::select! {
        first = inner.slots.wait() => first,
        () = inner.closing.cancelled() => return Ok(More::In(Duration::ZERO)),
    };
    let Ok(first) = first else {
        return Ok(More::In(inner.settings.poll()));
    };
    let now = inner.ports.clock.now();
    // Of a server that others ask, too, a question is cheaper than a claim.
    if inner.settings.shared {
        let due = inner.ports.store.next_due().await?;
        if due.is_none_or(|due| due > now) {
            return Ok(More::In(until(inner, due, longest)));
        }
    }
    let mut slots = inner.slots.free(inner.settings.claim_batch.saturating_sub(1));
    slots.push(first);
    let full = slots.len();
    let wanted = Wanted::Due { suspects: inner.leases.room_for_suspects(inner.settings.lease()) };
    let claimed = claim(inner, slots, wanted).await?;
    if claimed == full {
        return Ok(More::Now);
    }
    let longest = if claimed > 0 { inner.settings.poll() } else { longest };
    // What was due at `now` and not claimed waits for something else than the time.
    let due = inner.ports.store.next_due().await?.filter(|due| *due > now);
    Ok(More::In(until(inner, due, longest)))
}

fn until(inner: &Inner, due: Option<Timestamp>, longest: Duration) -> Duration {
    due.map_or(longest, |due| due.since(inner.ports.clock.now())).min(longest)
}

/// How several tenants share the slots. What only has to be ended has slots of its own.
fn turns(inner: &Inner, wanted: Wanted) -> Option<Turns> {
    if wanted == Wanted::Ending {
        return None;
    }
    let first = inner.ports.registry.next_of_several()?;
    Some(Turns { shares: inner.slots.shared(), first })
}

/// Claims a run for each of these slots, at most, and lets them be driven. Gives how many came.
pub(crate) async fn claim(
    inner: &Arc<Inner>,
    slots: Vec<Slot>,
    wanted: Wanted,
) -> Result<usize, StoreError> {
    let now = inner.ports.clock.now();
    let turns = turns(inner, wanted);
    let claim = Claim {
        worker: inner.worker.clone(),
        limit: slots.len(),
        now,
        until: now.plus(inner.settings.lease()),
        held: inner.leases.runs(),
        wanted,
        turns,
    };
    let missed = inner.leases.missed();
    let claimed = inner.ports.store.claim(claim).await?;
    let runs: Vec<RunId> = claimed.iter().map(Claimed::run).collect();
    for (run, mut slot) in claimed.into_iter().zip(slots) {
        slot.give_to(run.tenant());
        drive::spawn(inner, run, slot);
    }
    inner.slots.all_served();
    if inner.leases.missed() != missed {
        // Between the read of the runs and now.
        for run in &runs {
            inner.leases.tell_news(*run);
        }
        cancels::tell(inner).await;
    }
    Ok(runs.len())
}
