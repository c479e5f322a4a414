//! The queue, and what runs and their steps wait for.

use super::{From, PLAIN, Table, rows};
use crate::copy::column::Column;
use crate::copy::column::Kind::{Any, Bytes, Flag, Id, Number, Small, Text};

/// A queued run with what PostgreSQL has of it in the queue, too; of one that has ended and is being
/// repaired neither its deadline nor the wish to end it.
const QUEUED: &str = "queue q LEFT JOIN run r ON r.tenant_id = q.tenant_id AND r.id = q.run_id";

pub(super) const QUEUE: Table = Table {
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
};

pub(super) const SIGNAL: Table = Table {
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
};

pub(super) const DEAD_LETTER: Table = Table {
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
};

pub(super) const CONNECTION_WAIT: Table = Table {
    name: "connection_wait",
    from: rows("connection_wait"),
    columns: &[Column::new("connection", Text), Column::new("run_id", Id)],
    ..PLAIN
};

pub(super) const LANE: Table = Table {
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
};

pub(super) const GATHERING: Table = Table {
    name: "gathering",
    from: rows("gathering"),
    columns: &[
        Column::new("name", Text),
        Column::new("run_id", Id),
        Column::new("earliest", Number),
        Column::new("latest", Number),
    ],
    ..PLAIN
};

pub(super) const THROTTLE: Table = Table {
    name: "throttle",
    from: rows("throttle"),
    columns: &[Column::new("name", Text), Column::new("tat_ns", Number)],
    ..PLAIN
};

pub(super) const JOINED: Table = Table {
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
};
