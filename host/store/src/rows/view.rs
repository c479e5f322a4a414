//! What people look at beside runs: calls, events, and the record of what people did.

use tombolo_core::id::{EventId, RunId};
use tombolo_core::ports::store::{Call, EventView};

use super::run::payload_of_event;
use super::{BODY_PACK, Columns, Packs, ReadFault};
use crate::record::{Column, Damaged, dedupe_key, from_json, split_ids, unsigned};

/// The columns of an effect, in the order that [`call`] reads them in.
macro_rules! call_columns {
    () => {
        "node, item, attempt, record, pack"
    };
}

/// The columns of an event `e` before its payload's, in the order that [`event_view`] reads them in.
macro_rules! event_columns {
    () => {
        "e.id, e.source, e.dedupe_key, e.received_at, e.run_ids, "
    };
}

pub(crate) use {call_columns, event_columns};

/// Where a call names its pack.
pub(crate) const CALL_PACK: usize = 4;

/// Where an event's payload begins.
const PAYLOAD: usize = 5;

/// Where an event names its pack.
pub(crate) const EVENT_PACK: usize = PAYLOAD + BODY_PACK;

/// Reads a call.
pub(crate) fn call(row: &impl Columns, packs: &Packs) -> Result<Call, ReadFault> {
    let record = packs.text(row, 3, CALL_PACK)?;
    Ok(Call {
        node: row.text(0)?.to_owned(),
        item: unsigned(row.number(1)?)?,
        attempt: unsigned(row.number(2)?)?,
        record: from_json(record.unwrap_or_default(), "a call's record")?,
    })
}

/// Reads [`event_columns`] and the payload's.
pub(crate) fn event_view(row: &impl Columns, packs: &Packs) -> Result<EventView, ReadFault> {
    let runs = row.maybe_bytes(4)?.unwrap_or_default();
    Ok(EventView {
        id: EventId(row.id(0)?),
        source: row.text(1)?.to_owned(),
        dedupe_key: key(row)?,
        payload: payload_of_event(row, PAYLOAD, packs)?,
        received_at: row.time(3)?,
        runs: split_ids(runs)?.into_iter().map(RunId).collect(),
    })
}

fn key(row: &impl Columns) -> Result<String, ReadFault> {
    match row.any(2)? {
        Column::Text(text) => Ok(text.to_owned()),
        Column::Bytes(bytes) => Ok(dedupe_key(bytes)),
        _ => Err(Damaged("an event has no key".to_owned()).into()),
    }
}
