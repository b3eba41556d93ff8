-- Cases: one record a side. The body is the case (gateway.disclosure.case); the columns are what is looked for.
CREATE TABLE case_file (
    case_id BLOB PRIMARY KEY, peer TEXT NOT NULL, version INTEGER NOT NULL, open INTEGER NOT NULL,
    outbound TEXT NOT NULL, due_ns INTEGER NOT NULL, expires_ns INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX case_open ON case_file (open, due_ns);

-- Hit tokens that were used: once for each (request, entry). A row outlives its case.
CREATE TABLE case_token (
    peer TEXT NOT NULL, request_id BLOB NOT NULL, entry_id TEXT NOT NULL, case_id BLOB NOT NULL,
    PRIMARY KEY (peer, request_id, entry_id)
) WITHOUT ROWID;
