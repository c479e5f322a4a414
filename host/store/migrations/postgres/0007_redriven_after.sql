-- Attempts that a step had made when a person last let it try again.
ALTER TABLE step ADD COLUMN redriven_after bigint NOT NULL DEFAULT 0;
