-- Flow control: runs that wait for a place, for a time, or for the end of another. A run that waits
-- for nothing has `flow` 0 and no row in any of these tables.

ALTER TABLE queue ADD COLUMN priority INTEGER NOT NULL DEFAULT 1; -- 0 high, 1 normal, 2 low
-- 1: the run has rows in `lane` or `gathering`, which go when it ends.
ALTER TABLE queue ADD COLUMN flow INTEGER NOT NULL DEFAULT 0;
-- A run that gets its places is not due before.
ALTER TABLE queue ADD COLUMN ready_at INTEGER NOT NULL DEFAULT 0;

-- In the order of a claim.
DROP INDEX queue_due;
CREATE INDEX queue_due ON queue (priority, available_at);

-- A run's place in a lane, from its accept to its end. `id` is the order in which runs came.
CREATE TABLE lane (
    id          INTEGER PRIMARY KEY,
    tenant_id   BLOB    NOT NULL,
    name        TEXT    NOT NULL,
    run_id      BLOB    NOT NULL,
    lim         INTEGER NOT NULL, -- runs that hold a place at the same time
    in_order    INTEGER NOT NULL,
    keeps_place INTEGER NOT NULL, -- while it is parked
    priority    INTEGER NOT NULL, -- where `in_order`, of all runs the same
    -- 0 holds a place. 1 waits in this lane's line. 2 wants a place, and waits in another lane's
    -- line. 3 parked, and wants none meanwhile.
    state       INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX lane_run ON lane (run_id, name);
CREATE INDEX lane_line ON lane (tenant_id, name, state, priority, id);

-- The run that gathers the events of a name until it starts.
CREATE TABLE gathering (
    tenant_id BLOB    NOT NULL,
    name      TEXT    NOT NULL,
    run_id    BLOB    NOT NULL,
    earliest  INTEGER NOT NULL, -- its throttle lets it start
    latest    INTEGER NOT NULL, -- it starts whatever comes
    PRIMARY KEY (tenant_id, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX gathering_run ON gathering (run_id);

-- When the next start would be, were there no burst: the theoretical arrival time of GCRA.
CREATE TABLE throttle (
    tenant_id BLOB    NOT NULL,
    name      TEXT    NOT NULL,
    tat_ns    INTEGER NOT NULL, -- since 1970
    PRIMARY KEY (tenant_id, name)
) STRICT, WITHOUT ROWID;

-- Those that say nothing any more.
CREATE INDEX throttle_over ON throttle (tat_ns);

-- Events that joined a run, or that another event took the place of: they go with the run.
CREATE TABLE joined (
    run_id   BLOB NOT NULL,
    event_id BLOB NOT NULL,
    PRIMARY KEY (run_id, event_id)
) STRICT, WITHOUT ROWID;
