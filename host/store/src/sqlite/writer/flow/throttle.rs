//! How often runs start, by the schedule that both databases share.

use rusqlite::{Connection, OptionalExtension, params};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::Throttle;

use crate::record::{NS_PER_MS, id, schedule};
use crate::sqlite::error::Fault;

/// Rows deleted with each start that say nothing any more: more than the one that a start adds.
const SWEPT: i64 = 2;

/// When one more run may start, which is on record then.
pub(super) fn next_start(
    connection: &Connection,
    tenant: TenantId,
    rule: &Throttle,
    now: Timestamp,
) -> Result<Timestamp, Fault> {
    let now_ns = now.0.saturating_mul(NS_PER_MS);
    sweep(connection, now_ns)?;
    let tat: Option<i64> = connection
        .prepare_cached("SELECT tat_ns FROM throttle WHERE tenant_id = ? AND name = ?")?
        .query_row(params![id(&tenant.0), rule.name], |row| row.get(0))
        .optional()?;
    let (start, tat) = schedule(rule, tat, now_ns);
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO throttle (tenant_id, name, tat_ns) VALUES (?, ?, ?)",
        )?
        .execute(params![id(&tenant.0), rule.name, tat])?;
    Ok(start)
}

fn sweep(connection: &Connection, now_ns: i64) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "DELETE FROM throttle WHERE (tenant_id, name) IN
               (SELECT tenant_id, name FROM throttle WHERE tat_ns <= ? ORDER BY tat_ns LIMIT ?)",
        )?
        .execute([now_ns, SWEPT])?;
    Ok(())
}
