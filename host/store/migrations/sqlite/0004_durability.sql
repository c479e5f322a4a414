-- Waiting for people, for other runs and for mended connections; dead letters, the record of what
-- people did, and retention. Nothing here costs a run that needs none of it more than a few bytes:
-- the new columns are NULL or 0 then, and no new table or index has a row for it.

-- The run that it called and waits for, and how often a person let its calls be made anew.
ALTER TABLE step ADD COLUMN child BLOB;
ALTER TABLE step ADD COLUMN edits INTEGER NOT NULL DEFAULT 0;

-- The step that waits for the run's end, and the run that it repeats.
ALTER TABLE run ADD COLUMN parent_run BLOB;
ALTER TABLE run ADD COLUMN parent_node TEXT;
ALTER TABLE run ADD COLUMN parent_item INTEGER;
ALTER TABLE run ADD COLUMN depth INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN replay_of BLOB;
-- The epoch under which it ended, so that the fence goes on when the run is opened again.
ALTER TABLE run ADD COLUMN last_epoch INTEGER NOT NULL DEFAULT 0;

CREATE INDEX run_parent ON run (parent_run) WHERE parent_run IS NOT NULL;

-- Names of the paused connections that a parked run waits for, as a JSON array; NULL for none, and
-- from the next lease on. An `available_at` of 9223372036854775807: not due by itself.
ALTER TABLE queue ADD COLUMN connections TEXT;

-- Runs that have waited for a connection since it was paused: instead of an index on the column,
-- which says whether they still do.
CREATE TABLE connection_wait (
    tenant_id  BLOB NOT NULL,
    connection TEXT NOT NULL, -- its name
    run_id     BLOB NOT NULL,
    PRIMARY KEY (tenant_id, connection, run_id)
) STRICT, WITHOUT ROWID;

-- Since when nobody calls through it, and why.
ALTER TABLE connection ADD COLUMN paused_at INTEGER;
ALTER TABLE connection ADD COLUMN paused_reason TEXT;

-- What came for a step from outside and is not used yet.
CREATE TABLE signal (
    tenant_id BLOB    NOT NULL,
    run_id    BLOB    NOT NULL,
    node      TEXT    NOT NULL,
    item      INTEGER NOT NULL,
    body      TEXT,             -- JSON
    body_hash BLOB,
    at        INTEGER NOT NULL,
    PRIMARY KEY (run_id, node, item)
) STRICT;

-- Steps that wait for a person, and those that a person gave up.
CREATE TABLE dead_letter (
    tenant_id      BLOB    NOT NULL,
    run_id         BLOB    NOT NULL,
    node           TEXT    NOT NULL,
    item           INTEGER NOT NULL,
    workflow_id    BLOB    NOT NULL,
    state          TEXT    NOT NULL, -- dead, unknown
    class          TEXT    NOT NULL,
    code           TEXT    NOT NULL,
    error          TEXT    NOT NULL, -- JSON, class and code among it
    since          INTEGER NOT NULL,
    discarded_at   INTEGER,
    discard_reason TEXT,
    PRIMARY KEY (run_id, node, item)
) STRICT;

-- The two lists, each in its order: the newest run first, and a run's steps by name.
CREATE INDEX dead_letter_open ON dead_letter (tenant_id, run_id DESC, node, item)
    WHERE discarded_at IS NULL;
CREATE INDEX dead_letter_discarded ON dead_letter (tenant_id, run_id DESC, node, item)
    WHERE discarded_at IS NOT NULL;

-- What people did. AUTOINCREMENT: a number is never used again.
CREATE TABLE audit (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id BLOB    NOT NULL,
    at        INTEGER NOT NULL,
    actor     TEXT    NOT NULL,
    action    TEXT    NOT NULL,
    subject   TEXT    NOT NULL,
    detail    TEXT    NOT NULL -- JSON
) STRICT;

CREATE INDEX audit_tenant ON audit (tenant_id, id);

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'nothing changes an entry of the audit'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN SELECT raise(ABORT, 'nothing deletes an entry of the audit'); END;

-- How `bytes` are written: 0 as they are, 1 compressed by zstd. The hash is of what was compressed.
ALTER TABLE payload ADD COLUMN encoding INTEGER NOT NULL DEFAULT 0;

-- Who needs a payload: a run or an event, from the first row of it that names the payload until it
-- is forgotten. Components are not here: a plugin names its own.
CREATE TABLE payload_use (
    owner_id  BLOB NOT NULL, -- of the run or event
    hash      BLOB NOT NULL,
    tenant_id BLOB NOT NULL,
    PRIMARY KEY (owner_id, hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX payload_use_hash ON payload_use (hash, tenant_id);

INSERT OR IGNORE INTO payload_use
    SELECT run_id, input_hash, tenant_id FROM step WHERE input_hash IS NOT NULL;
INSERT OR IGNORE INTO payload_use
    SELECT run_id, output_hash, tenant_id FROM step WHERE output_hash IS NOT NULL;
INSERT OR IGNORE INTO payload_use
    SELECT id, output_hash, tenant_id FROM run WHERE output_hash IS NOT NULL;
INSERT OR IGNORE INTO payload_use
    SELECT id, payload_hash, tenant_id FROM event WHERE payload_hash IS NOT NULL;
