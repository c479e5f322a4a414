//! The tables, in the order in which one needs the other, and where their columns come from.
//!
//! A column that a migration adds to a table is a line here.

use super::column::Column;
use super::column::Kind::{Any, Bytes, Flag, Id, KeyHash, Number, Small, Text, Utf8};

/// A table of the target.
#[derive(Debug)]
pub(super) struct Table {
    /// Its name.
    pub(super) name: &'static str,
    /// Its column that says whose a row is.
    pub(super) tenant: &'static str,
    /// Where its rows come from.
    pub(super) from: From,
    /// Its columns, without the tenant's.
    pub(super) columns: &'static [Column],
    /// The column that counts its rows, if one does: new ones are counted from there.
    pub(super) counter: Option<&'static str>,
}

/// Where the rows of a table come from.
#[derive(Debug)]
pub(super) enum From {
    /// What follows FROM in the source, and how the tenant is called there.
    Rows {
        /// The tables, in the order of the rows where that matters.
        rows: &'static str,
        /// An expression.
        tenant: &'static str,
    },
    /// From the runs and events that name them: packs say nothing of tenants.
    Packs,
}

/// Rows of the table of the same name.
const fn rows(rows: &'static str) -> From {
    From::Rows { rows, tenant: "tenant_id" }
}

/// As most of them are.
const PLAIN: Table =
    Table { name: "", tenant: "tenant_id", from: rows(""), columns: &[], counter: None };

/// The number of a run's plugin, where that is there, is its hash.
const PLUGIN: &str = "CASE typeof(plugin) WHEN 'integer' THEN coalesce((SELECT p.hash FROM plugin p \
                      WHERE p.number = step.plugin AND p.tenant_id = step.tenant_id), x'') \
                      ELSE plugin END";

/// A queued run with what PostgreSQL has of it in the queue, too: of one that has ended and is being
/// repaired nothing but that.
const QUEUED: &str = "queue q LEFT JOIN run r ON r.tenant_id = q.tenant_id AND r.id = q.run_id";

