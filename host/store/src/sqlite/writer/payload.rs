//! Long texts by their hash.

use rusqlite::{Connection, params};

use crate::record::{Payload, id};
use crate::sqlite::error::Fault;

/// Stores those that are not there yet.
///
/// Whoever refers to a payload gives its bytes along, in the same transaction, so that none can be
/// swept away in between.
pub(super) fn insert(connection: &Connection, payloads: &[Payload]) -> Result<(), Fault> {
    for payload in payloads {
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
    }
    Ok(())
}
