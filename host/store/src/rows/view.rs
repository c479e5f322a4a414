//! What people look at beside runs: calls, events, and the record of what people did.

use tombolo_core::audit::{Actor, AuditEntry};
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

/// The columns of an entry, in the order that [`audit_entry`] reads them in.
macro_rules! audit_columns {
    () => {
        "id, at, actor, action, subject, detail"
    };
}

pub(crate) use {audit_columns, call_columns, event_columns};

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

/// Reads an entry with its number.
pub(crate) fn audit_entry(row: &impl Columns) -> Result<(u64, AuditEntry), ReadFault> {
    let entry = AuditEntry {
        at: row.time(1)?,
        actor: Actor(row.text(2)?.to_owned()),
        action: row.text(3)?.to_owned(),
        subject: row.text(4)?.to_owned(),
        detail: from_json(row.text(5)?, "what is on record of an action")?,
    };
    Ok((unsigned(row.number(0)?)?, entry))
}
