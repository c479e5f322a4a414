//! Whose turn it is, where more is due than a claim takes: some runs of every tenant.
//!
//! Statements compare rows of columns, in the order of the index `queue_turn`: no other index has that
//! order. With a column that is equal to something, PostgreSQL could take one that leads past all runs of
//! whoever has the most.

use sqlx::Row;
use sqlx::postgres::PgRow;
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::store::{Claim, Turns};
use uuid::Uuid;

use super::claim::{count, held};
use super::error::Fault;
use super::scope::HostTx;
use crate::turn::{Due, TENANTS_IN_TURN, TENANTS_PASSED, of_each};

/// Some of every tenant's that may have one more: the longest due of each, locked.
pub(super) async fn due_of_each(
    tx: &mut HostTx<'_>,
    (claim, turns): (&Claim, &Turns),
    (priority, limit): (i16, usize),
) -> Result<Vec<Due>, Fault> {
    let class = (priority, claim.now);
    let mut tenants = tenants(tx, class, (turns.first, None)).await?;
    if tenants.len() < TENANTS_IN_TURN {
        tenants.extend(self::tenants(tx, class, (FIRST, Some(turns.first))).await?);
        tenants.truncate(TENANTS_IN_TURN);
    }
    tenants.retain(|tenant| turns.shares.has_room_for(TenantId(*tenant)));
    if tenants.is_empty() {
        return Ok(Vec::new());
    }
    let of_each = of_each(tenants.len(), limit);
    let rows = sqlx::query(
        "SELECT due.available_at, due.run_id, due.tenant_id
         FROM unnest($5::uuid[]) AS turn (tenant)
         CROSS JOIN LATERAL (
           SELECT available_at, run_id, tenant_id FROM queue
           WHERE (priority, tenant_id, available_at) >= ($1, turn.tenant, 0)
             AND (priority, tenant_id, available_at) <= ($1, turn.tenant, $2)
             AND claims < 2 AND run_id <> ALL($3)
           ORDER BY priority, tenant_id, available_at, run_id LIMIT $4
           FOR UPDATE SKIP LOCKED) AS due",
    )
    .bind(priority)
    .bind(claim.now.0)
    .bind(held(claim))
    .bind(count(of_each))
    .bind(tenants)
    .fetch_all(tx.sql())
    .await?;
    rows.iter().map(read_due).collect()
}

/// Before all tenants.
const FIRST: TenantId = TenantId(Uuid::nil());

/// Who has runs of this priority that are due: from a tenant on, and before one. Each is found by two
/// steps in the index, however many runs it has.
async fn tenants(
    tx: &mut HostTx<'_>,
    (priority, now): (i16, Timestamp),
    (from, before): (TenantId, Option<TenantId>),
) -> Result<Vec<Uuid>, Fault> {
    let tenants = sqlx::query_scalar(
        "WITH RECURSIVE next (tenant, passed) AS (
           (SELECT tenant_id, 1 FROM queue
            WHERE (priority, tenant_id) >= ($1, $2) AND priority <= $1
            ORDER BY priority, tenant_id LIMIT 1)
           UNION ALL
           SELECT (SELECT tenant_id FROM queue
                   WHERE (priority, tenant_id) > ($1, next.tenant) AND priority <= $1
                   ORDER BY priority, tenant_id LIMIT 1), next.passed + 1
           FROM next
           WHERE next.tenant IS NOT NULL AND ($3::uuid IS NULL OR next.tenant < $3)
             AND next.passed < $5
         )
         SELECT tenant FROM next WHERE tenant IS NOT NULL AND ($3::uuid IS NULL OR tenant < $3)
           AND (SELECT available_at FROM queue
                WHERE (priority, tenant_id, available_at) >= ($1, next.tenant, 0)
                  AND (priority, tenant_id, available_at) <= ($1, next.tenant, $6)
                ORDER BY priority, tenant_id, available_at LIMIT 1) IS NOT NULL
         LIMIT $4",
    )
    .bind(priority)
    .bind(from.0)
    .bind(before.map(|tenant| tenant.0))
    .bind(count(TENANTS_IN_TURN))
    .bind(count(TENANTS_PASSED))
    .bind(now.0)
    .fetch_all(tx.sql())
    .await?;
    Ok(tenants)
}

/// A run that is due: since when, which, and whose.
pub(super) fn read_due(row: &PgRow) -> Result<Due, Fault> {
    Ok(Due {
        since: Timestamp(row.try_get(0)?),
        run: RunId(row.try_get(1)?),
        tenant: TenantId(row.try_get(2)?),
    })
}
