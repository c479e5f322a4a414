//! Rows of `journal`.

use bytes::Bytes;
use tombolo_core::ports::store::Journaled;

use super::{Columns, ReadFault};
use crate::record::{Damaged, JournalRecord, JournaledAnswer, unsigned};

/// The columns of a journaled call `e`, in the order that [`journaled`] reads them in; the run's id is
/// the first.
macro_rules! journal_columns {
    () => {
        "e.run_id, e.node, e.item, e.place, e.request_hash, e.status, e.headers, e.body"
    };
}

pub(crate) use journal_columns;

/// Reads one.
pub(crate) fn journaled(row: &impl Columns) -> Result<Journaled, ReadFault> {
    let request_hash = <[u8; 32]>::try_from(row.bytes(4)?)
        .map_err(|_| Damaged("a request's hash has not 32 bytes".to_owned()))?;
    let answer = match row.maybe_number(5)? {
        None => None,
        Some(status) => Some(JournaledAnswer {
            status: unsigned(status)?,
            headers: row.text(6)?.to_owned(),
            body: Bytes::copy_from_slice(row.maybe_bytes(7)?.unwrap_or_default()),
        }),
    };
    let record = JournalRecord {
        node: row.text(1)?.to_owned(),
        item: unsigned(row.number(2)?)?,
        place: unsigned(row.number(3)?)?,
        request_hash,
        answer,
    };
    Ok(record.into_journaled()?)
}
