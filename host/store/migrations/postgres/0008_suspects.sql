-- Runs that were claimed twice without any progress: they may be what ended their workers, and are
-- claimed apart. A run that makes progress is never in it.
CREATE INDEX queue_suspect ON queue (claims, available_at) WHERE claims >= 2;
