//! The port's types as columns, the same for every database: made by the caller before a write
//! waits, so that the one writer has little left to do. Never talks to a database.

mod body;
mod commands;
mod connection;
mod journal;
mod read;
mod step;

pub use body::INLINE_LIMIT_BYTES;
pub(crate) use body::{Body, Payload, stored_body};
pub(crate) use commands::{AcceptItem, Outcome, SettleItem};
pub(crate) use connection::{auth_columns, auth_from_columns};
pub(crate) use journal::{JournalRecord, JournaledAnswer};
pub(crate) use read::{
    Damaged, cancel_state, content_hash, from_json, hash_bytes, id, join_ids, run_state, split_ids,
    step_state, to_json, unsigned,
};
pub(crate) use step::{EffectRecord, StepRecord};
