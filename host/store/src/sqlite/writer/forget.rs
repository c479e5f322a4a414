//! Forgetting: old runs with all that belongs to them, and payloads that nobody needs.

use std::collections::BTreeSet;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params};
use tombolo_core::id::{EventId, RunId, TenantId};
use tombolo_core::ports::store::SweepCursor;
use uuid::Uuid;

use super::pack;
use crate::group::Forget;
use crate::record::{dedupe_hash, id, split_ids};
use crate::sqlite::dedupe::stored_key;
use crate::sqlite::error::Fault;
use crate::sqlite::keep::{forgettable, unneeded};

/// Every row below a run.
const BELOW: [&str; 6] = [
    "DELETE FROM step WHERE run_id = ?",
    "DELETE FROM effect WHERE run_id = ?",
    "DELETE FROM journal WHERE run_id = ?",
    "DELETE FROM signal WHERE run_id = ?",
    "DELETE FROM dead_letter WHERE run_id = ?",
    NEEDS_NO_PAYLOAD,
];

const NEEDS_NO_PAYLOAD: &str = "DELETE FROM payload_use WHERE owner_id = ?";

/// Deletes those of the runs that nobody needs, then their events of which no run is left.
pub(super) fn runs(connection: &Connection, forget: &Forget) -> Result<u64, Fault> {
    let mut forgotten = 0;
    let mut events = BTreeSet::new();
    for run in &forget.runs {
        let Some((event, last)) = delete_run(connection, forget, *run)? else {
            continue;
        };
        pack::delete(connection, last)?;
        for statement in BELOW {
            connection.prepare_cached(statement)?.execute([id(&run.0)])?;
        }
        events.insert(event);
        events.extend(joined(connection, *run)?);
        forgotten += 1;
    }
    for event in events {
        delete_event(connection, forget.tenant, event)?;
    }
    Ok(forgotten)
}

/// Deletes the run's own row, and gives its event and its last pack. None if somebody needs the run.
fn delete_run(
    connection: &Connection,
    forget: &Forget,
    run: RunId,
) -> Result<Option<(EventId, Option<i64>)>, Fault> {
    let deleted = connection
        .prepare_cached(concat!(
            "DELETE FROM run AS r WHERE r.tenant_id = ?2 AND r.id = ?3 AND ",
            forgettable!(),
            " RETURNING event_id, pack"
        ))?
        .query_row(params![forget.ended_before.0, id(&forget.tenant.0), id(&run.0)], |row| {
            Ok((EventId(Uuid::from_bytes(row.get(0)?)), row.get(1)?))
        })
        .optional()?;
    Ok(deleted)
}

/// Events that belong to the run beside its own.
fn joined(connection: &Connection, run: RunId) -> Result<Vec<EventId>, Fault> {
    let mut statement =
        connection.prepare_cached("DELETE FROM joined WHERE run_id = ? RETURNING event_id")?;
    let events = statement.query_map([id(&run.0)], |row| row.get(0))?;
    events.map(|event| Ok(EventId(Uuid::from_bytes(event?)))).collect()
}

/// Deletes the event if none of its runs is left.
fn delete_event(connection: &Connection, tenant: TenantId, of: EventId) -> Result<(), Fault> {
    let runs: Option<Vec<u8>> = connection
        .prepare_cached("SELECT run_ids FROM event WHERE tenant_id = ? AND id = ?")?
        .query_row([id(&tenant.0), id(&of.0)], |row| row.get(0))
        .optional()?;
    for run in split_ids(&runs.unwrap_or_default())? {
        let left = connection
            .prepare_cached("SELECT 1 FROM run WHERE tenant_id = ? AND id = ?")?
            .exists([id(&tenant.0), id(&run)])?;
        if left {
            return Ok(());
        }
    }
    event(connection, tenant, of)
}

/// Deletes the event with its key, its packs and its uses of payloads.
pub(super) fn event(
    connection: &Connection,
    tenant: TenantId,
    event: EventId,
) -> Result<(), Fault> {
    let deleted = connection
        .prepare_cached(
            "DELETE FROM event WHERE tenant_id = ? AND id = ? RETURNING source, dedupe_key, pack",
        )?
        .query_row([id(&tenant.0), id(&event.0)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    if let Some((source, key, last)) = deleted {
        forget_key(connection, (tenant, event), source, key)?;
        pack::delete(connection, last)?;
    }
    connection.prepare_cached(NEEDS_NO_PAYLOAD)?.execute([id(&event.0)])?;
    Ok(())
}

/// An event of the same key is a new one from now on.
fn forget_key(
    connection: &Connection,
    (tenant, event): (TenantId, EventId),
    source: String,
    key: Value,
) -> Result<(), Fault> {
    let key = stored_key(key)?;
    let hash = dedupe_hash(tenant, &source, &key);
    connection
        .prepare_cached("DELETE FROM dedupe WHERE hash = ? AND event_id = ?")?
        .execute([&hash[..], id(&event.0)])?;
    Ok(())
}

/// Deletes those of the payloads that nobody needs.
pub(super) fn payloads(connection: &Connection, found: &[SweepCursor]) -> Result<u64, Fault> {
    let mut deleted = 0;
    for payload in found {
        deleted += connection
            .prepare_cached(concat!(
                "DELETE FROM payload AS p WHERE p.hash = ?1 AND p.tenant_id = ?2 AND ",
                unneeded!()
            ))?
            .execute(params![payload.hash.0.as_slice(), id(&payload.tenant.0)])?;
    }
    Ok(deleted as u64)
}
