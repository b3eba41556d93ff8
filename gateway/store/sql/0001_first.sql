-- The node's database. Numbers are SQLite integers (64 bits); times are UTC nanoseconds since 1970.

-- What this log is. One row a name: origin.
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

-- The log. A leaf holds nothing personal and is never changed or deleted.
CREATE TABLE leaf (seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
-- Full tiles only; the root comes first so that reading it does not read the 8 KiB behind it.
CREATE TABLE tile (
    level INTEGER NOT NULL, number INTEGER NOT NULL, root BLOB NOT NULL, hashes BLOB NOT NULL,
    PRIMARY KEY (level, number)
);
-- Sealed payloads, erasable. Past `due_ns` and a cosigned checkpoint beyond it, the row goes.
CREATE TABLE payload (seq INTEGER PRIMARY KEY, sealed BLOB NOT NULL, due_ns INTEGER NOT NULL);
CREATE INDEX payload_due ON payload (due_ns);
-- Entries naming a peer are numbered per pair.
CREATE TABLE pair (peer TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
-- Published checkpoints, our signature only, and the cosignatures gathered for them.
CREATE TABLE checkpoint (
    size INTEGER PRIMARY KEY, note BLOB NOT NULL, digest BLOB NOT NULL, made_ns INTEGER NOT NULL
);
CREATE TABLE cosignature (
    size INTEGER NOT NULL, name TEXT NOT NULL, witness TEXT NOT NULL, line BLOB NOT NULL, time_s INTEGER NOT NULL,
    PRIMARY KEY (size, name)
) WITHOUT ROWID;
CREATE INDEX cosignature_witness ON cosignature (witness, size);

CREATE TRIGGER leaf_is_kept BEFORE DELETE ON leaf BEGIN SELECT RAISE(ABORT, 'leaves are never deleted'); END;
CREATE TRIGGER leaf_is_fixed BEFORE UPDATE ON leaf BEGIN SELECT RAISE(ABORT, 'leaves are never changed'); END;
CREATE TRIGGER tile_is_kept BEFORE DELETE ON tile BEGIN SELECT RAISE(ABORT, 'tiles are never deleted'); END;
CREATE TRIGGER tile_is_fixed BEFORE UPDATE ON tile BEGIN SELECT RAISE(ABORT, 'tiles are never changed'); END;

-- Idempotency: replies given to peers (points only) and to our own officers (sealed under the client's key).
-- A row outlives its body, so that a request id is never used twice.
CREATE TABLE reply (
    peer TEXT NOT NULL, method TEXT NOT NULL, leg_id BLOB NOT NULL, batch INTEGER NOT NULL,
    request_hash BLOB NOT NULL, body BLOB, header BLOB, signature BLOB, expires_ns INTEGER NOT NULL,
    PRIMARY KEY (peer, method, leg_id, batch)
);
CREATE INDEX reply_expiry ON reply (expires_ns) WHERE body IS NOT NULL;
CREATE TABLE home_reply (
    request_id BLOB PRIMARY KEY, request_hash BLOB NOT NULL, sealed BLOB, expires_ns INTEGER NOT NULL
);
CREATE INDEX home_reply_expiry ON home_reply (expires_ns) WHERE sealed IS NOT NULL;

-- Allowances: padded slots of a peer on a UTC day, and what each leg has paid for and used.
CREATE TABLE quota (
    peer TEXT NOT NULL, list TEXT NOT NULL, grp TEXT NOT NULL, day INTEGER NOT NULL, used INTEGER NOT NULL,
    PRIMARY KEY (peer, list, grp, day)
) WITHOUT ROWID;
CREATE TABLE charge (
    peer TEXT NOT NULL, leg_id BLOB NOT NULL, day INTEGER NOT NULL, paid INTEGER NOT NULL, used INTEGER NOT NULL,
    PRIMARY KEY (peer, leg_id)
);
CREATE TABLE charge_batch (
    peer TEXT NOT NULL, leg_id BLOB NOT NULL, batch INTEGER NOT NULL, day INTEGER NOT NULL, request_hash BLOB,
    PRIMARY KEY (peer, leg_id, batch)
) WITHOUT ROWID;

-- Our own list, the tables made for peers, the tables received from peers.
CREATE TABLE list_entry (
    list TEXT NOT NULL, entry_id TEXT NOT NULL, body BLOB NOT NULL, withdrawn_ns INTEGER,
    PRIMARY KEY (list, entry_id)
);
CREATE TABLE manifest (
    peer TEXT NOT NULL, list TEXT NOT NULL, grp TEXT NOT NULL, version INTEGER NOT NULL, epoch TEXT NOT NULL,
    body BLOB NOT NULL, header BLOB NOT NULL, signature BLOB NOT NULL,
    PRIMARY KEY (peer, list, grp, version)
);
CREATE TABLE copy (
    owner TEXT NOT NULL, list TEXT NOT NULL, grp TEXT NOT NULL, version INTEGER NOT NULL, epoch TEXT NOT NULL,
    body BLOB NOT NULL, header BLOB NOT NULL, signature BLOB NOT NULL,
    PRIMARY KEY (owner, list, grp, version)
);

-- What is in force.
CREATE TABLE epoch (peer TEXT PRIMARY KEY, epoch TEXT NOT NULL, expires_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE policy (layer TEXT PRIMARY KEY, digest BLOB NOT NULL, sequence INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE peer (peer TEXT PRIMARY KEY, suspended INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE officer (officer TEXT PRIMARY KEY, body BLOB NOT NULL, retired_ns INTEGER) WITHOUT ROWID;
CREATE TABLE federation (version INTEGER PRIMARY KEY, body BLOB NOT NULL);

-- The heads of other logs that we have cosigned.
CREATE TABLE witness (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note BLOB NOT NULL) WITHOUT ROWID;
