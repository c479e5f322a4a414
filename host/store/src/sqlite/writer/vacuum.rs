//! Free pages given back to the disk.

use rusqlite::Connection;
use tombolo_core::ports::store::{StoreError, Vacuumed};

use crate::record::unsigned;
use crate::sqlite::error::Fault;

/// Moves at most so many free pages to the end of the file and cuts them off. Nothing happens to a
/// file from before `auto_vacuum` was set.
pub(super) fn apply(connection: &Connection, pages: u32) -> Result<Vacuumed, Fault> {
    let before = count(connection, "page_count")?;
    // 0 would mean all of them.
    if pages > 0 {
        let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        // Each row is one page.
        let mut rows = vacuum.query([])?;
        while rows.next()?.is_some() {}
    }
    let page_bytes = count(connection, "page_size")?;
    let gone = before.saturating_sub(count(connection, "page_count")?);
    let free = count(connection, "freelist_count")?;
    Ok(Vacuumed { freed_bytes: gone * page_bytes, free_bytes: free * page_bytes })
}

fn count(connection: &Connection, pragma: &str) -> Result<u64, Fault> {
    let count = connection.pragma_query_value(None, pragma, |row| row.get(0))?;
    Ok(unsigned(count)?)
}

/// Copies the log into the file, which only then becomes shorter; to be called after the commit. If
/// a reader keeps it from that, a later checkpoint does it.
pub(super) fn shorten(connection: &Connection) {
    let copied = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    if let Err(error) = copied {
        tracing::warn!(error = %StoreError::from(Fault::from(error)), "shortening the file");
    }
}
