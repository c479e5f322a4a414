//! Packs: the file does not say whose they are. A run or an event names its last one, and each names
//! the one before, so they are found as their deletion finds them. One that nobody names is not found,
//! and needed by nobody.

use rusqlite::{CachedStatement, Connection, OptionalExtension};
use tombolo_core::id::TenantId;

use super::batch::Batch;
use super::source::{Parts, Stop, tenant_of};
use super::table::Table;
use crate::record::Damaged;

/// Who names packs. Each pack has one owner.
const OWNERS: [&str; 2] = [
    "SELECT tenant_id, pack FROM event WHERE pack IS NOT NULL",
    "SELECT tenant_id, pack FROM run WHERE pack IS NOT NULL",
];

/// Reads them, and gives the largest number of one.
pub(super) fn walk(
    snapshot: &Connection,
    table: &'static Table,
    parts: &mut Parts,
) -> Result<Option<i64>, Stop> {
    let columns: Vec<&str> = table.columns.iter().map(|column| column.from).collect();
    let mut pack = snapshot
        .prepare_cached(&format!("SELECT {} FROM pack WHERE id = ?", columns.join(", ")))?;
    let mut batch = Batch::new(table);
    let mut largest = None;
    for owners in OWNERS {
        let mut statement = snapshot.prepare(owners)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let tenant = tenant_of(row)?;
            let mut next = Some(row.get(1)?);
            while let Some(number) = next {
                largest = largest.max(Some(number));
                next = add(&mut pack, &mut batch, (tenant, number))?;
                parts.send_full(&mut batch)?;
            }
        }
    }
    parts.send_all(&mut batch)?;
    Ok(largest)
}

/// Adds a pack, and gives the one before it. One that is missing is missing in the copy, too: its run
/// reads as damaged in both.
fn add(
    pack: &mut CachedStatement<'_>,
    batch: &mut Batch,
    (tenant, number): (TenantId, i64),
) -> Result<Option<i64>, Stop> {
    let added = pack
        .query_row([number], |row| {
            let before: Option<i64> = row.get("before")?;
            Ok(batch.add(tenant, row, 0).map(|()| before))
        })
        .optional()?;
    match added.transpose()?.flatten() {
        // Each is appended after the one before: else this would not end.
        Some(before) if before >= number => {
            Err(Damaged(format!("pack {number} names {before} as the one before it")).into())
        }
        before => Ok(before),
    }
}
