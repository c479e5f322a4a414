//! The log of runs.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use sqlx::Row;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{RunId, TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::store::{
    Accept, Accepted, CancelRequest, Claim, Claimed, Lease, Open, Opened, RunLog, Settle, Signal,
    Signalled, StoreError, WorkerId,
};
use uuid::Uuid;

use super::writer::Write;
use super::{
    MEETINGS, PostgresStore, cancel, claim, claim_rows, leases, set_back, signal,
};
use crate::group::{Leased, OpenedLease};
use crate::record::{SettleItem, SignalItem, due, unsigned};
use crate::rows::{self, signals};

#[async_trait]
impl RunLog for PostgresStore {
    async fn accept(&self, batch: Vec<Accept>) -> Result<Vec<Accepted>, StoreError> {
        let items = batch.into_iter().map(Into::into).collect();
        self.writes.write(items, Write::Accept).await
    }

    async fn take_over(&self, now: Timestamp) -> Result<u64, StoreError> {
        let due = self.write_as_host(async |tx| leases::take_over(tx, now).await).await?;
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
        let due = self.write_as_host(async |tx| set_back::queue(tx, (from, now)).await).await?;
        let tenants = self.read_as_host(async |tx| set_back::tenants(tx).await).await?;
        for tenant in tenants {
            self.write(tenant, async |tx| set_back::flow(tx, (from, now)).await).await?;
        }
        Ok(due)
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError> {
        let mut meetings = 0;
        let leased = loop {
            match claim::claim(&self.pool, &claim).await {
                Err(fault) if fault.may_go_again() && meetings < MEETINGS => meetings += 1,
                other => break other?,
            }
        };
        self.load(&claim.worker, leased).await
    }

    async fn open(&self, open: Open) -> Result<Opened, StoreError> {
        let opened = self.write(open.tenant, async |tx| leases::open(tx, &open).await).await?;
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

    async fn signal(&self, signal: Signal) -> Result<Signalled, StoreError> {
        let item = SignalItem::from(signal);
        self.write(item.tenant, async |tx| signal::keep(tx, &item).await).await
    }

    async fn signals(&self, tenant: TenantId, run: RunId) -> Result<Vec<Signal>, StoreError> {
        self.read(tenant, async |tx| {
            let query = sqlx::query(signals!(
                "signal g",
                "WHERE g.tenant_id = $1 AND g.run_id = $2 ORDER BY g.node, g.item"
            ));
            let rows = query.bind(tx.tenant().0).bind(run.0).fetch_all(tx.sql()).await?;
            Ok(rows.iter().map(rows::signal).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn renew(&self, leases: &[Lease], until: Timestamp) -> Result<Vec<RunId>, StoreError> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        self.write_as_host(async |tx| leases::renew(tx, leases, until).await).await
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
    ) -> Result<CancelRequest, StoreError> {
        self.write(tenant, async |tx| cancel::apply(tx, run).await).await
    }

    async fn cancel_requested(&self, among: &[RunId]) -> Result<Vec<RunId>, StoreError> {
        let among: Vec<Uuid> = among.iter().map(|run| run.0).collect();
        self.read_as_host(async |tx| {
            let runs: Vec<Uuid> = sqlx::query_scalar(
                "SELECT run_id FROM queue WHERE run_id = ANY($1) AND cancel_requested",
            )
            .bind(among)
            .fetch_all(tx.sql())
            .await?;
            Ok(runs.into_iter().map(RunId).collect())
        })
        .await
    }

    async fn signalled(&self, among: &[RunId]) -> Result<Vec<RunId>, StoreError> {
        let among: Vec<Uuid> = among.iter().map(|run| run.0).collect();
        self.read_as_host(async |tx| {
            // Along the key of `signal`, which begins with the tenant.
            let runs: Vec<Uuid> = sqlx::query_scalar(
                "SELECT q.run_id FROM queue q WHERE q.run_id = ANY($1) AND EXISTS (
                   SELECT 1 FROM signal g WHERE g.tenant_id = q.tenant_id AND g.run_id = q.run_id)",
            )
            .bind(among)
            .fetch_all(tx.sql())
            .await?;
            Ok(runs.into_iter().map(RunId).collect())
        })
        .await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read_as_host(async |tx| {
            // One look into the index for each priority.
            let first: Option<i64> = sqlx::query_scalar(
                "SELECT least(
                   (SELECT min(available_at) FROM queue WHERE priority = 0),
                   (SELECT min(available_at) FROM queue WHERE priority = 1),
                   (SELECT min(available_at) FROM queue WHERE priority = 2))",
            )
            .fetch_one(tx.sql())
            .await?;
            Ok(first.map(Timestamp).and_then(due))
        })
        .await
    }

    async fn node_state(
        &self,
        tenant: TenantId,
        workflow: WorkflowId,
        node: &str,
        key: &str,
    ) -> Result<Option<(Json, u64)>, StoreError> {
        self.read(tenant, async |tx| {
            let row = sqlx::query(
                "SELECT value, version FROM state
                 WHERE tenant_id = $1 AND workflow_id = $2 AND node = $3 AND key = $4",
            )
            .bind(tx.tenant().0)
            .bind(workflow.0)
            .bind(node)
            .bind(key.as_bytes())
            .fetch_optional(tx.sql())
            .await?;
            let Some(row) = row else { return Ok(None) };
            let value = Json::from_trusted(row.try_get::<String, _>(0)?);
            Ok(Some((value, unsigned(row.try_get(1)?)?)))
        })
        .await
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
            let read = self
                .read(tenant, async |tx| claim_rows::load(tx, worker, &leased).await)
                .await;
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
        let given: Result<(), StoreError> =
            self.write_as_host(async |tx| leases::give_back(tx, leases).await).await;
        if let Err(error) = given {
            tracing::warn!(%error, "leases that were not used run out");
        }
    }
}
