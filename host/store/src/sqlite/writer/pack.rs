//! Packs of texts: appended, and deleted with the run or event that they were written for.

use rusqlite::types::{ToSql, ToSqlOutput};
use rusqlite::{Connection, OptionalExtension, params};
use tombolo_core::id::{RunId, TenantId};

use crate::record::{Pack, Shortened, Text, id};
use crate::sqlite::error::Fault;

/// The numbers of the packs of one write, in its order.
#[derive(Debug)]
pub(super) struct Numbers(Vec<i64>);

impl Numbers {
    /// The number of one of them, as a row's column.
    pub(super) fn of(&self, pack: Option<usize>) -> Result<Option<i64>, Fault> {
        let missing = || Fault::Refused("a text is in none of the write's packs".to_owned());
        pack.map(|pack| self.0.get(pack).copied().ok_or_else(missing)).transpose()
    }

    /// The last one.
    pub(super) fn last(&self) -> Option<i64> {
        self.0.last().copied()
    }
}

/// Appends the packs of an event, which has none yet.
pub(super) fn of_event(connection: &Connection, packs: &[Pack]) -> Result<Numbers, Fault> {
    append(connection, None, packs)
}

/// Appends packs to those of a run. The run does not name them before [`Numbers::last`] is its pack.
pub(super) fn of_run(
    connection: &Connection,
    (tenant, run): (TenantId, RunId),
    packs: &[Pack],
) -> Result<Numbers, Fault> {
    if packs.is_empty() {
        return Ok(Numbers(Vec::new()));
    }
    let before: Option<Option<i64>> = connection
        .prepare_cached("SELECT pack FROM run WHERE tenant_id = ? AND id = ?")?
        .query_row([id(&tenant.0), id(&run.0)], |row| row.get(0))
        .optional()?;
    append(connection, before.flatten(), packs)
}

fn append(
    connection: &Connection,
    mut before: Option<i64>,
    packs: &[Pack],
) -> Result<Numbers, Fault> {
    let mut numbers = Vec::with_capacity(packs.len());
    for pack in packs {
        connection
            .prepare_cached("INSERT INTO pack (before, encoding, bytes) VALUES (?, ?, ?)")?
            .execute(params![before, pack.encoding as i64, pack.bytes])?;
        before = Some(connection.last_insert_rowid());
        numbers.extend(before);
    }
    Ok(Numbers(numbers))
}

/// Deletes a pack and those before it.
pub(super) fn delete(connection: &Connection, mut last: Option<i64>) -> Result<(), Fault> {
    while let Some(pack) = last {
        last = connection
            .prepare_cached("DELETE FROM pack WHERE id = ? RETURNING before")?
            .query_row([pack], |row| row.get(0))
            .optional()?
            .flatten();
    }
    Ok(())
}

impl ToSql for Text {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::InRow(text) => ToSqlOutput::from(&**text),
            Self::Packed { position, .. } => ToSqlOutput::from(*position),
        })
    }
}

impl ToSql for Shortened {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Text(text) => text.to_sql(),
            Self::Bytes(bytes) => bytes.to_sql(),
        }
    }
}
