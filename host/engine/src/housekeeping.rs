//! What is old goes: ended runs beyond their workflow's `retention`, events that started no run,
//! payloads that nobody refers to, and the room they took on the disk. A bounded part at a time, so
//! that no run waits for it.

use std::sync::Arc;
use std::time::Duration;

use tombolo_core::ports::store::StoreError;

use crate::Inner;

/// Runs forgotten in one write.
const RUNS_AT_ONCE: u32 = 100;

/// Events, and notes of runs that wait, forgotten in one write.
const LOOSE_AT_ONCE: u32 = 500;

/// How long an event is kept that started no run: so long its dedupe key is known.
const LOOSE_EVENTS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Payloads looked at in one write.
const PAYLOADS_AT_ONCE: u32 = 500;

/// Pages given back in one write.
const PAGES_AT_ONCE: u32 = 1_000;

/// The pause between two parts: others write meanwhile.
const BREATH: Duration = Duration::from_millis(50);

/// Keeps house until the engine closes.
pub(crate) async fn run(inner: Arc<Inner>) {
    // What an earlier process forgot it may not have swept.
    let mut house = House { inner: &inner, unswept: true };
    loop {
        tokio::select! {
            () = tokio::time::sleep(inner.settings.housekeeping()) => {}
            () = inner.closing.cancelled() => return,
        }
        if let Err(error) = house.keep().await {
            tracing::error!(%error, "housekeeping is left for later");
        }
    }
}

struct House<'a> {
    inner: &'a Inner,
    /// Something was forgotten, and what it leaves is not swept yet to the end.
    unswept: bool,
}

impl House<'_> {
    async fn keep(&mut self) -> Result<(), StoreError> {
        self.forget_runs().await?;
        self.forget_loose().await?;
        if self.unswept {
            self.sweep().await?;
        }
        Ok(())
    }

    async fn forget_runs(&mut self) -> Result<(), StoreError> {
        let mut forgotten = 0;
        for (workflow, retention) in self.inner.ports.registry.retentions() {
            let ended_before = self.inner.ports.clock.now().minus(retention);
            loop {
                let gone =
                    self.inner.ports.store.forget(workflow, ended_before, RUNS_AT_ONCE).await?;
                forgotten += gone;
                self.unswept |= gone > 0;
                if gone < u64::from(RUNS_AT_ONCE) || !self.breathe().await {
                    break;
                }
            }
        }
        if forgotten > 0 {
            tracing::info!(runs = forgotten, "forgot runs beyond their retention");
        }
        Ok(())
    }

    /// What belongs to no run.
    async fn forget_loose(&mut self) -> Result<(), StoreError> {
        let store = &self.inner.ports.store;
        let received_before = self.inner.ports.clock.now().minus(LOOSE_EVENTS_KEPT);
        loop {
            let gone = store.forget_events(received_before, LOOSE_AT_ONCE).await?;
            self.unswept |= gone > 0;
            if gone < u64::from(LOOSE_AT_ONCE) || !self.breathe().await {
                break;
            }
        }
        while store.forget_waits(LOOSE_AT_ONCE).await? == u64::from(LOOSE_AT_ONCE) {
            if !self.breathe().await {
                break;
            }
        }
        Ok(())
    }

    async fn sweep(&mut self) -> Result<(), StoreError> {
        let store = &self.inner.ports.store;
        let mut after = None;
        loop {
            let swept = store.sweep_payloads(after, PAYLOADS_AT_ONCE).await?;
            after = swept.next;
            if after.is_none() {
                break;
            }
            if !self.breathe().await {
                return Ok(());
            }
        }
        loop {
            let vacuumed = store.vacuum(PAGES_AT_ONCE).await?;
            if vacuumed.freed_bytes == 0 || vacuumed.free_bytes == 0 {
                break;
            }
            if !self.breathe().await {
                return Ok(());
            }
        }
        self.unswept = false;
        Ok(())
    }

    /// Lets others write. False if the engine closes.
    async fn breathe(&self) -> bool {
        tokio::select! {
            () = tokio::time::sleep(BREATH) => true,
            () = self.inner.closing.cancelled() => false,
        }
    }
}
