-- Who may, and how much: tokens that are listed and taken back, and the quotas of tenants.

ALTER TABLE token ADD COLUMN prefix       text;   -- how it starts; NULL: made before this was kept
ALTER TABLE token ADD COLUMN last_used_at bigint;
ALTER TABLE token ADD COLUMN revoked_at   bigint;

-- A bound that is NULL is none. A tenant without a row has none at all.
CREATE TABLE quota (
    tenant_id       uuid NOT NULL PRIMARY KEY REFERENCES tenant (id),
    runs_per_minute bigint,
    concurrent_runs bigint,
    storage_bytes   bigint,
    connections     bigint
);

-- What a tenant has stored is counted without an index, which SQLite has: PostgreSQL takes no length
-- from an index, and does not need one to leave long texts where they are.

ALTER TABLE quota ENABLE ROW LEVEL SECURITY;
ALTER TABLE quota FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON quota
    USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
CREATE POLICY host ON quota FOR SELECT
    USING (CASE current_setting('app.scope', true) WHEN 'host' THEN true ELSE false END);
