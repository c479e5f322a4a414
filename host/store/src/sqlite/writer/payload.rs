//! What is too long for its row, by its hash.

use rusqlite::{Connection, params};
use uuid::Uuid;

use crate::record::{Payload, id};
use crate::sqlite::error::Fault;

/// Stores those that are not there yet, and notes that this run or event needs them.
///
/// Whoever names a payload gives its bytes along, in the same transaction, so that none can be swept
/// away in between.
pub(super) fn insert(
    connection: &Connection,
    owner: Uuid,
    payloads: &[Payload],
) -> Result<(), Fault> {
    for payload in payloads {
        store(connection, payload)?;
        connection
            .prepare_cached(
                "INSERT INTO payload_use (owner_id, hash, tenant_id) VALUES (?, ?, ?)
                 ON CONFLICT DO NOTHING",
            )?
            .execute(params![id(&owner), payload.hash.0.as_slice(), id(&payload.tenant.0)])?;
    }
    Ok(())
}

/// Stores one if it is not there yet.
pub(super) fn store(connection: &Connection, payload: &Payload) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO payload (hash, tenant_id, bytes, encoding) VALUES (?, ?, ?, ?)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            payload.hash.0.as_slice(),
            id(&payload.tenant.0),
            payload.bytes,
            payload.encoding as i64,
        ])?;
    Ok(())
}
