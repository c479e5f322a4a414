//! How often runs start: the generic cell rate algorithm (ITU-T I.371, annex A) in its form of a
//! virtual schedule, with a burst of as many runs as the rule allows in its time.

use rusqlite::{Connection, OptionalExtension, params};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::TenantId;
use tombolo_core::ports::store::Throttle;

use crate::record::id;
use crate::sqlite::error::Fault;

const NS_PER_MS: i64 = 1_000_000;

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

/// The start, and the schedule after it, from the schedule before it.
fn schedule(rule: &Throttle, tat_ns: Option<i64>, now_ns: i64) -> (Timestamp, i64) {
    let per_ns = i64::try_from(rule.per.as_nanos()).unwrap_or(i64::MAX);
    // Rounded up: never more runs than the rule allows.
    let runs = i64::from(rule.runs.max(1));
    let interval_ns = per_ns / runs + i64::from(per_ns % runs != 0);
    let tat_ns = tat_ns.unwrap_or(now_ns).max(now_ns);
    let burst_ns = per_ns.saturating_sub(interval_ns);
    let start_ns = tat_ns.saturating_sub(burst_ns).max(now_ns);
    let start_ms = start_ns / NS_PER_MS + i64::from(start_ns % NS_PER_MS != 0);
    (Timestamp(start_ms), tat_ns.saturating_add(interval_ns))
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
