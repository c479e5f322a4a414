-- Calls of attempts that failed which later attempts of the step are not to make again, by their
-- place among the step's changing calls. A `status` of NULL: the answer was too large to be kept.
CREATE TABLE journal (
    tenant_id    uuid   NOT NULL,
    run_id       uuid   NOT NULL,
    node         text COLLATE "C"   NOT NULL,
    item         bigint NOT NULL,
    place        bigint NOT NULL,
    request_hash bytea  NOT NULL,
    status       bigint,
    headers      text,           -- JSON: [[name, value], ..]
    body         bytea,
    PRIMARY KEY (tenant_id, run_id, node, item, place)
);

ALTER TABLE journal ENABLE ROW LEVEL SECURITY;
ALTER TABLE journal FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON journal
    USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
