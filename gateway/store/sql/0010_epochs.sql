-- Epochs of a peer beside the active one (`epoch`): `pending` while its tables are made, `retired` until its key goes.
-- All of them are answered until they expire.
CREATE TABLE epoch_beside (
    peer TEXT NOT NULL, epoch TEXT NOT NULL, state TEXT NOT NULL, expires_ns INTEGER NOT NULL,
    PRIMARY KEY (peer, epoch), CHECK (state IN ('pending', 'retired'))
) WITHOUT ROWID;
