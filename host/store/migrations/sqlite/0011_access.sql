-- Who may, and how much: tokens that are listed and taken back, and the quotas of tenants.

ALTER TABLE token ADD COLUMN prefix       TEXT;    -- how it starts; NULL: made before this was kept
ALTER TABLE token ADD COLUMN last_used_at INTEGER;
ALTER TABLE token ADD COLUMN revoked_at   INTEGER;

-- A bound that is NULL is none. A tenant without a row has none at all.
CREATE TABLE quota (
    tenant_id       BLOB NOT NULL PRIMARY KEY REFERENCES tenant (id),
    runs_per_minute INTEGER,
    concurrent_runs INTEGER,
    storage_bytes   INTEGER,
    connections     INTEGER
) STRICT, WITHOUT ROWID;

-- What a tenant has stored is counted here, without a look at the texts.
CREATE INDEX payload_size ON payload (tenant_id, length(bytes));
