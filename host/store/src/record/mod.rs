//! The port's types as columns, the same for every database: made by the caller before a write
//! waits, so that the one writer has little left to do. Never talks to a database.

mod accept;
mod audit;
mod body;
mod column;
mod connection;
mod dedupe;
mod digits;
mod flow;
mod journal;
mod letter;
mod made_at;
mod pack;
mod payload;
mod plugin;
mod quota;
mod read;
mod schedule;
mod settle;
mod signal;
mod step;
mod text;
mod texts;
mod version;

pub(crate) use accept::{AcceptItem, RunItem};
pub(crate) use audit::{AuditRow, audit_hash, audit_head, audit_seq};
pub use body::INLINE_LIMIT_BYTES;
pub(crate) use body::{Body, StoredBody};
pub(crate) use column::Column;
pub(crate) use connection::{auth_columns, auth_from_columns};
pub(crate) use dedupe::{DedupeKey, dedupe_hash, dedupe_key};
pub(crate) use digits::{Shortened, correlation_id};
pub(crate) use flow::{singleton_lane, singleton_name, turn, waits};
pub(crate) use journal::{FAILED, JournalRecord, JournaledAnswer};
pub(crate) use letter::LetterRecord;
pub(crate) use made_at::made_at;
pub(crate) use pack::{Pack, Unpacked};
pub(crate) use payload::{Payload, unpack};
pub(crate) use plugin::PluginItem;
pub(crate) use quota::quota_columns;
pub(crate) use read::{
    Damaged, cancel_state, content_hash, from_json, hash_bytes, id, join_ids, run_state, split_ids,
    step_state, to_json, unsigned,
};
pub(crate) use schedule::{NS_PER_MS, schedule};
pub(crate) use settle::{NEVER, Outcome, SettleItem, due};
pub(crate) use signal::SignalItem;
pub(crate) use step::{EffectRecord, StepRecord};
pub(crate) use text::text;
pub(crate) use texts::{Gathered, Lasts, Text, Texts};
pub(crate) use version::{LiveVersion, applied_entry};
