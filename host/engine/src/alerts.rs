//! Alerts: what may be news is looked at in the store, and people are told until somebody has taken
//! it. What is news is decided by `core::alerting`; no run waits for an alert.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tombolo_core::alerting::{Ledger, Verdict};
use tombolo_core::id::TenantId;
use tombolo_core::ports::alert::Alert;
use tombolo_core::ports::store::{LetterFilter, Settle, StoreError};

use crate::Inner;

/// The pause after the first alert that was not taken. It doubles, up to `alert_repeat`.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// After so many failures the pause grows no more.
const MAX_DOUBLINGS: u32 = 16;

/// What may be news. There are as many as tenants and connections: this bounds what is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    /// Whatever waits for a person since an earlier process.
    Tenant(TenantId),
    /// Dead letters.
    Letters(TenantId),
    /// A connection that was paused.
    Connection(TenantId, String),
}

/// What happened since the last look.
#[derive(Default)]
pub(crate) struct News {
    noted: Mutex<Noted>,
    wake: Notify,
}

#[derive(Default)]
struct Noted {
    subjects: BTreeSet<Subject>,
    /// Tenants without dead letters, for a moment at least.
    none_left: BTreeSet<TenantId>,
}

impl News {
    /// Takes note of a settle that is durable.
    pub fn note(&self, settle: &Settle) {
        if settle.letters.is_empty() && settle.pauses.is_empty() {
            return;
        }
        let mut noted = self.lock();
        if !settle.letters.is_empty() {
            noted.subjects.insert(Subject::Letters(settle.tenant));
        }
        let paused = settle.pauses.iter();
        noted.subjects.extend(
            paused.map(|pause| Subject::Connection(settle.tenant, pause.connection.clone())),
        );
        drop(noted);
        self.wake.notify_one();
    }

    fn note_none_left(&self, tenant: TenantId) {
        self.lock().none_left.insert(tenant);
        self.wake.notify_one();
    }

    fn take(&self) -> Noted {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Dead letters were redriven or given up. If none is left, the next one is news, however soon it
/// comes.
pub(crate) async fn fewer(inner: &Inner, tenant: TenantId) {
    let first = inner.ports.store.letters(tenant, &LetterFilter::default(), None, 1).await;
    match first {
        Ok(letters) if letters.is_empty() => inner.news.note_none_left(tenant),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "dead letters could not be counted"),
    }
}

/// Sends alerts until the engine stops for good. What waits when it starts is told again: nobody
/// knows what an earlier process has told.
pub(crate) async fn run(inner: Arc<Inner>) {
    let mut watch = Watch::new(&inner);
    let tenants = inner.ports.registry.tenants();
    watch.attend(tenants.into_iter().map(Subject::Tenant).collect()).await;
    loop {
        tokio::select! {
            () = inner.news.wake.notified() => {
                let Noted { subjects, none_left } = inner.news.take();
                watch.forget(none_left);
                // What is owed has its time.
                watch.attend(subjects.difference(&watch.owed).cloned().collect()).await;
            }
            () = until(watch.again_at) => {
                let owed = std::mem::take(&mut watch.owed);
                watch.attend(owed).await;
            }
            () = inner.abandon.cancelled() => return,
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// What people were told, and what they are to be told yet.
struct Watch<'a> {
    inner: &'a Inner,
    ledger: Ledger,
    /// Looked at again at `again_at`.
    owed: BTreeSet<Subject>,
    again_at: Option<Instant>,
    /// Rounds in a row in which an alert was not taken.
    failures: u32,
}

impl<'a> Watch<'a> {
    fn new(inner: &'a Inner) -> Self {
        let ledger = Ledger::default();
        Self { inner, ledger, owed: BTreeSet::new(), again_at: None, failures: 0 }
    }

    fn forget(&mut self, none_left: BTreeSet<TenantId>) {
        for tenant in none_left {
            self.ledger.none_left(tenant);
        }
    }

    /// Looks at everything, and tells what is news.
    async fn attend(&mut self, mut subjects: BTreeSet<Subject>) {
        let (mut taken, mut failed) = (0, 0);
        while let Some(subject) = subjects.pop_first() {
            match self.look(&subject, &mut subjects).await {
                Ok(Verdict::Quiet) => continue,
                Ok(Verdict::Later) => {}
                Ok(Verdict::Tell(alert)) => {
                    if self.send(alert).await {
                        taken += 1;
                        continue;
                    }
                    failed += 1;
                }
                Err(error) => {
                    tracing::warn!(%error, "what people should know could not be read");
                    failed += 1;
                }
            }
            self.owed.insert(subject);
        }
        if failed > 0 {
            self.failures = self.failures.saturating_add(1);
        } else if taken > 0 || self.owed.is_empty() {
            self.failures = 0;
        }
        self.again_at = self.next();
    }

    /// When what is owed is looked at again: what is owed longer need not wait for what is new.
    fn next(&self) -> Option<Instant> {
        let (now, pause) = (Instant::now(), self.pause());
        let planned =
            self.again_at.filter(|at| *at > now).map_or(now + pause, |at| at.min(now + pause));
        (!self.owed.is_empty()).then_some(planned)
    }

    /// Until what is owed is looked at again.
    fn pause(&self) -> Duration {
        let repeat = self.inner.settings.alert_repeat();
        match self.failures.checked_sub(1) {
            Some(before) => FIRST_RETRY.saturating_mul(1 << before.min(MAX_DOUBLINGS)).min(repeat),
            None => repeat,
        }
    }

    async fn look(
        &mut self,
        subject: &Subject,
        more: &mut BTreeSet<Subject>,
    ) -> Result<Verdict, StoreError> {
        let store = &self.inner.ports.store;
        match subject {
            Subject::Tenant(tenant) => {
                let connections = store.connections(*tenant).await?.into_iter();
                let paused = connections.filter(|connection| connection.paused.is_some());
                more.extend(paused.map(|one| Subject::Connection(*tenant, one.name)));
                more.insert(Subject::Letters(*tenant));
                Ok(Verdict::Quiet)
            }
            Subject::Letters(tenant) => {
                let count = store.letter_count(*tenant).await?;
                let (now, repeat) =
                    (self.inner.ports.clock.now(), self.inner.settings.alert_repeat());
                Ok(self.ledger.letters(*tenant, count, now, repeat))
            }
            Subject::Connection(tenant, name) => {
                let connection = store.connection(*tenant, name).await?;
                let paused = connection.as_ref().and_then(|connection| connection.paused.as_ref());
                Ok(self.ledger.connection(*tenant, name, paused))
            }
        }
    }

    /// False if nobody took it.
    async fn send(&mut self, alert: Alert) -> bool {
        tracing::warn!(alert = %alert.text(), "somebody should look at this");
        match self.inner.ports.alerts.send(&alert).await {
            Ok(()) => {
                self.ledger.told(alert);
                true
            }
            Err(reason) => {
                tracing::error!(%reason, "an alert was not taken, and is sent again");
                false
            }
        }
    }
}