/// All of them.
pub(super) static TABLES: [Table; 25] = [
    Table {
        name: "tenant",
        tenant: "id",
        from: From::Rows { rows: "tenant", tenant: "id" },
        columns: &[Column::new("name", Text), Column::new("created_at", Number)],
        ..PLAIN
    },
    Table {
        name: "token",
        from: rows("token"),
        columns: &[
            Column::new("hash", Bytes),
            Column::new("id", Id),
            Column::new("name", Text),
            Column::new("scopes", Text),
            Column::new("created_at", Number),
            Column::new("expires_at", Number),
        ],
        ..PLAIN
    },
    Table {
        name: "payload",
        from: rows("payload"),
        columns: &[
            Column::new("hash", Bytes),
            Column::new("encoding", Small),
            Column::new("bytes", Bytes),
        ],
        ..PLAIN
    },
    Table {
        name: "payload_use",
        from: rows("payload_use"),
        columns: &[Column::new("owner_id", Id), Column::new("hash", Bytes)],
        ..PLAIN
    },
    Table {
        name: "plugin",
        from: rows("plugin"),
        columns: &[
            Column::new("number", Number),
            Column::new("hash", Bytes),
            Column::new("name", Text),
            Column::new("version", Text),
            Column::new("descriptor", Text),
            Column::new("size", Number),
            Column::new("created_at", Number),
        ],
        counter: Some("number"),
        ..PLAIN
    },
    Table {
        name: "workflow",
        from: rows("workflow"),
        columns: &[
            Column::new("id", Id),
            Column::new("name", Text),
            Column::new("live_version", Number),
        ],
        ..PLAIN
    },
    Table {
        name: "workflow_version",
        from: rows("workflow_version"),
        columns: &[
            Column::new("workflow_id", Id),
            Column::new("version", Number),
            Column::new("definition", Text),
            Column::new("pins", Text),
            Column::new("created_at", Number),
        ],
        ..PLAIN
    },
    Table {
        name: "connection",
        from: rows("connection"),
        columns: &[
            Column::new("name", Text),
            Column::new("id", Id),
            Column::new("base_url", Text),
            Column::new("auth_kind", Text),
            Column::new("auth_name", Text),
            Column::new("auth_secret", Bytes),
            Column::new("signing", Bytes),
            Column::new("allowed_hosts", Text),
            Column::new("limits", Text),
            Column::new("updated_at", Number),
            Column::new("paused_at", Number),
            Column::new("paused_reason", Text),
        ],
        ..PLAIN
    },
    Table {
        name: "state",
        from: rows("state"),
        columns: &[
            Column::new("workflow_id", Id),
            Column::new("node", Text),
            Column::new("key", Utf8),
            Column::new("version", Number),
            Column::new("value", Text),
        ],
        ..PLAIN
    },
    Table {
        name: "audit",
        from: rows("audit ORDER BY id"),
        columns: &[
            Column::new("id", Number),
            Column::new("at", Number),
            Column::new("actor", Text),
            Column::new("action", Text),
            Column::new("subject", Text),
            Column::new("detail", Text),
        ],
        counter: Some("id"),
        ..PLAIN
    },
    Table {
        name: "pack",
        from: From::Packs,
        columns: &[
            Column::new("id", Number),
            Column::new("before", Number),
            Column::new("encoding", Small),
            Column::new("bytes", Bytes),
        ],
        ..PLAIN
    },
    Table {
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
    },
    Table {
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
    },
    Table {
        name: "run_ended_badly",
        // As the index on the state says it.
        from: rows("run WHERE state = 'failed' OR state = 'cancelled'"),
        columns: &[Column::new("state", Text), Column::new("run_id", Id).of("id")],
        ..PLAIN
    },
    Table {
        name: "queue",
        from: From::Rows { rows: QUEUED, tenant: "q.tenant_id" },
        columns: &[
            Column::new("run_id", Id).of("q.run_id"),
            Column::new("available_at", Number).of("q.available_at"),
            Column::new("lease_owner", Text).of("q.lease_owner"),
            Column::new("lease_epoch", Number).of("q.lease_epoch"),
            Column::new("claims", Number).of("q.claims"),
            Column::new("cancel_requested", Flag)
                .of("ifnull(r.cancel_requested AND r.ended_at IS NULL, 0)"),
            Column::new("deadline", Number).of("CASE WHEN r.ended_at IS NULL THEN r.deadline END"),
            Column::new("waiting", Flag).of("ifnull(r.state = 'waiting', 0)"),
            Column::new("created_at", Number).of("ifnull(r.created_at, 0)"),
            Column::new("pack", Number).of("r.pack"),
            Column::new("connections", Text).of("q.connections"),
            Column::new("reopened", Flag).of("r.ended_at IS NOT NULL"),
            Column::new("priority", Small).of("q.priority"),
            Column::new("flow", Flag).of("q.flow"),
            Column::new("ready_at", Number).of("q.ready_at"),
        ],
        ..PLAIN
    },
    Table {
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
    },
    Table {
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
    },
    Table {
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
    },
    Table {
        name: "signal",
        from: rows("signal"),
        columns: &[
            Column::new("run_id", Id),
            Column::new("node", Text),
            Column::new("item", Number),
            Column::new("body", Any),
            Column::new("body_hash", Bytes),
            Column::new("at", Number),
        ],
        ..PLAIN
    },
    Table {
        name: "dead_letter",
        from: rows("dead_letter"),
        columns: &[
            Column::new("run_id", Id),
            Column::new("node", Text),
            Column::new("item", Number),
            Column::new("workflow_id", Id),
            Column::new("state", Text),
            Column::new("class", Text),
            Column::new("code", Text),
            Column::new("error", Text),
            Column::new("since", Number),
            Column::new("discarded_at", Number),
            Column::new("discard_reason", Text),
        ],
        ..PLAIN
    },
    Table {
        name: "connection_wait",
        from: rows("connection_wait"),
        columns: &[Column::new("connection", Text), Column::new("run_id", Id)],
        ..PLAIN
    },
    Table {
        name: "lane",
        from: rows("lane"),
        columns: &[
            Column::new("id", Number),
            Column::new("name", Text),
            Column::new("run_id", Id),
            Column::new("lim", Number),
            Column::new("in_order", Flag),
            Column::new("keeps_place", Flag),
            Column::new("priority", Small),
            Column::new("state", Small),
        ],
        counter: Some("id"),
        ..PLAIN
    },
    Table {
        name: "gathering",
        from: rows("gathering"),
        columns: &[
            Column::new("name", Text),
            Column::new("run_id", Id),
            Column::new("earliest", Number),
            Column::new("latest", Number),
        ],
        ..PLAIN
    },
    Table {
        name: "throttle",
        from: rows("throttle"),
        columns: &[Column::new("name", Text), Column::new("tat_ns", Number)],
        ..PLAIN
    },
    Table {
        name: "joined",
        // A run is found by what joined it, and not the other way round.
        from: From::Rows {
            rows: "run r CROSS JOIN joined j ON j.run_id = r.id",
            tenant: "r.tenant_id",
        },
        columns: &[
            Column::new("run_id", Id).of("j.run_id"),
            Column::new("event_id", Id).of("j.event_id"),
        ],
        ..PLAIN
    },
];
