-- Private statistics. Costs and caps are whole micro-rho.

-- Data sets: every loading is a version of its name, the newest is in force. `snapshot` is the SHA-256 of the events.
CREATE TABLE dataset (
    name TEXT NOT NULL, version INTEGER NOT NULL, snapshot BLOB NOT NULL, declaration BLOB NOT NULL,
    by_person INTEGER NOT NULL, at_ns INTEGER NOT NULL,
    PRIMARY KEY (name, version)
);

-- What was spent of the privacy of a data set's units in a period, and what each peer has caused of it.
CREATE TABLE release_account (
    dataset TEXT NOT NULL, unit TEXT NOT NULL, period TEXT NOT NULL, cap INTEGER NOT NULL, spent INTEGER NOT NULL,
    PRIMARY KEY (dataset, unit, period), CHECK (0 <= spent AND spent <= cap)
) WITHOUT ROWID;
CREATE TABLE release_share (
    dataset TEXT NOT NULL, unit TEXT NOT NULL, period TEXT NOT NULL, peer TEXT NOT NULL, cap INTEGER NOT NULL,
    spent INTEGER NOT NULL,
    PRIMARY KEY (dataset, unit, period, peer), CHECK (0 <= spent AND spent <= cap)
) WITHOUT ROWID;

-- One release for each query and snapshot, whoever asks: charged first, made by the job process, shown at a tick.
-- `cap` and `spent` are the account's after the charge. What was charged or stored is never changed again.
CREATE TABLE release (
    reference BLOB NOT NULL, snapshot BLOB NOT NULL, query BLOB NOT NULL, dataset TEXT NOT NULL,
    version INTEGER NOT NULL, unit TEXT NOT NULL, period TEXT NOT NULL, salt BLOB NOT NULL,
    cost INTEGER NOT NULL CHECK (cost > 0), cap INTEGER NOT NULL, spent INTEGER NOT NULL, charged_ns INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, code TEXT NOT NULL DEFAULT '', shown_ns INTEGER NOT NULL DEFAULT 0,
    body BLOB, header BLOB, signature BLOB,
    PRIMARY KEY (reference, snapshot)
);
CREATE INDEX release_waiting ON release (charged_ns) WHERE body IS NULL AND code = '';
CREATE TRIGGER release_is_kept BEFORE DELETE ON release BEGIN SELECT RAISE(ABORT, 'releases are never deleted'); END;
CREATE TRIGGER release_is_fixed BEFORE UPDATE ON release
WHEN OLD.body IS NOT NULL OR NEW.salt IS NOT OLD.salt OR NEW.cost IS NOT OLD.cost OR NEW.query IS NOT OLD.query
BEGIN SELECT RAISE(ABORT, 'a release is charged once and made once'); END;

-- Who asked for it, and what each recipient was given (T20).
CREATE TABLE release_request (
    recipient TEXT NOT NULL, request_id BLOB NOT NULL, reference BLOB NOT NULL, snapshot BLOB NOT NULL,
    at_ns INTEGER NOT NULL,
    PRIMARY KEY (recipient, request_id)
);
CREATE INDEX release_request_reference ON release_request (recipient, reference);
CREATE TABLE release_delivery (
    reference BLOB NOT NULL, snapshot BLOB NOT NULL, recipient TEXT NOT NULL, body BLOB NOT NULL,
    header BLOB NOT NULL, signature BLOB NOT NULL,
    PRIMARY KEY (reference, snapshot, recipient)
);

-- What we asked other states for, and the releases that we received from them.
CREATE TABLE release_asked (
    owner TEXT NOT NULL, reference BLOB NOT NULL, query BLOB NOT NULL, snapshot BLOB NOT NULL, at_ns INTEGER NOT NULL,
    PRIMARY KEY (owner, reference)
);
CREATE TABLE release_copy (
    owner TEXT NOT NULL, reference BLOB NOT NULL, snapshot BLOB NOT NULL, query BLOB NOT NULL, at_ns INTEGER NOT NULL,
    body BLOB NOT NULL, header BLOB NOT NULL, signature BLOB NOT NULL,
    PRIMARY KEY (owner, reference, snapshot)
);
