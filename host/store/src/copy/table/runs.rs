//! Events, runs, and what is below them; and their texts.

use super::{From, PLAIN, Table, rows};
use crate::copy::column::Column;
use crate::copy::column::Kind::{Any, Bytes, Flag, Id, KeyHash, Number, Small, Text};

/// A step's plugin by its hash: newer rows of the file name it by its number.
const PLUGIN: &str = "CASE typeof(plugin) WHEN 'integer' THEN coalesce((SELECT p.hash FROM plugin p \
                      WHERE p.number = step.plugin AND p.tenant_id = step.tenant_id), x'') \
                      ELSE plugin END";

pub(super) const PAYLOAD: Table = Table {
    name: "payload",
    from: rows("payload"),
    columns: &[
        Column::new("hash", Bytes),
        Column::new("encoding", Small),
        Column::new("bytes", Bytes),
    ],
    ..PLAIN
};

pub(super) const PAYLOAD_USE: Table = Table {
    name: "payload_use",
    from: rows("payload_use"),
    columns: &[Column::new("owner_id", Id), Column::new("hash", Bytes)],
    ..PLAIN
};

pub(super) const PACK: Table = Table {
    name: "pack",
    from: From::Packs,
    columns: &[
        Column::new("id", Number),
        Column::new("before", Number),
        Column::new("encoding", Small),
        Column::new("bytes", Bytes),
    ],
    ..PLAIN
};

pub(super) const EVENT: Table = Table {
    name: "event",
    from: rows("event"),
    columns: &[
        Column::new("id", Id),
        // Of the two columns after it; files from before may not have it.
        Column::new("key_hash", KeyHash).of("NULL"),
        Column::new("source", Text),
        Column::new("dedupe_key", Any),
        Column::new("received_at", Number),
        Column::new("run_ids", Bytes),
        Column::new("pack", Number),
        Column::new("payload", Any),
        Column::new("payload_hash", Bytes),
        Column::new("fingerprint", Bytes),
    ],
    ..PLAIN
};

pub(super) const RUN: Table = Table {
    name: "run",
    from: rows("run"),
    columns: &[
        Column::new("id", Id),
        Column::new("workflow_id", Id),
        Column::new("version", Number),
        Column::new("event_id", Id),
        Column::new("trigger_name", Text),
        Column::new("state", Text),
        Column::new("cancel_requested", Flag),
        Column::new("correlation_id", Any),
        Column::new("created_at", Number),
        Column::new("ended_at", Number),
        Column::new("deadline", Number),
        Column::new("error", Text),
        Column::new("output", Any),
        Column::new("output_hash", Bytes),
        Column::new("output_pack", Number),
        Column::new("parent_run", Id),
        Column::new("parent_node", Text),
        Column::new("parent_item", Number),
        Column::new("depth", Number),
        Column::new("replay_of", Id),
        Column::new("last_epoch", Number),
        Column::new("pack", Number),
    ],
    ..PLAIN
};

pub(super) const RUN_ENDED_BADLY: Table = Table {
    name: "run_ended_badly",
    // As the index on the state says it.
    from: rows("run WHERE state = 'failed' OR state = 'cancelled'"),
    columns: &[Column::new("state", Text), Column::new("run_id", Id).of("id")],
    ..PLAIN
};

pub(super) const STEP: Table = Table {
    name: "step",
    from: rows("step"),
    columns: &[
        Column::new("run_id", Id),
        Column::new("node", Text),
        Column::new("item", Number),
        Column::new("state", Text),
        Column::new("attempt", Number),
        Column::new("spent", Number),
        Column::new("pack", Number),
        Column::new("input", Any),
        Column::new("input_hash", Bytes),
        Column::new("output", Any),
        Column::new("output_hash", Bytes),
        Column::new("ports", Any),
        Column::new("error", Any),
        Column::new("due_at", Number),
        Column::new("started_at", Number),
        Column::new("ended_at", Number),
        Column::new("plugin", Bytes).of(PLUGIN),
        Column::new("logs", Any),
        Column::new("child", Id),
        Column::new("edits", Number),
        Column::new("redriven_after", Number),
    ],
    ..PLAIN
};

pub(super) const EFFECT: Table = Table {
    name: "effect",
    from: rows("effect"),
    columns: &[
        Column::new("run_id", Id),
        Column::new("node", Text),
        Column::new("item", Number),
        Column::new("attempt", Number),
        Column::new("sequence", Number),
        Column::new("pack", Number),
        Column::new("record", Any),
    ],
    ..PLAIN
};

pub(super) const JOURNAL: Table = Table {
    name: "journal",
    from: rows("journal"),
    columns: &[
        Column::new("run_id", Id),
        Column::new("node", Text),
        Column::new("item", Number),
        Column::new("place", Number),
        Column::new("request_hash", Bytes),
        Column::new("status", Number),
        Column::new("headers", Text),
        Column::new("body", Bytes),
    ],
    ..PLAIN
};
