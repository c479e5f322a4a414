//! What people put there, and what plugins keep: tenants, tokens, quotas, the catalog, state, the audit.

use super::{From, PLAIN, Table, rows};
use crate::copy::column::Column;
use crate::copy::column::Kind::{Bytes, Id, Number, Text, Utf8};

pub(super) const TENANT: Table = Table {
    name: "tenant",
    tenant: "id",
    from: From::Rows { rows: "tenant", tenant: "id" },
    columns: &[Column::new("name", Text), Column::new("created_at", Number)],
    ..PLAIN
};

pub(super) const TOKEN: Table = Table {
    name: "token",
    from: rows("token"),
    columns: &[
        Column::new("hash", Bytes),
        Column::new("id", Id),
        Column::new("name", Text),
        Column::new("scopes", Text),
        Column::new("created_at", Number),
        Column::new("expires_at", Number),
        Column::new("prefix", Text),
        Column::new("last_used_at", Number),
        Column::new("revoked_at", Number),
    ],
    ..PLAIN
};

pub(super) const QUOTA: Table = Table {
    name: "quota",
    from: rows("quota"),
    columns: &[
        Column::new("runs_per_minute", Number),
        Column::new("concurrent_runs", Number),
        Column::new("storage_bytes", Number),
        Column::new("connections", Number),
    ],
    ..PLAIN
};

pub(super) const PLUGIN: Table = Table {
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
};

pub(super) const WORKFLOW: Table = Table {
    name: "workflow",
    from: rows("workflow"),
    columns: &[
        Column::new("id", Id),
        Column::new("name", Text),
        Column::new("live_version", Number),
    ],
    ..PLAIN
};

pub(super) const WORKFLOW_VERSION: Table = Table {
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
};

pub(super) const CONNECTION: Table = Table {
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
};

pub(super) const STATE: Table = Table {
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
};

/// Its head follows by a trigger.
pub(super) const AUDIT: Table = Table {
    name: "audit",
    from: rows("audit ORDER BY tenant_id, seq"),
    columns: &[
        Column::new("seq", Number),
        Column::new("prev_hash", Bytes),
        Column::new("hash", Bytes),
        Column::new("at", Number),
        Column::new("actor", Text),
        Column::new("action", Text),
        Column::new("subject", Text),
        Column::new("detail", Text),
        Column::new("correlation_id", Text),
    ],
    ..PLAIN
};
