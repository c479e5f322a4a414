//! Pauses of connections: nobody calls through one whose credentials were refused.

use rusqlite::{Connection, params};

use super::{audit, queue};
use crate::group::Resume;
use crate::record::{SettleItem, id};
use crate::sqlite::error::Fault;

/// Pauses connections. One that is paused keeps the first time and reason.
pub(super) fn set(connection: &Connection, item: &SettleItem) -> Result<(), Fault> {
    for pause in &item.pauses {
        connection
            .prepare_cached(
                "UPDATE connection SET paused_at = ?, paused_reason = ?
                 WHERE tenant_id = ? AND name = ? AND paused_at IS NULL",
            )?
            .execute(params![item.now.0, pause.reason, id(&item.tenant.0), pause.connection])?;
    }
    Ok(())
}

/// Ends a pause, and makes the runs due that wait for it. None if there is no such connection.
pub(super) fn end(connection: &Connection, resume: &Resume) -> Result<Option<u64>, Fault> {
    let Resume { tenant, name, now, audit } = resume;
    let found = connection.execute(
        "UPDATE connection SET paused_at = NULL, paused_reason = NULL
         WHERE tenant_id = ? AND name = ?",
        params![id(&tenant.0), name],
    )?;
    if found == 0 {
        return Ok(None);
    }
    audit::append(connection, *tenant, [audit])?;
    queue::wake_waiting_for(connection, (*tenant, name), *now).map(Some)
}
