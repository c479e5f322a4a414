//! The clock was set back: what was due by the old time is due now, and who waits for a time that was
//! counted from an old one waits as long as before.

use rusqlite::{Connection, params};
use tombolo_core::clock::Timestamp;

use crate::record::NEVER;
use crate::sqlite::error::Fault;

const NS_PER_MS: i64 = 1_000_000;

/// Makes up for a jump from `from` to `now`, and gives how many runs are due by that.
///
/// Times that workflows and people have named stay: of deadlines, of retries, of waits.
pub(super) fn apply(
    connection: &Connection,
    (from, now): (Timestamp, Timestamp),
) -> Result<u64, Fault> {
    let jump_ms = from.0.saturating_sub(now.0);
    if jump_ms <= 0 {
        return Ok(0);
    }
    connection.execute(
        "UPDATE queue SET ready_at = max(?1, ready_at - ?2) WHERE flow = 1 AND ready_at > ?1",
        params![now.0, jump_ms],
    )?;
    connection.execute(
        "UPDATE gathering SET earliest = max(?1, earliest - ?2), latest = max(?1, latest - ?2)
         WHERE latest > ?1",
        params![now.0, jump_ms],
    )?;
    connection.execute(
        "UPDATE throttle SET tat_ns = max(?1, tat_ns - ?2) WHERE tat_ns > ?1",
        params![now.0.saturating_mul(NS_PER_MS), jump_ms.saturating_mul(NS_PER_MS)],
    )?;
    let due = hasten_due(connection, from, now)?;
    hasten_held(connection, now)?;
    Ok(due)
}

/// What was due, and what waits for nothing but its turn.
fn hasten_due(connection: &Connection, from: Timestamp, now: Timestamp) -> Result<u64, Fault> {
    let due = connection.execute(
        "UPDATE queue SET available_at = ?1
         WHERE lease_owner IS NULL AND available_at > ?1
           AND (available_at <= ?2 OR (flow = 0 AND EXISTS (
             SELECT 1 FROM run r WHERE r.tenant_id = queue.tenant_id AND r.id = queue.run_id
               AND r.state = 'queued')))",
        params![now.0, from.0],
    )?;
    Ok(due as u64)
}

/// Those that have their places, and that a throttle or a debounce keeps.
fn hasten_held(connection: &Connection, now: Timestamp) -> Result<(), Fault> {
    connection.execute(
        "UPDATE queue SET available_at = min(available_at, max(?1, ready_at))
         WHERE lease_owner IS NULL AND flow = 1 AND available_at > ?1 AND available_at < ?2
           AND EXISTS (SELECT 1 FROM run r WHERE r.tenant_id = queue.tenant_id
                         AND r.id = queue.run_id AND r.state = 'queued')
           AND NOT EXISTS (SELECT 1 FROM lane l WHERE l.run_id = queue.run_id AND l.state <> 0)",
        params![now.0, NEVER.0],
    )?;
    Ok(())
}

/// The latest time that is known to have been before: when the youngest run in the queue came.
pub(super) fn latest_known(connection: &Connection) -> Result<Option<Timestamp>, Fault> {
    let latest: Option<i64> = connection.query_row(
        "SELECT max(r.created_at) FROM queue q CROSS JOIN run r
           ON r.tenant_id = q.tenant_id AND r.id = q.run_id",
        [],
        |row| row.get(0),
    )?;
    Ok(latest.map(Timestamp))
}
