-- The first schema. Ids are 16 bytes (UUID), times are milliseconds since 1970, JSON is text.
--
-- Every row has its tenant, which leads the keys, except those of rows below a run: ids of runs are
-- unique over all tenants. Narrow tables are WITHOUT ROWID (one tree instead of two). Tables with
-- long texts are not: in such a tree a row over a quarter of a page takes a page of its own. No
-- index stands where a key serves.
--
-- A column `x_hash` names a row of `payload` that holds the text of `x` when it is too long to
-- stand in the row; then `x` is NULL.

CREATE TABLE tenant (
    id         BLOB    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Found by the token's hash alone: it says who the tenant is.
CREATE TABLE token (
    hash       BLOB    NOT NULL PRIMARY KEY,
    tenant_id  BLOB    NOT NULL REFERENCES tenant (id),
    id         BLOB    NOT NULL,
    name       TEXT    NOT NULL,
    scopes     TEXT    NOT NULL, -- JSON array
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    UNIQUE (tenant_id, id)
) STRICT, WITHOUT ROWID;

-- Long texts and components, by SHA-256. The hash leads the key because a component is found by its
-- hash whoever added it.
CREATE TABLE payload (
    hash      BLOB NOT NULL,
    tenant_id BLOB NOT NULL,
    bytes     BLOB NOT NULL,
    PRIMARY KEY (hash, tenant_id)
) STRICT;

CREATE TABLE plugin (
    tenant_id  BLOB    NOT NULL REFERENCES tenant (id),
    hash       BLOB    NOT NULL,
    name       TEXT    NOT NULL,
    version    TEXT    NOT NULL,
    descriptor TEXT    NOT NULL, -- JSON
    size       INTEGER NOT NULL, -- bytes of the component
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, hash),
    UNIQUE (tenant_id, name, version)
) STRICT;

CREATE TABLE workflow (
    tenant_id    BLOB    NOT NULL REFERENCES tenant (id),
    id           BLOB    NOT NULL,
    name         TEXT    NOT NULL,
    live_version INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE workflow_version (
    tenant_id   BLOB    NOT NULL,
    workflow_id BLOB    NOT NULL,
    version     INTEGER NOT NULL, -- counted from 1
    definition  TEXT    NOT NULL, -- JSON, as uploaded
    pins        TEXT    NOT NULL, -- JSON object: plugin name to hash
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, workflow_id, version),
    FOREIGN KEY (tenant_id, workflow_id) REFERENCES workflow (tenant_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE connection (
    tenant_id     BLOB    NOT NULL REFERENCES tenant (id),
    name          TEXT    NOT NULL,
    id            BLOB    NOT NULL,
    base_url      TEXT,
    auth_kind     TEXT    NOT NULL, -- none, bearer, basic, header, query
    auth_name     TEXT,             -- the user, header or parameter; never secret
    auth_secret   BLOB,             -- sealed
    signing       BLOB,             -- sealed
    allowed_hosts TEXT    NOT NULL, -- JSON array
    limits        TEXT    NOT NULL, -- JSON object
    updated_at    INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, name),
    UNIQUE (tenant_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    tenant_id    BLOB    NOT NULL REFERENCES tenant (id),
    id           BLOB    NOT NULL,
    source       TEXT    NOT NULL,
    dedupe_key   TEXT    NOT NULL,
    fingerprint  BLOB,
    payload      TEXT,             -- JSON
    payload_hash BLOB,
    received_at  INTEGER NOT NULL,
    run_ids      BLOB    NOT NULL, -- 16 bytes each, in the order given: instead of an index on run
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, source, dedupe_key)
) STRICT;

-- Ids are UUIDs of version 7, so the key is also the order of the list, newest last.
CREATE TABLE run (
    tenant_id        BLOB    NOT NULL,
    id               BLOB    NOT NULL,
    workflow_id      BLOB    NOT NULL,
    version          INTEGER NOT NULL,
    event_id         BLOB    NOT NULL,
    trigger_name     TEXT    NOT NULL,
    state            TEXT    NOT NULL,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    correlation_id   TEXT    NOT NULL,
    created_at       INTEGER NOT NULL,
    ended_at         INTEGER,
    deadline         INTEGER,
    error            TEXT,             -- JSON
    output           TEXT,             -- JSON
    output_hash      BLOB,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, workflow_id, version)
        REFERENCES workflow_version (tenant_id, workflow_id, version)
) STRICT, WITHOUT ROWID;

-- Only runs that have not ended. `available_at` is both when a run is due and when its lease ends.
CREATE TABLE queue (
    run_id       BLOB    NOT NULL PRIMARY KEY,
    tenant_id    BLOB    NOT NULL,
    available_at INTEGER NOT NULL,
    lease_owner  TEXT,
    lease_epoch  INTEGER NOT NULL, -- the fence; grows with every claim
    claims       INTEGER NOT NULL  -- since the last settle
) STRICT, WITHOUT ROWID;

CREATE INDEX queue_due ON queue (available_at);

-- No reference to `run`: every write is fenced by the run's row in `queue`.
CREATE TABLE step (
    tenant_id   BLOB    NOT NULL,
    run_id      BLOB    NOT NULL,
    node        TEXT    NOT NULL,
    item        INTEGER NOT NULL,
    state       TEXT    NOT NULL,
    attempt     INTEGER NOT NULL,
    spent       INTEGER NOT NULL,
    input       TEXT,             -- JSON
    input_hash  BLOB,
    output      TEXT,             -- JSON
    output_hash BLOB,
    ports       TEXT,             -- JSON array; NULL if empty
    error       TEXT,             -- JSON
    due_at      INTEGER,
    started_at  INTEGER,
    ended_at    INTEGER,
    plugin      BLOB,
    logs        TEXT,             -- JSON array; NULL if empty
    PRIMARY KEY (run_id, node, item)
) STRICT;

CREATE TABLE effect (
    tenant_id BLOB    NOT NULL,
    run_id    BLOB    NOT NULL,
    node      TEXT    NOT NULL,
    item      INTEGER NOT NULL,
    attempt   INTEGER NOT NULL,
    sequence  INTEGER NOT NULL,
    record    TEXT    NOT NULL, -- JSON
    PRIMARY KEY (run_id, node, item, attempt, sequence)
) STRICT;

-- What plugins keep between runs.
CREATE TABLE state (
    tenant_id   BLOB    NOT NULL,
    workflow_id BLOB    NOT NULL,
    node        TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    version     INTEGER NOT NULL, -- counted from 1
    value       TEXT    NOT NULL, -- JSON
    PRIMARY KEY (tenant_id, workflow_id, node, key),
    FOREIGN KEY (tenant_id, workflow_id) REFERENCES workflow (tenant_id, id)
) STRICT, WITHOUT ROWID;
