-- The texts that one write brings, together and compressed; the rows say which of its texts theirs
-- is. Appended, never changed. It goes with the run or event that it was written for: that names its
-- last pack, and each names the one before it.
CREATE TABLE pack (
    tenant_id uuid     NOT NULL,
    id        bigint   NOT NULL,
    before    bigint,
    encoding  smallint NOT NULL, -- 0 as they are, 1 compressed by zstd with the dictionary 1
    bytes     bytea    NOT NULL, -- each text with its length before it
    PRIMARY KEY (tenant_id, id)
);

-- Numbers of packs, taken by a process in blocks.
CREATE SEQUENCE pack_block;

ALTER TABLE pack ENABLE ROW LEVEL SECURITY;
ALTER TABLE pack FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON pack
    USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
