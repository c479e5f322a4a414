//! Forgetting what belongs to no run: events that nobody listened to, and notes of runs that wait no
//! more.

use rusqlite::{Connection, params};
use tombolo_core::id::{EventId, TenantId};
use uuid::Uuid;

use super::forget;
use crate::group::{LooseEvents, Wait};
use crate::record::id;
use crate::sqlite::error::Fault;

/// The oldest first.
pub(super) const OLD_EVENTS: &str = "SELECT tenant_id, id FROM event INDEXED BY event_loose
     WHERE run_ids = x'' AND received_at < ? ORDER BY received_at LIMIT ?";

/// Deletes old events that started no run.
pub(super) fn events(connection: &Connection, loose: &LooseEvents) -> Result<u64, Fault> {
    let mut found = connection.prepare_cached(OLD_EVENTS)?;
    let found = found.query_map(params![loose.received_before.0, loose.limit], |row| {
        Ok((TenantId(Uuid::from_bytes(row.get(0)?)), EventId(Uuid::from_bytes(row.get(1)?))))
    })?;
    let found = found.collect::<Result<Vec<_>, _>>()?;
    for (tenant, event) in &found {
        forget::event(connection, *tenant, *event)?;
    }
    Ok(found.len() as u64)
}

/// Deletes those of the notes whose runs have ended.
pub(super) fn waits(connection: &Connection, found: &[Wait]) -> Result<u64, Fault> {
    let mut deleted = 0;
    for wait in found {
        deleted += connection
            .prepare_cached(
                "DELETE FROM connection_wait
                 WHERE tenant_id = ?1 AND connection = ?2 AND run_id = ?3
                   AND NOT EXISTS (SELECT 1 FROM queue WHERE run_id = ?3)",
            )?
            .execute(params![id(&wait.tenant.0), wait.connection, id(&wait.run.0)])?;
    }
    Ok(deleted as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans::{database, explain};

    #[test]
    fn old_events_without_runs_are_found_along_their_index() {
        let plan = explain(&database(), OLD_EVENTS);
        assert_eq!(plan.len(), 1, "{plan:#?}");
        assert!(plan[0].contains("event_loose (received_at<?)"), "{plan:#?}");
    }
}
