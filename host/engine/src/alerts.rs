//! Alerts: people are told when dead letters begin to wait, while they grow, and when a connection is
//! paused. An alert follows the write that causes it; none is worth a run, so none is waited for.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::TenantId;
use tombolo_core::ports::alert::Alert;
use tombolo_core::ports::store::{Settle, StoreError};

use crate::Inner;

/// Most alerts that wait to be sent; more are dropped, as they say the same.
const MAX_WAITING: usize = 1_000;

/// What happened since the last look.
#[derive(Default)]
pub(crate) struct News {
    noted: Mutex<Noted>,
    wake: Notify,
}

#[derive(Default)]
struct Noted {
    /// Tenants with new dead letters, or fewer.
    tenants: BTreeSet<TenantId>,
    paused: Vec<Alert>,
}

impl News {
    /// Takes note of a settle that is durable.
    pub fn note(&self, settle: &Settle) {
        if settle.letters.is_empty() && settle.pauses.is_empty() {
            return;
        }
        let mut noted = self.lock();
        if !settle.letters.is_empty() {
            noted.tenants.insert(settle.tenant);
        }
        for pause in settle.pauses.iter().take(MAX_WAITING.saturating_sub(noted.paused.len())) {
            noted.paused.push(Alert::ConnectionPaused {
                tenant: settle.tenant,
                connection: pause.connection.clone(),
                reason: pause.reason.clone(),
                at: settle.now,
            });
        }
        drop(noted);
        self.wake.notify_one();
    }

    fn take(&self) -> Noted {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a tenant was told last.
#[derive(Debug, Clone, Copy)]
struct Told {
    count: u64,
    at: Timestamp,
}

/// Sends alerts until the engine stops for good.
pub(crate) async fn run(inner: Arc<Inner>) {
    let mut told: HashMap<TenantId, Told> = HashMap::new();
    let mut paused: HashMap<(TenantId, String), Timestamp> = HashMap::new();
    let mut owed: BTreeSet<TenantId> = BTreeSet::new();
    loop {
        let repeat = inner.settings.alert_repeat();
        tokio::select! {
            () = inner.news.wake.notified() => {}
            () = tokio::time::sleep(repeat), if !owed.is_empty() => {}
            () = inner.abandon.cancelled() => return,
        }
        let Noted { tenants, paused: alerts } = inner.news.take();
        for alert in alerts {
            let Alert::ConnectionPaused { tenant, connection, at, .. } = &alert else {
                continue;
            };
            let key = (*tenant, connection.clone());
            // Runs that were under way are refused, too: that is no news.
            let before = paused.insert(key, *at);
            if before.is_none_or(|before| at.since(before) >= repeat) {
                send(&inner, &alert).await;
            }
        }
        owed.extend(tenants);
        for tenant in std::mem::take(&mut owed) {
            match look(&inner, tenant, told.get(&tenant), repeat).await {
                Ok(Look::Told(now)) => drop(told.insert(tenant, now)),
                Ok(Look::Later) => drop(owed.insert(tenant)),
                Err(error) => tracing::warn!(%error, "dead letters could not be counted"),
            }
        }
    }
}

enum Look {
    Told(Told),
    /// It grows, and somebody was told a moment ago.
    Later,
}

async fn look(
    inner: &Inner,
    tenant: TenantId,
    told: Option<&Told>,
    repeat: Duration,
) -> Result<Look, StoreError> {
    let (count, at) = (inner.ports.store.letter_count(tenant).await?, inner.ports.clock.now());
    let before = told.map_or(0, |told| told.count);
    if count <= before {
        // They grow fewer: the next one is news again.
        let at = told.map_or(at, |told| told.at);
        return Ok(Look::Told(Told { count, at }));
    }
    if before > 0 && told.is_some_and(|told| at.since(told.at) < repeat) {
        return Ok(Look::Later);
    }
    send(inner, &Alert::DeadLetters { tenant, count, at }).await;
    Ok(Look::Told(Told { count, at }))
}

async fn send(inner: &Inner, alert: &Alert) {
    tracing::warn!(alert = %alert.text(), "somebody should look at this");
    if let Err(reason) = inner.ports.alerts.send(alert).await {
        tracing::error!(%reason, "an alert was not taken");
    }
}
