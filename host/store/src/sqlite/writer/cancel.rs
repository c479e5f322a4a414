//! The wish to end a run. It reaches the runs that this one has called and waits for.

use rusqlite::{Connection, OptionalExtension};
use tombolo_core::clock::Timestamp;
use tombolo_core::id::{RunId, TenantId};
use tombolo_core::ports::store::CancelRequest;
use tombolo_core::run::MAX_CALL_DEPTH;
use uuid::Uuid;

use super::{audit, queue};
use crate::group::Cancel;
use crate::record::{cancel_state, id};
use crate::sqlite::error::Fault;

/// Before everything else that is due: it takes no work to end a run.
const FIRST: Timestamp = Timestamp(0);

/// Puts the wish on record, and makes the runs due at once unless somebody holds them.
pub(super) fn apply(connection: &Connection, cancel: &Cancel) -> Result<CancelRequest, Fault> {
    let (tenant, run) = (id(&cancel.tenant.0), id(&cancel.run.0));
    let state: Option<String> = connection
        .prepare_cached("SELECT state FROM run WHERE tenant_id = ? AND id = ?")?
        .query_row([tenant, run], |row| row.get(0))
        .optional()?;
    let met = cancel_state(state.as_deref())?;
    if met == CancelRequest::Requested {
        request(connection, cancel.tenant, cancel.run)?;
        audit::append(connection, cancel.tenant, cancel.audit.as_deref())?;
        reach_called(connection, cancel.tenant, cancel.run)?;
    }
    Ok(met)
}

/// Puts the wish on record for the runs that `run` has called and that go on, and for those that
/// they have called. Not for what a run has called that has ended: nothing of it goes on.
pub(super) fn reach_called(
    connection: &Connection,
    tenant: TenantId,
    run: RunId,
) -> Result<(), Fault> {
    let mut level = vec![run];
    for _ in 0..MAX_CALL_DEPTH {
        let mut called = Vec::new();
        for run in level {
            called.extend(called_by(connection, tenant, run)?);
        }
        if called.is_empty() {
            break;
        }
        for run in &called {
            request(connection, tenant, *run)?;
        }
        level = called;
    }
    Ok(())
}

/// The runs that `run` has called and that have not ended.
fn called_by(connection: &Connection, tenant: TenantId, run: RunId) -> Result<Vec<RunId>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT id FROM run INDEXED BY run_parent
         WHERE parent_run = ? AND tenant_id = ? AND ended_at IS NULL",
    )?;
    let called = statement.query_map([id(&run.0), id(&tenant.0)], |row| row.get(0))?;
    called.map(|id| Ok(RunId(Uuid::from_bytes(id?)))).collect()
}

fn request(connection: &Connection, tenant: TenantId, run: RunId) -> Result<(), Fault> {
    connection
        .prepare_cached("UPDATE run SET cancel_requested = 1 WHERE tenant_id = ? AND id = ?")?
        .execute([id(&tenant.0), id(&run.0)])?;
    queue::wake(connection, run, FIRST)
}
