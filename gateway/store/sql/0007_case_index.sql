-- What cases are looked for by. NULL where a case was last kept before there was this index: such a row is found by every
-- question, and whoever asks judges the case itself.
ALTER TABLE case_file ADD COLUMN record TEXT;
ALTER TABLE case_file ADD COLUMN state TEXT;
ALTER TABLE case_file ADD COLUMN assigned TEXT;
ALTER TABLE case_file ADD COLUMN offered TEXT;
CREATE INDEX case_record ON case_file (record);
CREATE INDEX case_order ON case_file ((due_ns = 0), due_ns, case_id);
CREATE INDEX case_assigned ON case_file (assigned);
CREATE INDEX case_offered ON case_file (offered);
