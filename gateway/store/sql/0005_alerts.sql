-- Alerts of the rules that watch the node and its people (gateway.alerts). `officers` are numbers, joined by commas; whom
-- anybody asked about stands nowhere. Of one rule and the same
-- people at most one is open: while it is, the rule firing again is counted in it.
CREATE TABLE alert (
    alert_id BLOB PRIMARY KEY, rule TEXT NOT NULL, state TEXT NOT NULL, version INTEGER NOT NULL, officers TEXT NOT NULL,
    count INTEGER NOT NULL, times INTEGER NOT NULL, seq INTEGER NOT NULL, raised_ns INTEGER NOT NULL,
    due_ns INTEGER NOT NULL, assigned TEXT NOT NULL, reason TEXT NOT NULL, closed_ns INTEGER NOT NULL
);
CREATE UNIQUE INDEX alert_open ON alert (rule, officers) WHERE state <> 'closed';
