-- The record of what people did becomes a chain: each tenant's entries are counted from 1, and each
-- names the hash of the one before. SQLite cannot hash: the entries so far are chained when the file is
-- opened, and `audit_before` is gone then.
DROP TRIGGER audit_is_not_changed;
DROP TRIGGER audit_is_not_deleted;
DROP INDEX audit_tenant;
ALTER TABLE audit RENAME TO audit_before;

-- Without a rowid, so that no other number could be taken for an entry's place.
CREATE TABLE audit (
    tenant_id      BLOB    NOT NULL,
    seq            INTEGER NOT NULL,
    prev_hash      BLOB    NOT NULL,
    hash           BLOB    NOT NULL,
    at             INTEGER NOT NULL,
    actor          TEXT    NOT NULL,
    action         TEXT    NOT NULL,
    subject        TEXT    NOT NULL,
    detail         TEXT    NOT NULL, -- canonical JSON
    correlation_id TEXT,
    PRIMARY KEY (tenant_id, seq)
) STRICT, WITHOUT ROWID;

-- Where each record ends.
CREATE TABLE audit_head (
    tenant_id BLOB    NOT NULL PRIMARY KEY,
    seq       INTEGER NOT NULL,
    hash      BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

-- An entry goes to the end and nowhere else: this refuses INSERT OR REPLACE, too, for which no trigger
-- of a DELETE runs.
CREATE TRIGGER audit_goes_to_the_end BEFORE INSERT ON audit
WHEN new.seq <> 1 + ifnull((SELECT seq FROM audit_head WHERE tenant_id = new.tenant_id), 0)
  OR new.prev_hash <> ifnull((SELECT hash FROM audit_head WHERE tenant_id = new.tenant_id), zeroblob(32))
BEGIN SELECT raise(ABORT, 'an entry of the audit goes to the end of its record'); END;

CREATE TRIGGER audit_has_a_head AFTER INSERT ON audit
BEGIN
    UPDATE audit_head SET seq = new.seq, hash = new.hash WHERE tenant_id = new.tenant_id;
    INSERT INTO audit_head SELECT new.tenant_id, new.seq, new.hash WHERE new.seq = 1;
END;

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'nothing changes an entry of the audit'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN SELECT raise(ABORT, 'nothing deletes an entry of the audit'); END;

CREATE TRIGGER audit_head_goes_on BEFORE UPDATE ON audit_head
WHEN new.tenant_id <> old.tenant_id OR new.seq <> old.seq + 1
BEGIN SELECT raise(ABORT, 'the head of an audit goes on by one'); END;
CREATE TRIGGER audit_head_is_made_once BEFORE INSERT ON audit_head
WHEN new.seq <> 1 OR EXISTS (SELECT 1 FROM audit_head WHERE tenant_id = new.tenant_id)
BEGIN SELECT raise(ABORT, 'an audit has one head'); END;
CREATE TRIGGER audit_head_is_not_deleted BEFORE DELETE ON audit_head
BEGIN SELECT raise(ABORT, 'nothing deletes the head of an audit'); END;
