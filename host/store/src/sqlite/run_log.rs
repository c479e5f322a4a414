//! The log of runs: every write waits for the writer, every read has a reader of its own.

use async_trait::async_trait;
use sqlx::Row;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{RunId, TenantId, WorkflowId};
use tombolo_core::json::Json;
use tombolo_core::ports::store::{
    Accept, Accepted, CancelRequest, Claim, Claimed, Lease, RunLog, Settle, StoreError,
};

use super::row::id_bytes;
use super::{SqliteStore, claim};
use crate::group::{Cancel, Command, Rare, Renew};
use crate::record::unsigned;

#[async_trait]
impl RunLog for SqliteStore {
    async fn accept(&self, batch: Vec<Accept>) -> Result<Vec<Accepted>, StoreError> {
        let items = batch.into_iter().map(Into::into).collect();
        self.writes.write(items, Command::Accept).await
    }

    async fn take_over(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.writes.write(now, |pending| Command::Rare(Box::new(Rare::TakeOver(pending)))).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError> {
        let worker = claim.worker.clone();
        let leased = self.writes.write(claim, Command::Claim).await?;
        if leased.is_empty() {
            return Ok(Vec::new());
        }
        let read = self.read(async |reader| claim::load(reader, &worker, &leased).await).await;
        if read.is_err() {
            let leases = claim::leases(&worker, &leased);
            let give_back = |pending| Command::Rare(Box::new(Rare::GiveBack(pending)));
            // Where that fails, too, the leases run out.
            let _ = self.writes.write(leases, give_back).await;
        }
        read
    }

    async fn renew(&self, leases: &[Lease], until: Timestamp) -> Result<Vec<RunId>, StoreError> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let leases = leases.to_vec();
        self.writes.write(Renew { leases, until }, Command::Renew).await
    }

    async fn settle(&self, settle: Settle) -> Result<(), StoreError> {
        let item = Box::new(settle.into());
        self.writes.write(item, Command::Settle).await
    }

    async fn request_cancel(
        &self,
        tenant: TenantId,
        run: RunId,
        now: Timestamp,
    ) -> Result<CancelRequest, StoreError> {
        self.writes.write(Cancel { tenant, run, now }, Command::Cancel).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let query = sqlx::query("SELECT min(available_at) FROM queue");
        let due = self.read_one(query, |row| Ok(row.try_get::<Option<i64>, _>(0)?)).await?;
        Ok(due.flatten().map(Timestamp))
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
        self.read_one(query, |row| {
            let value = Json::from_trusted(row.try_get::<String, _>(0)?);
            Ok((value, unsigned(row.try_get(1)?)?))
        })
        .await
    }
}
