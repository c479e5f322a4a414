//! Keys of events that are read back, and those of a file from before keys were hashed.

use rusqlite::types::Value;
use rusqlite::{Connection, params};
use tombolo_core::id::TenantId;
use uuid::Uuid;

use super::error::Fault;
use crate::record::{Damaged, dedupe_hash, dedupe_key};

/// The text of a key, from its column.
pub(crate) fn stored_key(column: Value) -> Result<String, Damaged> {
    match column {
        Value::Text(text) => Ok(text),
        Value::Blob(bytes) => Ok(dedupe_key(&bytes)),
        other => Err(Damaged(format!("a key of type {} is no key", other.data_type()))),
    }
}

/// Tells whether the keys are to be hashed still: all of them are, or none.
pub(super) const UNHASHED: &str =
    "SELECT EXISTS (SELECT 1 FROM event) AND NOT EXISTS (SELECT 1 FROM dedupe)";

/// Hashes the keys of all events: SQLite cannot, so the migration did not.
pub(super) fn fill(connection: &mut Connection) -> Result<(), Fault> {
    let transaction = connection.transaction()?;
    {
        let mut insert =
            transaction.prepare("INSERT INTO dedupe (hash, event_id) VALUES (?, ?)")?;
        let mut events =
            transaction.prepare("SELECT tenant_id, id, source, dedupe_key FROM event")?;
        let mut rows = events.query([])?;
        while let Some(row) = rows.next()? {
            let (tenant, event): ([u8; 16], [u8; 16]) = (row.get(0)?, row.get(1)?);
            let (source, key): (String, Value) = (row.get(2)?, row.get(3)?);
            let tenant = TenantId(Uuid::from_bytes(tenant));
            let hash = dedupe_hash(tenant, &source, &stored_key(key)?);
            insert.execute(params![&hash[..], &event[..]])?;
        }
    }
    Ok(transaction.commit()?)
}
