-- Calls of attempts that failed which later attempts of the step are not to make again, by their
-- place among the step's changing calls. A `status` of NULL: the answer was too large to be kept.
CREATE TABLE journal (
    tenant_id    BLOB    NOT NULL,
    run_id       BLOB    NOT NULL,
    node         TEXT    NOT NULL,
    item         INTEGER NOT NULL,
    place        INTEGER NOT NULL,
    request_hash BLOB    NOT NULL,
    status       INTEGER,
    headers      TEXT,             -- JSON: [[name, value], ..]
    body         BLOB,
    PRIMARY KEY (run_id, node, item, place)
) STRICT;
