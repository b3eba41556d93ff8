-- Payloads at rest are under a key of their (class, period), which is in no database (gateway.store.periods). `period` is
-- its start, UTC ns; an empty class is a payload that was stored before there were such keys.
ALTER TABLE payload ADD COLUMN class TEXT NOT NULL DEFAULT '';
ALTER TABLE payload ADD COLUMN period INTEGER NOT NULL DEFAULT 0;
CREATE INDEX payload_period ON payload (class, period);

-- Ranges whose payloads are gone and whose record keys are still to be destroyed: what a crash left to be done.
CREATE TABLE doomed (class TEXT NOT NULL, period INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL);
