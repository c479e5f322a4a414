//! Whose turn it is: which of the due runs a claim takes, by their priorities and their tenants.

use rusqlite::{Connection, Row, params};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::store::{Claim, Turns};
use uuid::Uuid;

use super::claim::{count, held};
use crate::record::id;
use crate::sqlite::error::Fault;
use crate::turn::{Due, TENANTS_IN_TURN, TENANTS_PASSED, choose, of_each};

/// Which runs a claim takes.
pub(super) enum Turn {
    /// The longest due of normal priority: no other is due, and they are all one tenant's.
    Usual,
    /// These.
    These(Vec<RunId>),
}

/// Looks at what is due.
pub(super) fn pick(connection: &Connection, claim: &Claim, limit: usize) -> Result<Turn, Fault> {
    let usual = connection
        .prepare_cached(
            "SELECT NOT EXISTS (
                  SELECT 1 FROM queue WHERE priority = 0 AND available_at <= ?1 AND claims < 2)
                AND NOT EXISTS (
                  SELECT 1 FROM queue WHERE priority = 2 AND available_at <= ?1 AND claims < 2)",
        )?
        .query_row([claim.now.0], |row| row.get(0))?;
    if usual && claim.turns.is_none() {
        return Ok(Turn::Usual);
    }
    let mut classes = Vec::with_capacity(3);
    for priority in 0..3 {
        let mut class = due(connection, claim, (priority, limit))?;
        if let Some(turns) = &claim.turns
            && class.len() == limit
        {
            class.extend(due_of_each(connection, (claim, turns), (priority, limit))?);
        }
        classes.push(class);
    }
    Ok(Turn::These(choose(classes, limit, claim.turns.as_ref())))
}

/// The longest due of a priority, so many at most, without suspects.
fn due(
    connection: &Connection,
    claim: &Claim,
    (priority, limit): (i64, usize),
) -> Result<Vec<Due>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT available_at, run_id, tenant_id FROM queue INDEXED BY queue_due
         WHERE priority = ?1 AND available_at <= ?2
           AND claims < 2 AND run_id NOT IN (SELECT unhex(value) FROM json_each(?4))
         ORDER BY available_at, run_id LIMIT ?3",
    )?;
    let rows =
        statement.query_map(params![priority, claim.now.0, count(limit), held(claim)], read_due)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Some of every tenant's that may have one more: the longest due of each.
fn due_of_each(
    connection: &Connection,
    (claim, turns): (&Claim, &Turns),
    (priority, limit): (i64, usize),
) -> Result<Vec<Due>, Fault> {
    let class = (priority, claim.now);
    let mut tenants = tenants(connection, class, (&turns.first, None))?;
    if tenants.len() < TENANTS_IN_TURN {
        tenants.extend(self::tenants(connection, class, (&FIRST, Some(&turns.first)))?);
        tenants.truncate(TENANTS_IN_TURN);
    }
    tenants.retain(|tenant| turns.shares.has_room_for(*tenant));
    let of_each = count(of_each(tenants.len(), limit));
    let mut statement = connection.prepare_cached(
        "SELECT available_at, run_id, tenant_id FROM queue INDEXED BY queue_turn
         WHERE priority = ?1 AND tenant_id = ?5 AND available_at <= ?2
           AND claims < 2 AND run_id NOT IN (SELECT unhex(value) FROM json_each(?4))
         ORDER BY available_at, run_id LIMIT ?3",
    )?;
    let mut due = Vec::new();
    for tenant in tenants {
        let tenant = id(&tenant.0);
        let rows = statement
            .query_map(params![priority, claim.now.0, of_each, held(claim), tenant], read_due)?;
        for one in rows {
            due.push(one?);
        }
    }
    Ok(due)
}

/// Before all tenants.
const FIRST: TenantId = TenantId(Uuid::nil());

/// Who has runs of this priority that are due: from a tenant on, and before one. Each is found by two
/// steps in the index, however many runs it has.
fn tenants(
    connection: &Connection,
    (priority, now): (i64, Timestamp),
    (from, before): (&TenantId, Option<&TenantId>),
) -> Result<Vec<TenantId>, Fault> {
    let mut statement = connection.prepare_cached(
        "WITH RECURSIVE next (tenant) AS (
           SELECT min(tenant_id) FROM queue INDEXED BY queue_turn
           WHERE priority = ?1 AND tenant_id >= ?2
           UNION ALL
           SELECT (SELECT min(tenant_id) FROM queue INDEXED BY queue_turn
                   WHERE priority = ?1 AND tenant_id > next.tenant)
           FROM next
           WHERE next.tenant IS NOT NULL AND (?3 IS NULL OR next.tenant < ?3)
           LIMIT ?4
         )
         SELECT tenant FROM next
         WHERE tenant IS NOT NULL AND (?3 IS NULL OR tenant < ?3)
           AND EXISTS (SELECT 1 FROM queue INDEXED BY queue_turn
                       WHERE priority = ?1 AND tenant_id = next.tenant AND available_at <= ?5)
         LIMIT ?6",
    )?;
    let before = before.map(|tenant| id(&tenant.0));
    let (passed, found) = (count(TENANTS_PASSED), count(TENANTS_IN_TURN));
    let rows = statement
        .query_map(params![priority, id(&from.0), before, passed, now.0, found], |row| {
            Ok(TenantId(Uuid::from_bytes(row.get(0)?)))
        })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn read_due(row: &Row<'_>) -> Result<Due, rusqlite::Error> {
    let (run, tenant) = (row.get(1)?, row.get(2)?);
    Ok(Due {
        since: Timestamp(row.get(0)?),
        run: RunId(Uuid::from_bytes(run)),
        tenant: TenantId(Uuid::from_bytes(tenant)),
    })
}
