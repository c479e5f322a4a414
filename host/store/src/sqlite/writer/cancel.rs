//! The wish to end a run.

use rusqlite::{Connection, OptionalExtension, params};
use tombolo_core::ports::store::CancelRequest;

use crate::group::Cancel;
use crate::record::{cancel_state, id};
use crate::sqlite::error::Fault;

/// Puts the wish on record, and makes the run due at once unless somebody holds it.
pub(super) fn apply(connection: &Connection, cancel: &Cancel) -> Result<CancelRequest, Fault> {
    let (tenant, run) = (id(&cancel.tenant.0), id(&cancel.run.0));
    let state: Option<String> = connection
        .prepare_cached("SELECT state FROM run WHERE tenant_id = ? AND id = ?")?
        .query_row([tenant, run], |row| row.get(0))
        .optional()?;
    let met = cancel_state(state.as_deref())?;
    if met != CancelRequest::Requested {
        return Ok(met);
    }
    connection
        .prepare_cached("UPDATE run SET cancel_requested = 1 WHERE tenant_id = ? AND id = ?")?
        .execute([tenant, run])?;
    connection
        .prepare_cached(
            "UPDATE queue SET available_at = min(available_at, ?)
             WHERE run_id = ? AND lease_owner IS NULL",
        )?
        .execute(params![cancel.now.0, run])?;
    Ok(met)
}
