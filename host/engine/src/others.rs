//! Other processes on the same store: what they write nobody tells here, so it is looked for.
//!
//! Workflows that they apply, wishes and signals of theirs for runs that are worked on here, and the
//! ends of runs that they work on and somebody waits for here.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tombolo_core::id::TenantId;
use tombolo_core::ports::intake::Answer;
use tombolo_core::ports::store::StoreError;

use crate::follow::Waiter;
use crate::intake::stored_answer;
use crate::{Inner, cancels};

/// How often it is looked whether something came for the runs that are worked on here.
const NEWS_EVERY: Duration = Duration::from_secs(1);

/// How often it is looked which workflows are live.
const WORKFLOWS_EVERY: Duration = Duration::from_secs(3);

/// How long after the first look at a run the next one is; each waits twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(25);

/// The longest pause between two looks at a run that somebody waits for.
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// Looks until the engine closes.
pub(crate) async fn run(inner: Arc<Inner>) {
    let mut workflows_at = Instant::now();
    loop {
        tokio::select! {
            () = tokio::time::sleep(NEWS_EVERY) => {}
            () = inner.closing.cancelled() => return,
        }
        if let Err(error) = news(&inner).await {
            tracing::warn!(%error, "what other processes wrote is looked for later");
        }
        if workflows_at.elapsed() < WORKFLOWS_EVERY {
            continue;
        }
        workflows_at = Instant::now();
        if let Err(error) = inner.ports.registry.reload_if_changed().await {
            tracing::warn!(%error, "which workflows are live is looked for later");
        }
    }
}

/// Wishes and signals for the runs that are worked on here.
async fn news(inner: &Inner) -> Result<(), StoreError> {
    let held = inner.leases.runs();
    if held.is_empty() {
        return Ok(());
    }
    cancels::tell(inner).await;
    for run in inner.ports.store.signalled(&held).await? {
        inner.leases.tell_news(run);
    }
    Ok(())
}

/// The answer of a run, whoever works on it, if it comes in time.
pub(crate) async fn answer(
    inner: &Inner,
    tenant: TenantId,
    mut waiter: Waiter,
    patience: Duration,
) -> Answer {
    if !inner.settings.shared {
        return waiter.answer(patience).await;
    }
    let (started, mut pause) = (Instant::now(), FIRST_PAUSE);
    loop {
        let left = patience.saturating_sub(started.elapsed());
        if let Some(answer) = waiter.told(left.min(pause)).await {
            return answer;
        }
        if left.is_zero() {
            return Answer::NotYet;
        }
        // Whoever works on it here tells it.
        if inner.leases.works_on(waiter.run()) {
            continue;
        }
        match look(inner, tenant, &waiter).await {
            Ok(Some(answer)) => return answer,
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "a run that somebody waits for is looked at later")
            }
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn look(
    inner: &Inner,
    tenant: TenantId,
    waiter: &Waiter,
) -> Result<Option<Answer>, StoreError> {
    match inner.ports.store.run(tenant, waiter.run()).await? {
        Some(view) => stored_answer(inner, view).await,
        None => Ok(None),
    }
}
