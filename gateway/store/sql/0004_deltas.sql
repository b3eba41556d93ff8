-- Which entries of our own list hold a match key, for lists whose changes do not wait for the tick: `hash` is the first
-- 16 bytes of SHA-256 of the key's input. An entry that was entered before there was an index is not `indexed`.
ALTER TABLE list_entry ADD COLUMN indexed INTEGER NOT NULL DEFAULT 0;
CREATE TABLE list_key (
    list TEXT NOT NULL, hash BLOB NOT NULL, entry_id TEXT NOT NULL,
    PRIMARY KEY (list, hash, entry_id)
) WITHOUT ROWID;
CREATE INDEX list_key_entry ON list_key (list, entry_id);

-- Deltas made for peers, and those received from owners: a chain for each (other state, list, group, epoch).
CREATE TABLE delta (
    peer TEXT NOT NULL, list TEXT NOT NULL, grp TEXT NOT NULL, epoch TEXT NOT NULL, number INTEGER NOT NULL,
    body BLOB NOT NULL, header BLOB NOT NULL, signature BLOB NOT NULL,
    PRIMARY KEY (peer, list, grp, epoch, number)
);
CREATE TABLE delta_copy (
    owner TEXT NOT NULL, list TEXT NOT NULL, grp TEXT NOT NULL, epoch TEXT NOT NULL, number INTEGER NOT NULL,
    body BLOB NOT NULL, header BLOB NOT NULL, signature BLOB NOT NULL,
    PRIMARY KEY (owner, list, grp, epoch, number)
);
