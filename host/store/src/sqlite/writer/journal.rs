//! Calls of earlier attempts.

use rusqlite::{Connection, params};

use crate::record::{FAILED, JournalRecord, SettleItem, id};
use crate::sqlite::error::Fault;

/// Deletes the journals of steps that have no other attempt, or whose calls are to be made anew.
pub(super) fn forget(connection: &Connection, item: &SettleItem) -> Result<(), Fault> {
    for step in &item.forgets {
        connection
            .prepare_cached("DELETE FROM journal WHERE run_id = ? AND node = ? AND item = ?")?
            .execute(params![id(&item.lease.run.0), step.node, step.item])?;
    }
    Ok(())
}

/// Writes the calls. What went well at a place stays: it is what happened first.
pub(super) fn insert(connection: &Connection, item: &SettleItem) -> Result<(), Fault> {
    for entry in &item.journal {
        insert_one(connection, item, entry)?;
    }
    Ok(())
}

fn insert_one(
    connection: &Connection,
    item: &SettleItem,
    entry: &JournalRecord,
) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO journal (tenant_id, run_id, node, item, place, request_hash, status,
               headers, body)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (run_id, node, item, place) DO UPDATE SET
               request_hash = excluded.request_hash, status = excluded.status,
               headers = excluded.headers, body = excluded.body
             WHERE journal.status = ?10",
        )?
        .execute(params![
            id(&item.tenant.0),
            id(&item.lease.run.0),
            entry.node,
            entry.item,
            entry.place,
            entry.request_hash.as_slice(),
            entry.answer.as_ref().map(|answer| answer.status),
            entry.answer.as_ref().map(|answer| answer.headers.as_str()),
            entry.answer.as_ref().map(|answer| &answer.body[..]),
            FAILED,
        ])?;
    Ok(())
}
