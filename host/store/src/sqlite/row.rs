//! Single columns of a row as types of the port.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, TypeInfo, ValueRef};
use tombolo_core::clock::Timestamp;
use tombolo_core::json::Json;
use uuid::Uuid;

use super::error::Fault;
use super::pack_row::Packs;
use crate::record::{Damaged, StoredBody};

/// An id.
pub(super) fn id(row: &SqliteRow, column: usize) -> Result<Uuid, Fault> {
    let bytes: &[u8] = row.try_get(column)?;
    Uuid::from_slice(bytes)
        .map_err(|_| Damaged(format!("an id has {} bytes, not 16", bytes.len())).into())
}

/// An id, if there is one.
pub(super) fn maybe_id(row: &SqliteRow, column: usize) -> Result<Option<Uuid>, Fault> {
    let missing = row.try_get::<Option<&[u8]>, _>(column)?.is_none();
    if missing { Ok(None) } else { id(row, column).map(Some) }
}

/// Columns that [`body`] reads.
pub(super) const BODY: usize = 5;

/// Where among them the pack is.
pub(super) const BODY_PACK: usize = 4;

/// JSON that may be long: its text or the position in its pack, its hash, the bytes and encoding of
/// its payload, and its pack. `what` says whose it is.
pub(super) fn body(
    row: &SqliteRow,
    column: usize,
    packs: &Packs,
    what: &str,
) -> Result<Option<Json>, Fault> {
    let payload: Option<&[u8]> = bytes(row, column + 2)?;
    let stored = StoredBody {
        text: packs.text(row, column, column + BODY_PACK)?.map(str::to_owned),
        hash: bytes(row, column + 1)?,
        payload: match payload {
            Some(bytes) => Some((bytes, row.try_get(column + 3)?)),
            None => None,
        },
    };
    Ok(stored.json(what)?)
}

/// A column that holds values of several types.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Column<'a> {
    Null,
    Number(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

/// Reads a column by the type of its value.
pub(super) fn column(row: &SqliteRow, column: usize) -> Result<Column<'_>, Fault> {
    let value = row.try_get_raw(column)?;
    if value.is_null() {
        return Ok(Column::Null);
    }
    let value_type = value.type_info();
    Ok(match value_type.name() {
        "INTEGER" => Column::Number(row.try_get(column)?),
        "TEXT" => Column::Text(row.try_get(column)?),
        "BLOB" => Column::Bytes(row.try_get(column)?),
        other => return Err(Damaged(format!("a value of type {other} is none of ours")).into()),
    })
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

/// Ids as one parameter: a JSON array of hexadecimal digits, for
/// `IN (SELECT unhex(value) FROM json_each(?))`.
pub(super) fn id_list(ids: impl IntoIterator<Item = Uuid>) -> String {
    let mut list = String::from("[");
    for id in ids {
        if list.len() > 1 {
            list.push(',');
        }
        list.push('"');
        list.push_str(id.simple().encode_lower(&mut Uuid::encode_buffer()));
        list.push('"');
    }
    list.push(']');
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_list_is_json() {
        let list = id_list([Uuid::from_u128(1), Uuid::from_u128(0xab)]);
        let back: Vec<String> = serde_json::from_str(&list).unwrap();
        assert_eq!(back[1], "000000000000000000000000000000ab");
        assert_eq!(id_list([]), "[]");
    }
}
