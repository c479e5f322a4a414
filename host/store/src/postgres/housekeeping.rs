//! Housekeeping: finding what can go.

use super::{PostgresStore, forget};
use async_trait::async_trait;
use std::collections::BTreeMap;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{EventId, RunId, TenantId, WorkflowId};
use tombolo_core::ports::store::SweepCursor;
use tombolo_core::ports::store::{Housekeeping, StoreError, Swept, Vacuumed};
use uuid::Uuid;

use super::error::Fault;
use super::keep::{forgettable, unneeded};
use super::retried::write_tenant;
use super::scope::{HostTx, TenantTx};
use crate::group::Wait;
use crate::record::{content_hash, made_at};
use crate::rows::Columns;

/// Runs of a workflow that ended before that time and that nobody needs, the oldest first.
pub(super) async fn old_runs(
    tx: &mut TenantTx<'_>,
    workflow: WorkflowId,
    ended_before: Timestamp,
    limit: u32,
) -> Result<Vec<RunId>, Fault> {
    // Newer runs than `$4` are not even looked at: none has ended before it was made.
    let rows = sqlx::query(concat!(
        "SELECT r.id FROM run r
         WHERE r.tenant_id = $1 AND r.workflow_id = $3 AND r.id < $4 AND ",
        forgettable!("$2"),
        " ORDER BY r.id LIMIT $5"
    ))
    .bind(tx.tenant().0)
    .bind(ended_before.0)
    .bind(workflow.0)
    .bind(made_at(ended_before))
    .bind(i64::from(limit))
    .fetch_all(tx.sql())
    .await?;
    rows.iter().map(|row| Ok(RunId(row.id(0)?))).collect()
}

/// Events that started no run and came before that time, the oldest first.
pub(super) async fn loose_events(
    tx: &mut HostTx<'_>,
    received_before: Timestamp,
    limit: u32,
) -> Result<Vec<(TenantId, EventId)>, Fault> {
    let rows = sqlx::query(
        "SELECT tenant_id, id FROM event WHERE run_ids = '' AND received_at < $1
         ORDER BY received_at LIMIT $2",
    )
    .bind(received_before.0)
    .bind(i64::from(limit))
    .fetch_all(tx.sql())
    .await?;
    rows.iter().map(|row| Ok((TenantId(row.id(0)?), EventId(row.id(1)?)))).collect()
}

/// Notes of runs that have ended: those are not in the queue. OFFSET: as in `keep`.
pub(super) async fn over_waits(tx: &mut HostTx<'_>, limit: u32) -> Result<Vec<Wait>, Fault> {
    let rows = sqlx::query(
        "SELECT w.tenant_id, w.connection, w.run_id FROM connection_wait w
         WHERE NOT EXISTS (SELECT 1 FROM queue q
                           WHERE q.run_id = w.run_id AND q.tenant_id = w.tenant_id
                           OFFSET 0)
         LIMIT $1",
    )
    .bind(i64::from(limit))
    .fetch_all(tx.sql())
    .await?;
    let wait = |row| {
        let row: &sqlx::postgres::PgRow = row;
        let (tenant, run) = (TenantId(row.id(0)?), RunId(row.id(2)?));
        Ok(Wait { tenant, connection: row.text(1)?.to_owned(), run })
    };
    rows.iter().map(wait).collect()
}

/// Payloads that a part of a sweep looked at.
#[derive(Debug)]
pub(super) struct LookedAt {
    /// Those that nobody needs.
    pub(super) loose: Vec<SweepCursor>,
    /// Where the next part starts; None if this was the last.
    pub(super) next: Option<SweepCursor>,
}

/// Looks at `limit` payloads after `after`.
pub(super) async fn loose_payloads(
    tx: &mut HostTx<'_>,
    after: Option<&SweepCursor>,
    limit: u32,
) -> Result<LookedAt, Fault> {
    // Before all others: no hash is empty.
    let (hash, tenant) =
        after.map_or((&[][..], Uuid::nil()), |after| (&after.hash.0[..], after.tenant.0));
    let rows = sqlx::query(concat!(
        "SELECT p.hash, p.tenant_id, ",
        unneeded!(),
        " FROM (SELECT hash, tenant_id FROM payload WHERE (hash, tenant_id) > ($1, $2)
                ORDER BY hash, tenant_id LIMIT $3) p
          ORDER BY p.hash, p.tenant_id"
    ))
    .bind(hash)
    .bind(tenant)
    .bind(i64::from(limit))
    .fetch_all(tx.sql())
    .await?;
    let (mut last, mut loose) = (None, Vec::new());
    for row in &rows {
        let hash = content_hash(row.bytes(0)?)?;
        let payload = SweepCursor { hash, tenant: TenantId(row.id(1)?) };
        if row.flag(2)? {
            loose.push(payload.clone());
        }
        last = Some(payload);
    }
    let full = rows.len() == limit as usize;
    Ok(LookedAt { loose, next: last.filter(|_| full) })
}

#[async_trait]
impl Housekeeping for PostgresStore {
    async fn forget(
        &self,
        (tenant, workflow): (TenantId, WorkflowId),
        ended_before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let runs =
            self.read(tenant, async |tx| old_runs(tx, workflow, ended_before, limit).await).await?;
        if runs.is_empty() {
            return Ok(0);
        }
        write_tenant!(self, tenant, |tx| forget::runs(tx, &runs, ended_before))
    }

    async fn forget_events(
        &self,
        received_before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let found =
            self.read_as_host(async |tx| loose_events(tx, received_before, limit).await).await?;
        let mut gone = 0;
        for (tenant, events) in by_tenant(found) {
            let events: Vec<Uuid> = events.into_iter().map(|event| event.0).collect();
            gone += write_tenant!(self, tenant, |tx| forget::events(tx, events.clone()))?;
        }
        Ok(gone)
    }

    async fn forget_waits(&self, limit: u32) -> Result<u64, StoreError> {
        let found = self.read_as_host(async |tx| over_waits(tx, limit).await).await?;
        let found = found.into_iter().map(|wait| (wait.tenant, (wait.connection, wait.run)));
        let mut gone = 0;
        for (tenant, notes) in by_tenant(found) {
            gone += write_tenant!(self, tenant, |tx| forget::waits(tx, &notes))?;
        }
        Ok(gone)
    }

    async fn sweep_payloads(
        &self,
        after: Option<SweepCursor>,
        limit: u32,
    ) -> Result<Swept, StoreError> {
        let LookedAt { loose, next } =
            self.read_as_host(async |tx| loose_payloads(tx, after.as_ref(), limit).await).await?;
        let loose = loose.into_iter().map(|payload| (payload.tenant, payload.hash.0.to_vec()));
        let mut deleted = 0;
        for (tenant, hashes) in by_tenant(loose) {
            deleted += write_tenant!(self, tenant, |tx| forget::payloads(tx, &hashes))?;
        }
        Ok(Swept { deleted, next })
    }

    /// Nothing: the server frees room by itself, and writes to it again.
    async fn vacuum(&self, _pages: u32) -> Result<Vacuumed, StoreError> {
        Ok(Vacuumed { freed_bytes: 0, free_bytes: 0 })
    }
}

/// What was found of all tenants, for the transactions of each.
fn by_tenant<T>(found: impl IntoIterator<Item = (TenantId, T)>) -> BTreeMap<TenantId, Vec<T>> {
    let mut by_tenant: BTreeMap<TenantId, Vec<T>> = BTreeMap::new();
    for (tenant, one) in found {
        by_tenant.entry(tenant).or_default().push(one);
    }
    by_tenant
}
