//! The log of runs.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{RunId, TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::store::{
    Accept, Accepted, CancelRequest, Claim, Claimed, Lease, Open, Opened, RunLog, Settle, Signal,
    Signalled, StoreError, WorkerId,
};
use uuid::Uuid;

use super::retried::{again, write_host, write_tenant};
use super::scope::TenantTx;
use super::writer::Write;
use super::{PostgresStore, cancel, claim, claim_rows, leases, run_log_rows, set_back, signal};
use crate::group::{Leased, OpenedLease};
use crate::record::{SettleItem, SignalItem};

#[async_trait]
impl RunLog for PostgresStore {
    async fn accept(&self, batch: Vec<Accept>) -> Result<Vec<Accepted>, StoreError> {
        let items = batch.into_iter().map(Into::into).collect();
        self.writes.write(items, Write::Accept).await
    }

    async fn take_over(&self, now: Timestamp) -> Result<u64, StoreError> {
        let due = write_host!(self, |tx| leases::take_over(tx, now))?;
        // It may have died before its clock was set back.
        let latest = self.read_as_host(async |tx| leases::latest_known(tx).await).await?;
        if let Some(latest) = latest {
            self.set_back(latest, now).await?;
        }
        Ok(due)
    }

    async fn set_back(&self, from: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        if set_back::jump_ms(from, now) <= 0 {
            return Ok(0);
        }
        let due = write_host!(self, |tx| set_back::queue(tx, (from, now)))?;
        let tenants = self.read_as_host(async |tx| set_back::tenants(tx).await).await?;
        for tenant in tenants {
            write_tenant!(self, tenant, |tx| set_back::flow(tx, (from, now)))?;
        }
        Ok(due)
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError> {
        let leased = again!({ claim::claim(&self.pool, &claim).await })?;
        self.load(&claim.worker, leased).await
    }

    async fn open(&self, open: Open) -> Result<Opened, StoreError> {
        let opened = write_tenant!(self, open.tenant, |tx| leases::open(tx, &open))?;
        let (leased, before) = match opened {
            OpenedLease::Run { leased, before } => (leased, before),
            OpenedLease::Busy => return Ok(Opened::Busy),
            OpenedLease::Unknown => return Ok(Opened::Unknown),
        };
        match self.load(&open.worker, vec![leased]).await?.pop() {
            Some(Claimed::Run(run)) => Ok(Opened::Run { run, before }),
            Some(Claimed::Damaged { lease, reason, .. }) => {
                self.give_back(&[lease]).await;
                Err(StoreError::Corrupt(reason))
            }
            // Lost again: somebody else has claimed it.
            None => Ok(Opened::Busy),
        }
    }

    async fn signal(
        &self,
        signal: Signal,
        audit: Option<AuditEntry>,
    ) -> Result<Signalled, StoreError> {
        let item = SignalItem { audit, ..signal.into() };
        write_tenant!(self, item.tenant, |tx| signal::keep(tx, &item))
    }

    async fn signals(&self, tenant: TenantId, run: RunId) -> Result<Vec<Signal>, StoreError> {
        self.read(tenant, async |tx| run_log_rows::signals(tx, run).await).await
    }

    async fn renew(&self, leases: &[Lease], until: Timestamp) -> Result<Vec<RunId>, StoreError> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        write_host!(self, |tx| leases::renew(tx, leases, until))
    }

    async fn settle(&self, settle: Settle) -> Result<(), StoreError> {
        let item: Box<SettleItem> = Box::new(settle.into());
        let pauses = !item.pauses.is_empty();
        let written = self.writes.write(item, Write::Settle).await;
        if pauses {
            self.remembered.forget();
        }
        written
    }

    async fn request_cancel(
        &self,
        tenant: TenantId,
        run: RunId,
        audit: Option<AuditEntry>,
    ) -> Result<CancelRequest, StoreError> {
        write_tenant!(self, tenant, |tx| cancel::apply(tx, run, audit.as_ref()))
    }

    async fn cancel_requested(&self, among: &[RunId]) -> Result<Vec<RunId>, StoreError> {
        self.read_as_host(async |tx| run_log_rows::cancel_requested(tx, among).await).await
    }

    async fn signalled(&self, among: &[RunId]) -> Result<Vec<RunId>, StoreError> {
        let among: Vec<Uuid> = among.iter().map(|run| run.0).collect();
        self.read_as_host(async |tx| {
            // Along the key of `signal`, which begins with the tenant. OFFSET: as in `keep`. The
            // epoch is in no index that PostgreSQL could read whole instead of the rows.
            let runs: Vec<Uuid> = sqlx::query_scalar(
                "SELECT q.run_id FROM queue q WHERE q.run_id = ANY($1)
                   AND q.lease_epoch >= 0 AND EXISTS (
                   SELECT 1 FROM signal g WHERE g.tenant_id = q.tenant_id AND g.run_id = q.run_id
                   OFFSET 0)",
            )
            .bind(among)
            .fetch_all(tx.sql())
            .await?;
            Ok(runs.into_iter().map(RunId).collect())
        })
        .await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read_as_host(async |tx| run_log_rows::next_due(tx).await).await
    }

    async fn node_state(
        &self,
        tenant: TenantId,
        workflow: WorkflowId,
        node: &str,
        key: &str,
    ) -> Result<Option<(Json, u64)>, StoreError> {
        let read =
            async |tx: &mut TenantTx<'_>| run_log_rows::node_state(tx, workflow, node, key).await;
        self.read(tenant, read).await
    }
}

impl PostgresStore {
    /// Reads runs that were just leased, or gives the leases back.
    async fn load(
        &self,
        worker: &WorkerId,
        leased: Vec<Leased>,
    ) -> Result<Vec<Claimed>, StoreError> {
        let mut by_tenant: BTreeMap<TenantId, Vec<Leased>> = BTreeMap::new();
        let mut all = Vec::with_capacity(leased.len());
        for leased in leased {
            all.push(Lease { run: leased.run, owner: worker.clone(), epoch: leased.epoch });
            by_tenant.entry(leased.tenant).or_default().push(leased);
        }
        let order: HashMap<RunId, usize> = all.iter().map(|lease| lease.run).zip(0..).collect();
        let mut claimed = Vec::with_capacity(all.len());
        for (tenant, leased) in by_tenant {
            let read =
                self.read(tenant, async |tx| claim_rows::load(tx, worker, &leased).await).await;
            match read {
                Ok(runs) => claimed.extend(runs),
                Err(error) => {
                    self.give_back(&all).await;
                    return Err(error);
                }
            }
        }
        claimed.sort_by_key(|claimed| order.get(&claimed.run()).copied());
        Ok(claimed)
    }

    /// Gives leases back as if they had not been taken. Where that fails, they run out.
    async fn give_back(&self, leases: &[Lease]) {
        let given: Result<(), StoreError> = write_host!(self, |tx| leases::give_back(tx, leases));
        if let Err(error) = given {
            tracing::warn!(%error, "leases that were not used run out");
        }
    }
}
