//! The log of runs: every write waits for the writer, every read has a reader of its own.

use async_trait::async_trait;
use tombolo_core::audit::AuditEntry;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{RunId, TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::store::{
    Accept, Accepted, CancelRequest, Claim, Claimed, Lease, Open, Opened, RunLog, Settle, Signal,
    Signalled, StoreError, WorkerId,
};

use super::ids::{id_bytes, id_list};
use super::{SqliteStore, claim};
use crate::group::{Cancel, Command, Leased, OpenedLease, Rare, Renew};
use crate::record::{SettleItem, SignalItem, due};
use crate::rows::{Columns, leases, node_state, signal, signals};

#[async_trait]
impl RunLog for SqliteStore {
    async fn accept(&self, batch: Vec<Accept>) -> Result<Vec<Accepted>, StoreError> {
        let items = batch.into_iter().map(Into::into).collect();
        self.writes.write(items, Command::Accept).await
    }

    async fn take_over(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.writes.write(now, |pending| Command::Rare(Box::new(Rare::TakeOver(pending)))).await
    }

    async fn set_back(&self, from: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        let set_back = |pending| Command::Rare(Box::new(Rare::SetBack(pending)));
        self.writes.write((from, now), set_back).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError> {
        let worker = claim.worker.clone();
        let leased = self.writes.write(claim, Command::Claim).await?;
        if leased.is_empty() {
            return Ok(Vec::new());
        }
        self.load(&worker, &leased).await
    }

    async fn open(&self, open: Open) -> Result<Opened, StoreError> {
        let worker = open.worker.clone();
        let opened =
            self.writes.write(open, |pending| Command::Rare(Box::new(Rare::Open(pending)))).await?;
        let (leased, before) = match opened {
            OpenedLease::Run { leased, before } => (leased, before),
            OpenedLease::Busy => return Ok(Opened::Busy),
            OpenedLease::Unknown => return Ok(Opened::Unknown),
        };
        match self.load(&worker, std::slice::from_ref(&leased)).await?.pop() {
            Some(Claimed::Run(run)) => Ok(Opened::Run { run, before }),
            Some(Claimed::Damaged { lease, reason, .. }) => {
                self.give_back(vec![lease]).await;
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
        self.writes
            .write(SignalItem { audit, ..signal.into() }, |pending| {
                Command::Rare(Box::new(Rare::Signal(pending)))
            })
            .await
    }

    async fn signals(&self, tenant: TenantId, run: RunId) -> Result<Vec<Signal>, StoreError> {
        let query = sqlx::query(signals!(
            "signal g",
            "WHERE g.tenant_id = ? AND g.run_id = ? ORDER BY g.node, g.item"
        ))
        .bind(id_bytes(tenant.0))
        .bind(id_bytes(run.0));
        self.read_all(query, signal).await
    }

    async fn renew(&self, leases: &[Lease], until: Timestamp) -> Result<Vec<RunId>, StoreError> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let leases = leases.to_vec();
        self.writes.write(Renew { leases, until }, Command::Renew).await
    }

    async fn settle(&self, settle: Settle) -> Result<(), StoreError> {
        let item: Box<SettleItem> = Box::new(settle.into());
        if item.pauses.is_empty() {
            return self.writes.write(item, Command::Settle).await;
        }
        self.write_and_forget(item, Command::Settle).await
    }

    async fn request_cancel(
        &self,
        tenant: TenantId,
        run: RunId,
        audit: Option<AuditEntry>,
    ) -> Result<CancelRequest, StoreError> {
        let audit = audit.map(Box::new);
        self.writes.write(Cancel { tenant, run, audit }, Command::Cancel).await
    }

    async fn cancel_requested(&self, among: &[RunId]) -> Result<Vec<RunId>, StoreError> {
        // One that had ended by such a wish, and is repaired, is not to end again.
        let query = sqlx::query(
            "SELECT q.run_id FROM queue q CROSS JOIN run r
               ON r.tenant_id = q.tenant_id AND r.id = q.run_id
             WHERE q.run_id IN (SELECT unhex(value) FROM json_each(?)) AND r.cancel_requested
               AND r.ended_at IS NULL",
        )
        .bind(id_list(among.iter().map(|run| run.0)));
        self.read_all(query, |row| Ok(RunId(row.id(0)?))).await
    }

    async fn signalled(&self, among: &[RunId]) -> Result<Vec<RunId>, StoreError> {
        let query = sqlx::query(
            "SELECT q.run_id FROM queue q
             WHERE q.run_id IN (SELECT unhex(value) FROM json_each(?))
               AND EXISTS (SELECT 1 FROM signal g WHERE g.run_id = q.run_id)",
        )
        .bind(id_list(among.iter().map(|run| run.0)));
        self.read_all(query, |row| Ok(RunId(row.id(0)?))).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        // One look into the index for each priority.
        let query = sqlx::query(
            "SELECT min(first) FROM (
               SELECT min(available_at) AS first FROM queue WHERE priority = 0
               UNION ALL SELECT min(available_at) FROM queue WHERE priority = 1
               UNION ALL SELECT min(available_at) FROM queue WHERE priority = 2)",
        );
        let first = self.read_one(query, |row| row.maybe_time(0)).await?;
        Ok(first.flatten().and_then(due))
    }

    async fn node_state(
        &self,
        tenant: TenantId,
        workflow: WorkflowId,
        node: &str,
        key: &str,
    ) -> Result<Option<(Json, u64)>, StoreError> {
        let query = sqlx::query(
            "SELECT value, version FROM state
             WHERE tenant_id = ? AND workflow_id = ? AND node = ? AND key = ?",
        )
        .bind(id_bytes(tenant.0))
        .bind(id_bytes(workflow.0))
        .bind(node.to_owned())
        .bind(key.to_owned());
        self.read_one(query, node_state).await
    }
}

impl SqliteStore {
    /// Reads runs that were just leased, or gives the leases back.
    async fn load(&self, worker: &WorkerId, leased: &[Leased]) -> Result<Vec<Claimed>, StoreError> {
        let read = self.read(async |reader| claim::load(reader, worker, leased).await).await;
        if read.is_err() {
            self.give_back(leases(worker, leased)).await;
        }
        read
    }

    /// Gives leases back as if they had not been taken. Where that fails, they run out.
    async fn give_back(&self, leases: Vec<Lease>) {
        let give_back = |pending| Command::Rare(Box::new(Rare::GiveBack(pending)));
        let _ = self.writes.write(leases, give_back).await;
    }
}
