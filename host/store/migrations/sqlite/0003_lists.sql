-- Lists of runs that are narrowed, each in the order of ids, newest last. No column of the first two
-- changes after the accept, and a run that goes from queued by running to succeeded is never in the
-- third, so that a settle writes to none of them.
CREATE INDEX run_workflow ON run (tenant_id, workflow_id, id);
CREATE INDEX run_correlation ON run (tenant_id, correlation_id, id);

-- The states that few runs are in for long. Those that are queued or running are found by `queue`.
-- With OR and not IN: only so does SQLite see that `state = 'failed'` is among them.
CREATE INDEX run_state ON run (tenant_id, state, id)
    WHERE state = 'waiting' OR state = 'failed' OR state = 'cancelled';
