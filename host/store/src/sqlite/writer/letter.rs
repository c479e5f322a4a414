//! Dead letters that come and go with a settle.

use rusqlite::{Connection, params};

use super::audit;
use crate::group::Discard;
use crate::record::{LetterRecord, SettleItem, id};
use crate::sqlite::error::Fault;

/// Writes them.
pub(super) fn apply(connection: &Connection, item: &SettleItem) -> Result<(), Fault> {
    for letter in &item.letters.opened {
        open(connection, item, letter)?;
    }
    for step in &item.letters.closed {
        connection
            .prepare_cached("DELETE FROM dead_letter WHERE run_id = ? AND node = ? AND item = ?")?
            .execute(params![id(&item.lease.run.0), step.node, step.item])?;
    }
    Ok(())
}

/// Gives one up. False if there is none that waits.
pub(super) fn discard(connection: &Connection, discard: &Discard) -> Result<bool, Fault> {
    let Discard { tenant, run, step, reason, audit } = discard;
    let given_up = connection.execute(
        "UPDATE dead_letter SET discarded_at = ?, discard_reason = ?
         WHERE tenant_id = ? AND run_id = ? AND node = ? AND item = ? AND discarded_at IS NULL",
        params![audit.at.0, reason, id(&tenant.0), id(&run.0), step.node, step.item],
    )?;
    if given_up > 0 {
        audit::append(connection, *tenant, [audit])?;
    }
    Ok(given_up > 0)
}

/// In place of one that is there, given up or not.
fn open(connection: &Connection, item: &SettleItem, letter: &LetterRecord) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO dead_letter (tenant_id, run_id, node, item, workflow_id, state,
               class, code, error, since)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            id(&item.tenant.0),
            id(&item.lease.run.0),
            letter.step.node,
            letter.step.item,
            id(&letter.workflow.0),
            letter.state,
            letter.class,
            letter.code,
            letter.error,
            item.now.0,
        ])?;
    Ok(())
}
