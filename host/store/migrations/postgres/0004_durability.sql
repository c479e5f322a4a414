-- Waiting for people, for other runs and for mended connections; dead letters, the record of what
-- people did, and retention.

-- The run that it called and waits for, and how often a person let its calls be made anew.
ALTER TABLE step ADD COLUMN child uuid;
ALTER TABLE step ADD COLUMN edits bigint NOT NULL DEFAULT 0;

-- The step that waits for the run's end, and the run that it repeats.
ALTER TABLE run ADD COLUMN parent_run uuid;
ALTER TABLE run ADD COLUMN parent_node text;
ALTER TABLE run ADD COLUMN parent_item bigint;
ALTER TABLE run ADD COLUMN depth bigint NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN replay_of uuid;
-- The epoch under which it ended, so that the fence goes on when the run is opened again.
ALTER TABLE run ADD COLUMN last_epoch bigint NOT NULL DEFAULT 0;

CREATE INDEX run_parent ON run (tenant_id, parent_run) WHERE parent_run IS NOT NULL;

-- Names of the paused connections that a parked run waits for, as a JSON array; NULL for none, and
-- from the next lease on.
ALTER TABLE queue ADD COLUMN connections text;
-- Of a run that had ended and is being repaired, until a settle lets it go on.
ALTER TABLE queue ADD COLUMN reopened boolean NOT NULL DEFAULT false;

-- Runs that have waited for a connection since it was paused.
CREATE TABLE connection_wait (
    tenant_id  uuid NOT NULL,
    connection text COLLATE "C" NOT NULL, -- its name
    run_id     uuid NOT NULL,
    PRIMARY KEY (tenant_id, connection, run_id)
);

-- Since when nobody calls through it, and why.
ALTER TABLE connection ADD COLUMN paused_at bigint;
ALTER TABLE connection ADD COLUMN paused_reason text;

-- What came for a step from outside and is not used yet.
CREATE TABLE signal (
    tenant_id uuid   NOT NULL,
    run_id    uuid   NOT NULL,
    node      text COLLATE "C"   NOT NULL,
    item      bigint NOT NULL,
    body      bytea,           -- any: JSON
    body_hash bytea,
    at        bigint NOT NULL,
    PRIMARY KEY (tenant_id, run_id, node, item)
);

-- Steps that wait for a person, and those that a person gave up.
CREATE TABLE dead_letter (
    tenant_id      uuid   NOT NULL,
    run_id         uuid   NOT NULL,
    node           text COLLATE "C"   NOT NULL,
    item           bigint NOT NULL,
    workflow_id    uuid   NOT NULL,
    state          text   NOT NULL, -- dead, unknown
    class          text   NOT NULL,
    code           text   NOT NULL,
    error          text   NOT NULL, -- JSON, class and code among it
    since          bigint NOT NULL,
    discarded_at   bigint,
    discard_reason text,
    PRIMARY KEY (tenant_id, run_id, node, item)
);

-- The two lists, each in its order: the newest run first, and a run's steps by name.
CREATE INDEX dead_letter_open ON dead_letter (tenant_id, run_id DESC, node, item)
    WHERE discarded_at IS NULL;
CREATE INDEX dead_letter_discarded ON dead_letter (tenant_id, run_id DESC, node, item)
    WHERE discarded_at IS NOT NULL;

-- Who needs a payload: a run or an event, from the first row of it that names the payload until it
-- is forgotten. Components are not here: a plugin names its own.
CREATE TABLE payload_use (
    tenant_id uuid  NOT NULL,
    owner_id  uuid  NOT NULL, -- of the run or event
    hash      bytea NOT NULL,
    PRIMARY KEY (tenant_id, owner_id, hash)
);

CREATE INDEX payload_use_hash ON payload_use (tenant_id, hash);

ALTER TABLE connection_wait ENABLE ROW LEVEL SECURITY;
ALTER TABLE connection_wait FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON connection_wait
    USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
CREATE POLICY host ON connection_wait FOR SELECT
    USING (CASE current_setting('app.scope', true) WHEN 'host' THEN true ELSE false END);

ALTER TABLE signal ENABLE ROW LEVEL SECURITY;
ALTER TABLE signal FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON signal
    USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
CREATE POLICY host ON signal FOR SELECT
    USING (CASE current_setting('app.scope', true) WHEN 'host' THEN true ELSE false END);

ALTER TABLE dead_letter ENABLE ROW LEVEL SECURITY;
ALTER TABLE dead_letter FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dead_letter
    USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);

ALTER TABLE payload_use ENABLE ROW LEVEL SECURITY;
ALTER TABLE payload_use FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON payload_use
    USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
CREATE POLICY host ON payload_use FOR SELECT
    USING (CASE current_setting('app.scope', true) WHEN 'host' THEN true ELSE false END);
