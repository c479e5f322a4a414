//! The clock may be set back, by hours if somebody mends it. Nothing waits for that.

use std::sync::Arc;
use std::time::Duration;

use crate::Inner;

/// A clock that goes back by less is corrected all the time, and nobody waits for it for long.
const TOLERATED: Duration = Duration::from_secs(1);

/// Looks at the clock until the engine closes.
pub(crate) async fn run(inner: Arc<Inner>) {
    let mut latest = inner.ports.clock.now();
    loop {
        tokio::select! {
            () = tokio::time::sleep(inner.settings.poll()) => {}
            () = inner.closing.cancelled() => return,
        }
        let now = inner.ports.clock.now();
        if now.plus(TOLERATED) >= latest {
            latest = latest.max(now);
            continue;
        }
        match inner.ports.store.set_back(latest, now).await {
            Ok(runs) => {
                tracing::warn!(from = %latest, %now, runs, "the clock was set back");
                latest = now;
                inner.wake.notify_one();
            }
            Err(error) => tracing::error!(%error, "runs wait, because the clock was set back"),
        }
    }
}
