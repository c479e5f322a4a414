-- Fewer bytes and fewer pages for a run. The texts that one write brings are packed: they stand
-- together, compressed, in one row of `pack`, and the rows say which of its texts theirs is. Rows
-- became narrow by that, so `event`, `step` and `effect` are one tree each (WITHOUT ROWID).
--
-- In a column of type ANY that is one of the texts of its row's pack, an INTEGER is the position in
-- the pack, counted from 0; TEXT is the text itself, as in rows from before.

-- Appended, never changed. It goes with the run or event that it was written for: that names its last
-- pack, and each names the one before it.
CREATE TABLE pack (
    id       INTEGER PRIMARY KEY,
    before   INTEGER,
    encoding INTEGER NOT NULL, -- 0 as they are, 1 compressed by zstd with the dictionary 1
    bytes    BLOB    NOT NULL  -- each text with its length before it
) STRICT;

-- An event is stored once: by the first 16 bytes of SHA-256 of tenant, source and key. In place of an
-- index over these. Events from before get theirs when the file is opened.
CREATE TABLE dedupe (
    hash     BLOB NOT NULL PRIMARY KEY,
    event_id BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE new_event (
    tenant_id    BLOB    NOT NULL REFERENCES tenant (id),
    id           BLOB    NOT NULL,
    source       TEXT    NOT NULL,
    dedupe_key   ANY     NOT NULL, -- BLOB: the hash of a key that is `sha256:` and a hash
    received_at  INTEGER NOT NULL,
    run_ids      BLOB    NOT NULL, -- 16 bytes each, in the order given: instead of an index on run
    pack         INTEGER,          -- its last one: of the payload, and of the steps its runs begin with
    payload      ANY,              -- JSON
    payload_hash BLOB,
    fingerprint  BLOB,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;

INSERT INTO new_event
    SELECT tenant_id, id, source,
        CASE WHEN length(dedupe_key) = 71 AND substr(dedupe_key, 1, 7) = 'sha256:'
                AND substr(dedupe_key, 8) NOT GLOB '*[^0-9a-f]*'
            THEN unhex(substr(dedupe_key, 8)) ELSE dedupe_key END,
        received_at, run_ids, NULL, payload, payload_hash, fingerprint
    FROM event;

DROP TABLE event;
ALTER TABLE new_event RENAME TO event;
CREATE INDEX event_loose ON event (received_at) WHERE run_ids = x'';

CREATE TABLE new_run (
    tenant_id        BLOB    NOT NULL,
    id               BLOB    NOT NULL,
    workflow_id      BLOB    NOT NULL,
    version          INTEGER NOT NULL,
    event_id         BLOB    NOT NULL,
    trigger_name     TEXT    NOT NULL,
    state            TEXT    NOT NULL,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    correlation_id   ANY     NOT NULL, -- BLOB: of 32 hexadecimal digits
    created_at       INTEGER NOT NULL,
    ended_at         INTEGER,
    deadline         INTEGER,
    error            TEXT,             -- JSON
    output           ANY,              -- JSON, in `output_pack`
    output_hash      BLOB,
    output_pack      INTEGER,          -- its own or its event's
    parent_run       BLOB,             -- the step that waits for its end
    parent_node      TEXT,
    parent_item      INTEGER,
    depth            INTEGER NOT NULL DEFAULT 0,
    replay_of        BLOB,
    -- The epoch under which it ended, so that the fence goes on when the run is opened again.
    last_epoch       INTEGER NOT NULL DEFAULT 0,
    pack             INTEGER,          -- the last that was written for it
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, workflow_id, version)
        REFERENCES workflow_version (tenant_id, workflow_id, version)
) STRICT, WITHOUT ROWID;

INSERT INTO new_run
    SELECT tenant_id, id, workflow_id, version, event_id, trigger_name, state, cancel_requested,
        CASE WHEN length(correlation_id) = 32 AND correlation_id NOT GLOB '*[^0-9a-f]*'
            THEN unhex(correlation_id) ELSE correlation_id END,
        created_at, ended_at, deadline, error, output, output_hash, NULL, parent_run, parent_node,
        parent_item, depth, replay_of, last_epoch, NULL
    FROM run;

DROP TABLE run;
ALTER TABLE new_run RENAME TO run;

CREATE INDEX run_workflow ON run (tenant_id, workflow_id, id);
CREATE INDEX run_correlation ON run (tenant_id, correlation_id, id);
CREATE INDEX run_state ON run (tenant_id, state, id)
    WHERE state = 'waiting' OR state = 'failed' OR state = 'cancelled';
CREATE INDEX run_parent ON run (parent_run) WHERE parent_run IS NOT NULL;

-- A step names its plugin by a number, where the plugin is there.
CREATE TABLE new_plugin (
    number     INTEGER PRIMARY KEY,
    tenant_id  BLOB    NOT NULL REFERENCES tenant (id),
    hash       BLOB    NOT NULL,
    name       TEXT    NOT NULL,
    version    TEXT    NOT NULL,
    descriptor TEXT    NOT NULL, -- JSON
    size       INTEGER NOT NULL, -- bytes of the component
    created_at INTEGER NOT NULL,
    UNIQUE (tenant_id, hash),
    UNIQUE (tenant_id, name, version)
) STRICT;

INSERT INTO new_plugin
    SELECT rowid, tenant_id, hash, name, version, descriptor, size, created_at FROM plugin;

DROP TABLE plugin;
ALTER TABLE new_plugin RENAME TO plugin;

CREATE TABLE new_step (
    tenant_id   BLOB    NOT NULL,
    run_id      BLOB    NOT NULL,
    node        TEXT    NOT NULL,
    item        INTEGER NOT NULL,
    state       TEXT    NOT NULL,
    attempt     INTEGER NOT NULL,
    spent       INTEGER NOT NULL,
    pack        INTEGER, -- of input, output, ports, error and logs
    input       ANY,     -- JSON
    input_hash  BLOB,
    output      ANY,     -- JSON
    output_hash BLOB,
    ports       ANY,     -- JSON array; NULL if empty
    error       ANY,     -- JSON
    due_at      INTEGER,
    started_at  INTEGER,
    ended_at    INTEGER,
    plugin      ANY,     -- INTEGER: its number; BLOB: its hash
    logs        ANY,     -- JSON array; NULL if empty
    child       BLOB,    -- the run that it called and waits for
    edits       INTEGER NOT NULL DEFAULT 0,
    redriven_after INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, node, item)
) STRICT, WITHOUT ROWID;

INSERT INTO new_step
    SELECT tenant_id, run_id, node, item, state, attempt, spent, NULL, input, input_hash, output,
        output_hash, ports, error, due_at, started_at, ended_at, plugin, logs, child, edits,
        redriven_after
    FROM step;

DROP TABLE step;
ALTER TABLE new_step RENAME TO step;

CREATE TABLE new_effect (
    tenant_id BLOB    NOT NULL,
    run_id    BLOB    NOT NULL,
    node      TEXT    NOT NULL,
    item      INTEGER NOT NULL,
    attempt   INTEGER NOT NULL,
    sequence  INTEGER NOT NULL,
    pack      INTEGER,
    record    ANY     NOT NULL, -- JSON
    PRIMARY KEY (run_id, node, item, attempt, sequence)
) STRICT, WITHOUT ROWID;

INSERT INTO new_effect
    SELECT tenant_id, run_id, node, item, attempt, sequence, NULL, record FROM effect;

DROP TABLE effect;
ALTER TABLE new_effect RENAME TO effect;
