-- What people did: of each tenant a chain of entries, counted from 1, each with the hash of the one
-- before. Kept by triggers, and by the privileges of a user who does not own the tables (see
-- docs/deploy.md).

CREATE TABLE audit (
    tenant_id      uuid   NOT NULL,
    seq            bigint NOT NULL,
    prev_hash      bytea  NOT NULL,
    hash           bytea  NOT NULL,
    at             bigint NOT NULL,
    actor          text   NOT NULL,
    action         text   NOT NULL,
    subject        text   NOT NULL,
    detail         text   NOT NULL, -- canonical JSON
    correlation_id text,
    PRIMARY KEY (tenant_id, seq)
);

-- Where each record ends; `seq` 0 for one that has no entry yet. Whoever appends has its row.
CREATE TABLE audit_head (
    tenant_id uuid   NOT NULL PRIMARY KEY,
    seq       bigint NOT NULL,
    hash      bytea  NOT NULL
);

CREATE FUNCTION audit_goes_to_the_end() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    head audit_head;
BEGIN
    SELECT * INTO head FROM audit_head WHERE tenant_id = new.tenant_id;
    IF new.seq <> coalesce(head.seq, 0) + 1
        OR new.prev_hash <> coalesce(head.hash, decode(repeat('00', 32), 'hex')) THEN
        RAISE EXCEPTION 'an entry of the audit goes to the end of its record';
    END IF;
    INSERT INTO audit_head (tenant_id, seq, hash) VALUES (new.tenant_id, new.seq, new.hash)
        ON CONFLICT (tenant_id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash;
    RETURN new;
END $$;
CREATE TRIGGER audit_goes_to_the_end BEFORE INSERT ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_goes_to_the_end();

CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'nothing changes or deletes an entry of the audit';
END $$;
CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_stays();
CREATE TRIGGER audit_head_stays BEFORE DELETE OR TRUNCATE ON audit_head
    FOR EACH STATEMENT EXECUTE FUNCTION audit_stays();

CREATE FUNCTION audit_head_goes_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.tenant_id <> old.tenant_id OR new.seq <> old.seq + 1 THEN
        RAISE EXCEPTION 'the head of an audit goes on by one';
    END IF;
    RETURN new;
END $$;
CREATE TRIGGER audit_head_goes_on BEFORE UPDATE ON audit_head
    FOR EACH ROW EXECUTE FUNCTION audit_head_goes_on();

ALTER TABLE audit ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit
    USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);

ALTER TABLE audit_head ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_head FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_head
    USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid)
    WITH CHECK (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
CREATE POLICY host ON audit_head FOR SELECT
    USING (CASE current_setting('app.scope', true) WHEN 'host' THEN true ELSE false END);
