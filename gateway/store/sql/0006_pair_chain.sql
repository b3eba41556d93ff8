-- The leaf hash of the last entry of each pair. Empty until the writer has looked it up for entries made before.
ALTER TABLE pair ADD COLUMN head BLOB NOT NULL DEFAULT x'';
