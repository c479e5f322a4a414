-- Lists of runs that are narrowed, each in the order of ids, newest last. No column of the first two
-- changes after the accept.
CREATE INDEX run_workflow ON run (tenant_id, workflow_id, id);
CREATE INDEX run_correlation ON run (tenant_id, correlation_id, id);

-- Runs that failed or were cancelled. Not an index on the run's state: to end a run would write to
-- all of its indexes. Those that have not ended are found by `queue`.
CREATE TABLE run_ended_badly (
    tenant_id uuid NOT NULL,
    state     text NOT NULL, -- failed, cancelled
    run_id    uuid NOT NULL,
    PRIMARY KEY (tenant_id, state, run_id)
);

-- Runs of a tenant that have not ended.
CREATE INDEX queue_tenant ON queue (tenant_id, run_id);

ALTER TABLE run_ended_badly ENABLE ROW LEVEL SECURITY;
ALTER TABLE run_ended_badly FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON run_ended_badly
    USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
