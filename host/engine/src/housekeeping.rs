//! What is old goes: ended runs beyond their workflow's `retention`, payloads that nobody refers to,
//! and the room they took on the disk. A bounded part at a time, so that no run waits for it.

use std::sync::Arc;
use std::time::Duration;

use tombolo_core::ports::store::StoreError;

use crate::Inner;

/// Runs forgotten in one write.
const RUNS_AT_ONCE: u32 = 100;

/// Payloads looked at in one write.
const PAYLOADS_AT_ONCE: u32 = 500;

/// Pages given back in one write.
const PAGES_AT_ONCE: u32 = 1_000;

/// The pause between two parts: others write meanwhile.
const BREATH: Duration = Duration::from_millis(50);

/// Keeps house until the engine closes.
pub(crate) async fn run(inner: Arc<Inner>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(inner.settings.housekeeping()) => {}
            () = inner.closing.cancelled() => return,
        }
        if let Err(error) = keep_house(&inner).await {
            tracing::error!(%error, "housekeeping is left for later");
        }
    }
}

async fn keep_house(inner: &Inner) -> Result<(), StoreError> {
    let mut forgotten = 0;
    for (workflow, retention) in inner.ports.registry.retentions() {
        let ended_before = inner.ports.clock.now().minus(retention);
        loop {
            let gone = inner.ports.store.forget(workflow, ended_before, RUNS_AT_ONCE).await?;
            forgotten += gone;
            if gone < u64::from(RUNS_AT_ONCE) || !breathe(inner).await {
                break;
            }
        }
    }
    if forgotten == 0 {
        return Ok(());
    }
    tracing::info!(runs = forgotten, "forgot runs beyond their retention");
    let mut after = None;
    loop {
        let swept = inner.ports.store.sweep_payloads(after, PAYLOADS_AT_ONCE).await?;
        after = swept.next;
        if after.is_none() || !breathe(inner).await {
            break;
        }
    }
    loop {
        let vacuumed = inner.ports.store.vacuum(PAGES_AT_ONCE).await?;
        if vacuumed.freed_bytes == 0 || vacuumed.free_bytes == 0 || !breathe(inner).await {
            return Ok(());
        }
    }
}

/// Lets others write. False if the engine closes.
async fn breathe(inner: &Inner) -> bool {
    tokio::select! {
        () = tokio::time::sleep(BREATH) => true,
        () = inner.closing.cancelled() => false,
    }
}
