-- Legal holds in force: payloads of entries `first` to `last` are not destroyed. Who set them is in the log.
CREATE TABLE hold (
    hold_id BLOB PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, review_ns INTEGER NOT NULL,
    CHECK (0 <= first AND first <= last)
);
