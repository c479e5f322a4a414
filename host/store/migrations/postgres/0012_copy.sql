-- The row is there from the first row that `tombolo store copy` brings from SQLite until all of them
-- are there and have been compared. A database that has it holds a part of a copy: nothing but that
-- command opens it. Whoever copies has the row locked.
CREATE TABLE copy (
    one      boolean NOT NULL PRIMARY KEY DEFAULT true CHECK (one),
    began_at bigint  NOT NULL
);
