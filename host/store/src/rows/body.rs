//! JSON that may be long, in a pack, in its row or in a payload.

use tombolo_core::json::Json;

use super::{Columns, Packs, ReadFault};
use crate::record::StoredBody;

/// Columns that [`body`] reads.
pub(crate) const BODY: usize = 5;

/// Where among them the pack is.
pub(crate) const BODY_PACK: usize = 4;

/// Reads the text or the position in its pack, its hash, the bytes and encoding of its payload, and
/// its pack. `what` says whose it is.
pub(super) fn body(
    row: &impl Columns,
    column: usize,
    packs: &Packs,
    what: &str,
) -> Result<Option<Json>, ReadFault> {
    let stored = StoredBody {
        text: packs.text(row, column, column + BODY_PACK)?.map(str::to_owned),
        hash: row.maybe_bytes(column + 1)?,
        payload: match row.maybe_bytes(column + 2)? {
            Some(bytes) => Some((bytes, row.number(column + 3)?)),
            None => None,
        },
    };
    Ok(stored.json(what)?)
}
