//! Long texts by their hash.

use rusqlite::{Connection, params};

use crate::record::{Payload, id};
use crate::sqlite::error::Fault;

/// Stores it if it is not there yet.
pub(super) fn insert(connection: &Connection, payload: &Payload) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO payload (hash, tenant_id, bytes) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        )?
        .execute(params![payload.hash.0.as_slice(), id(&payload.tenant.0), payload.bytes])?;
    Ok(())
}
