//! Housekeeping: a reader finds what can go, so that the writer is kept only as long as it deletes.

use async_trait::async_trait;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{RunId, TenantId, WorkflowId};
use tombolo_core::ports::store::{Housekeeping, StoreError, SweepCursor, Swept, Vacuumed};

use super::SqliteStore;
use super::ids::id_bytes;
use super::keep::{forgettable, unneeded};
use crate::group::{Command, Forget, LooseEvents, Rare, Wait};
use crate::record::{content_hash, made_at};
use crate::rows::Columns;

/// Newer runs than `?4` are not even looked at: none has ended before it was made.
const OLD_RUNS: &str = concat!(
    "SELECT r.id FROM run r INDEXED BY run_workflow
     WHERE r.tenant_id = ?2 AND r.workflow_id = ?3 AND r.id < ?4 AND ",
    forgettable!(),
    " ORDER BY r.id LIMIT ?5"
);

const LOOSE_PAYLOADS: &str = concat!(
    "SELECT p.hash, p.tenant_id, ",
    unneeded!(),
    " FROM payload p WHERE (p.hash, p.tenant_id) > (?, ?) ORDER BY p.hash, p.tenant_id LIMIT ?"
);

/// Notes of runs that have ended: those are not in the queue.
const OVER_WAITS: &str = "SELECT w.tenant_id, w.connection, w.run_id FROM connection_wait w
     WHERE NOT EXISTS (SELECT 1 FROM queue q WHERE q.run_id = w.run_id) LIMIT ?";

#[async_trait]
impl Housekeeping for SqliteStore {
    async fn forget(
        &self,
        (tenant, workflow): (TenantId, WorkflowId),
        ended_before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let query = sqlx::query(OLD_RUNS)
            .bind(ended_before.0)
            .bind(id_bytes(tenant.0))
            .bind(id_bytes(workflow.0))
            .bind(id_bytes(made_at(ended_before)))
            .bind(limit);
        let runs = self.read_all(query, |row| Ok(RunId(row.id(0)?))).await?;
        if runs.is_empty() {
            return Ok(0);
        }
        let forget = Forget { tenant, runs, ended_before };
        self.writes.write(forget, |pending| Command::Rare(Box::new(Rare::Forget(pending)))).await
    }

    async fn forget_events(
        &self,
        received_before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let loose = LooseEvents { received_before, limit };
        self.writes
            .write(loose, |pending| Command::Rare(Box::new(Rare::LooseEvents(pending))))
            .await
    }

    async fn forget_waits(&self, limit: u32) -> Result<u64, StoreError> {
        let found = self
            .read_all(sqlx::query(OVER_WAITS).bind(limit), |row| {
                let (tenant, run) = (TenantId(row.id(0)?), RunId(row.id(2)?));
                Ok(Wait { tenant, connection: row.text(1)?.to_owned(), run })
            })
            .await?;
        if found.is_empty() {
            return Ok(0);
        }
        self.writes.write(found, |pending| Command::Rare(Box::new(Rare::Waits(pending)))).await
    }

    async fn sweep_payloads(
        &self,
        after: Option<SweepCursor>,
        limit: u32,
    ) -> Result<Swept, StoreError> {
        let (hash, tenant) = match &after {
            Some(after) => (after.hash.0.to_vec(), id_bytes(after.tenant.0)),
            None => (Vec::new(), Vec::new()),
        };
        let query = sqlx::query(LOOSE_PAYLOADS).bind(hash).bind(tenant).bind(limit);
        let looked_at: Vec<(SweepCursor, bool)> = self
            .read_all(query, |row| {
                let hash = content_hash(row.bytes(0)?)?;
                Ok((SweepCursor { hash, tenant: TenantId(row.id(1)?) }, row.flag(2)?))
            })
            .await?;
        let full = looked_at.len() == limit as usize;
        let next = looked_at.last().filter(|_| full).map(|(cursor, _)| cursor.clone());
        let found: Vec<SweepCursor> =
            looked_at.into_iter().filter(|(_, loose)| *loose).map(|(cursor, _)| cursor).collect();
        if found.is_empty() {
            return Ok(Swept { deleted: 0, next });
        }
        let sweep = |pending| Command::Rare(Box::new(Rare::Sweep(pending)));
        Ok(Swept { deleted: self.writes.write(found, sweep).await?, next })
    }

    async fn vacuum(&self, pages: u32) -> Result<Vacuumed, StoreError> {
        self.writes.write(pages, |pending| Command::Rare(Box::new(Rare::Vacuum(pending)))).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans::{database, explain};

    #[test]
    fn old_runs_are_found_along_an_index_and_not_sorted() {
        let plan = explain(&database(), OLD_RUNS);
        let first = "SEARCH r USING INDEX run_workflow (tenant_id=? AND workflow_id=? AND id<?)";
        assert_eq!(plan[0], first, "{plan:#?}");
        assert!(plan.iter().all(|line| !line.contains("SCAN") && !line.contains("B-TREE")));
    }

    #[test]
    fn a_sweep_reads_no_payload_and_looks_up_everything_by_index() {
        let plan = explain(&database(), LOOSE_PAYLOADS);
        assert!(plan[0].starts_with("SEARCH p USING COVERING INDEX"), "{plan:#?}");
        let searches = plan.iter().filter(|line| line.starts_with("SEARCH"));
        assert_eq!(searches.count(), 3, "{plan:#?}");
        assert!(plan.iter().all(|line| !line.contains("SCAN ") || line.contains("SUBQUERY")));
        assert!(plan.iter().all(|line| !line.contains("B-TREE")), "{plan:#?}");
    }
}
