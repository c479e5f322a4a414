-- Whose turn it is, where more is due than a claim takes: the longest due of each tenant.
CREATE INDEX queue_turn ON queue (priority, tenant_id, available_at);
