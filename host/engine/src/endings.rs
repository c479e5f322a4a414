//! Runs that only have to be ended need no slot: somebody asked for their end, or their time is up.
//! They are claimed beside those at work while all slots are taken.

use std::sync::Arc;

use tombolo_core::ports::store::Wanted;

use crate::{Inner, claims};

/// Runs that are ended at the same time without a slot.
pub(crate) const ENDED_AT_ONCE: usize = 8;

/// Ends them until the engine closes.
pub(crate) async fn run(inner: Arc<Inner>) {
    loop {
        tokio::select! {
            () = inner.ending.notified() => {}
            () = tokio::time::sleep(inner.settings.poll()) => {}
            () = inner.closing.cancelled() => return,
        }
        if inner.slots.any_free() {
            // The claim loop takes them with all others.
            continue;
        }
        let slots = inner.ending_slots.free(ENDED_AT_ONCE);
        if slots.is_empty() {
            continue;
        }
        if let Err(error) = claims::claim(&inner, slots, Wanted::Ending).await {
            tracing::error!(%error, "runs that are to end wait for a slot");
        }
    }
}
