-- Schema 2: refused callbacks are kept a while, and when each token was last of use.

-- Callbacks that were refused though they bore a signature and named a message: the last ones, for
-- plivostatusctl doctor to find out why. Never a message, never an event (store/refusals.py).
CREATE TABLE refused (
    row          INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at  INTEGER NOT NULL,
    reason       TEXT    NOT NULL,                         -- as in the log
    message_uuid TEXT    NOT NULL,                         -- which nobody has proved
    raw          BLOB    NOT NULL                          -- request line, headers, body; zeros once forgotten
) STRICT;

-- When each token last verified a callback, to the minute (store/token_uses.py).
CREATE TABLE token_uses (
    key   TEXT NOT NULL PRIMARY KEY,                       -- fingerprint of the token
    v3_at INTEGER,
    v2_at INTEGER
) STRICT, WITHOUT ROWID;
