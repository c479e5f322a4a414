//! Places in the queue, made due by what comes from outside.

use rusqlite::{Connection, params};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{RunId, TenantId};

use crate::record::id;
use crate::sqlite::error::Fault;

/// Makes a run due by `now`, unless somebody holds it.
pub(super) fn wake(connection: &Connection, run: RunId, now: Timestamp) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "UPDATE queue SET available_at = min(available_at, ?)
             WHERE run_id = ? AND lease_owner IS NULL",
        )?
        .execute(params![now.0, id(&run.0)])?;
    Ok(())
}

/// Notes that a run waits for connections, whose names are given as a JSON array.
pub(super) fn wait_for(
    connection: &Connection,
    (tenant, run): (TenantId, RunId),
    names: &str,
) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO connection_wait (tenant_id, connection, run_id)
             SELECT ?1, value, ?2 FROM json_each(?3) WHERE true ON CONFLICT DO NOTHING",
        )?
        .execute(params![id(&tenant.0), id(&run.0), names])?;
    Ok(())
}

/// Makes the runs due that wait for a connection, and gives how many there were.
pub(super) fn wake_waiting_for(
    connection: &Connection,
    (tenant, name): (TenantId, &str),
    now: Timestamp,
) -> Result<u64, Fault> {
    let due = connection
        .prepare_cached(
            "UPDATE queue SET available_at = ?1
             WHERE run_id IN (SELECT run_id FROM connection_wait
                              WHERE tenant_id = ?2 AND connection = ?3)
               AND lease_owner IS NULL AND available_at > ?1
               AND EXISTS (SELECT 1 FROM json_each(connections) WHERE value = ?3)",
        )?
        .execute(params![now.0, id(&tenant.0), name])?;
    connection
        .prepare_cached("DELETE FROM connection_wait WHERE tenant_id = ? AND connection = ?")?
        .execute(params![id(&tenant.0), name])?;
    Ok(due as u64)
}
