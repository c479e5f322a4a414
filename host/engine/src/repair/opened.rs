//! A run that is leased to be repaired.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::repair::{By, RepairError};
use tombolo_core::ports::store::{
    Lease, Letters, Next, Open, Opened as Met, Settle, StepKey, StoreError,
};
use tombolo_core::run::{Run, RunState};

use super::subject;
use crate::leases::{Held, Leases};
use crate::registry::NoPlan;
use crate::{Inner, alerts, desk};

/// What becomes of the calls that earlier attempts of repaired steps made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Journals {
    /// The next attempt is given them.
    Keep,
    /// There is no next attempt, or it makes them anew.
    Forget,
}

/// A run that is ours for the time of its repair.
pub(super) struct Opened {
    inner: Arc<Inner>,
    tenant: TenantId,
    lease: Lease,
    pub run: Run,
    /// How it had ended, and when.
    ended: Option<(Next, Timestamp)>,
    deadline: Option<Timestamp>,
    audit: Vec<AuditEntry>,
    _held: Held,
}

/// The run as it is stored, and where it stands.
pub(super) async fn stored(
    inner: &Inner,
    tenant: TenantId,
    id: RunId,
) -> Result<(Run, RunState), RepairError> {
    let view = inner.ports.store.run(tenant, id).await?.ok_or(RepairError::UnknownRun(id))?;
    let row = &view.run;
    let plan = inner.ports.registry.plan(tenant, row.workflow, row.version).await;
    let plan = plan.map_err(no_plan)?;
    let run = Run::restore(plan, view.steps).map_err(damaged)?;
    Ok((run, row.state))
}

/// A version that cannot be run, as a reason not to repair its runs.
pub(super) fn no_plan(error: NoPlan) -> RepairError {
    match error {
        NoPlan::Unusable { code, message } => RepairError::NoPlan { code, message },
        NoPlan::Store(error) => error.into(),
    }
}

/// Stored steps that do not fit.
pub(super) fn damaged(error: tombolo_core::run::Broken) -> RepairError {
    StoreError::Corrupt(error.to_string()).into()
}

impl Opened {
    /// Leases the run, wherever it stands.
    pub async fn open(
        inner: &Arc<Inner>,
        tenant: TenantId,
        id: RunId,
    ) -> Result<Self, RepairError> {
        let now = inner.ports.clock.now();
        let until = now.plus(inner.settings.lease());
        let open = Open { tenant, run: id, worker: inner.worker.clone(), now, until };
        let (claimed, before) = match inner.ports.store.open(open).await? {
            Met::Run { run, before } => (run, before),
            Met::Busy => return Err(RepairError::Busy(id)),
            Met::Unknown => return Err(RepairError::UnknownRun(id)),
        };
        let held = Leases::hold(inner, &claimed.lease);
        let row = claimed.run;
        let plan = inner.ports.registry.plan(tenant, row.workflow, row.version).await;
        let mut run = Run::restore(plan.map_err(no_plan)?, claimed.steps).map_err(damaged)?;
        let end = Next::End { state: before, output: row.output, error: row.error };
        let ended = row.ended_at.map(|at| (end, at));
        // It may have been taken from a worker that died.
        run.recover(now).map_err(|illegal| StoreError::Corrupt(illegal.to_string()))?;
        Ok(Self {
            inner: inner.clone(),
            tenant,
            lease: claimed.lease,
            run,
            ended,
            deadline: row.deadline,
            audit: Vec::new(),
            _held: held,
        })
    }

    /// Puts what was done on record, with the write that does it.
    pub fn record(&mut self, by: By, action: &str, step: &StepKey, detail: Value) {
        let (now, subject) = (self.inner.ports.clock.now(), subject(self.lease.run, step));
        self.audit.push(by.entry(now, action, subject, detail));
    }

    /// Lets the run go on, with these steps repaired.
    pub async fn go_on(
        mut self,
        repaired: Vec<StepKey>,
        journals: Journals,
    ) -> Result<(), RepairError> {
        let now = self.inner.ports.clock.now();
        // Its time was up, or will be before it has done anything.
        let over = self.ended.is_some() || self.deadline.is_some_and(|deadline| deadline <= now);
        let settle = Settle {
            steps: self.run.take_changes(),
            forgets: match journals {
                Journals::Keep => Vec::new(),
                Journals::Forget => repaired.clone(),
            },
            letters: Letters { closed: repaired, ..Letters::default() },
            audit: std::mem::take(&mut self.audit),
            deadline: over.then(|| now.plus(self.run.plan().timeout)),
            ..self.settle(now)
        };
        desk::write(&self.inner, settle.clone()).await?;
        self.inner.news.note(&settle);
        alerts::fewer(&self.inner, self.tenant).await;
        self.inner.wake.notify_one();
        Ok(())
    }

    /// Gives the run back as it was: one that had ended ends in the same way, and nobody drives it.
    pub async fn give_back(self) -> Result<(), RepairError> {
        let settle = match &self.ended {
            Some((end, at)) => Settle::new(self.tenant, self.lease.clone(), end.clone(), *at),
            None => self.settle(self.inner.ports.clock.now()),
        };
        desk::write(&self.inner, settle).await?;
        self.inner.wake.notify_one();
        Ok(())
    }

    fn settle(&self, now: Timestamp) -> Settle {
        let next = Next::Park {
            state: RunState::Queued,
            available_at: Some(now),
            connections: BTreeSet::new(),
        };
        Settle::new(self.tenant, self.lease.clone(), next, now)
    }
}
