//! Single columns of a row as types of the port.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use tombolo_core::clock::Timestamp;
use uuid::Uuid;

use super::error::Fault;
use crate::record::Damaged;

/// An id.
pub(super) fn id(row: &SqliteRow, column: usize) -> Result<Uuid, Fault> {
    let bytes: &[u8] = row.try_get(column)?;
    Uuid::from_slice(bytes)
        .map_err(|_| Damaged(format!("an id has {} bytes, not 16", bytes.len())).into())
}

/// Bytes, if there are any.
pub(super) fn bytes(row: &SqliteRow, column: usize) -> Result<Option<&[u8]>, Fault> {
    Ok(row.try_get(column)?)
}

/// A time.
pub(super) fn time(row: &SqliteRow, column: usize) -> Result<Timestamp, Fault> {
    Ok(Timestamp(row.try_get(column)?))
}

/// A time, if there is one.
pub(super) fn maybe_time(row: &SqliteRow, column: usize) -> Result<Option<Timestamp>, Fault> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp))
}

/// An id as a parameter.
pub(super) fn id_bytes(id: Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}
