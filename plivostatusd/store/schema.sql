-- The whole schema, to be read: what migrations/ leads to (tested). A fresh store is made by them too.
-- Instants are whole microseconds since the Unix epoch, UTC: datetime(created_at / 1e6, 'unixepoch').

CREATE TABLE messages (
    row                INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again, so a cursor keeps its meaning
    id                 TEXT    NOT NULL UNIQUE,            -- ours, UUIDv7
    message_uuid       TEXT    UNIQUE,                     -- Plivo's; null until Plivo told us
    ref                TEXT,                               -- 128 random bits: this message's callback path
    sender_number      TEXT,
    recipient_number   TEXT,
    message_body       TEXT,
    tag                TEXT,
    options            TEXT,                               -- JSON: what else of the send goes to Plivo
    sent_by            TEXT,                               -- who asked: a token's name or a local user
    resend_of          TEXT,                               -- id of the message that this one repeats, on an operator's word
    initial_status     TEXT,
    current_status     TEXT    NOT NULL,
    status_timestamp   INTEGER,                            -- Plivo's own time of current_status
    error_code         TEXT,
    reason             TEXT,
    plivo_status       INTEGER,                            -- HTTP status and words of a refusal by Plivo
    plivo_error        TEXT,
    conflict           INTEGER NOT NULL DEFAULT 0,
    final              INTEGER NOT NULL DEFAULT 0,
    final_by           TEXT,
    duplicate_at_plivo INTEGER NOT NULL DEFAULT 0,         -- a second MessageUUID came on this ref
    units              INTEGER,
    amount             TEXT,
    mcc                TEXT,
    mnc                TEXT,
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    room               BLOB    NOT NULL,                   -- zeros, which what is learnt later displaces
    calls              INTEGER,                            -- of Plivo, once settled
    called_at          INTEGER,                            -- when the last one began
    country            TEXT,                               -- the recipient's calling code: 1, 49, 353
    delivery_ms        INTEGER,                            -- from sent to delivered, by Plivo's own times
    took               INTEGER AS (      -- delivery_ms by the start of its step: eight steps a doubling
        CASE
        WHEN delivery_ms IS NULL THEN NULL
        WHEN delivery_ms < 1024 THEN delivery_ms / 64 * 64
        WHEN delivery_ms < 2048 THEN delivery_ms / 128 * 128
        WHEN delivery_ms < 4096 THEN delivery_ms / 256 * 256
        WHEN delivery_ms < 8192 THEN delivery_ms / 512 * 512
        WHEN delivery_ms < 16384 THEN delivery_ms / 1024 * 1024
        WHEN delivery_ms < 32768 THEN delivery_ms / 2048 * 2048
        WHEN delivery_ms < 65536 THEN delivery_ms / 4096 * 4096
        WHEN delivery_ms < 131072 THEN delivery_ms / 8192 * 8192
        WHEN delivery_ms < 262144 THEN delivery_ms / 16384 * 16384
        WHEN delivery_ms < 524288 THEN delivery_ms / 32768 * 32768
        WHEN delivery_ms < 1048576 THEN delivery_ms / 65536 * 65536
        WHEN delivery_ms < 2097152 THEN delivery_ms / 131072 * 131072
        WHEN delivery_ms < 4194304 THEN delivery_ms / 262144 * 262144
        WHEN delivery_ms < 8388608 THEN delivery_ms / 524288 * 524288
        WHEN delivery_ms < 16777216 THEN delivery_ms / 1048576 * 1048576
        WHEN delivery_ms < 33554432 THEN delivery_ms / 2097152 * 2097152
        WHEN delivery_ms < 67108864 THEN delivery_ms / 4194304 * 4194304
        WHEN delivery_ms < 134217728 THEN delivery_ms / 8388608 * 8388608
        WHEN delivery_ms < 268435456 THEN delivery_ms / 16777216 * 16777216
        ELSE 268435456 END) VIRTUAL
) STRICT;

CREATE UNIQUE INDEX messages_by_ref ON messages (ref) WHERE ref IS NOT NULL;
CREATE INDEX messages_by_time      ON messages (created_at);
CREATE INDEX messages_by_status    ON messages (current_status, created_at);
CREATE INDEX messages_by_recipient ON messages (recipient_number, created_at);
CREATE INDEX messages_by_sender    ON messages (sender_number, created_at);
CREATE INDEX messages_by_tag       ON messages (tag, created_at) WHERE tag IS NOT NULL;
CREATE INDEX messages_by_error     ON messages (error_code, created_at) WHERE error_code IS NOT NULL;
CREATE INDEX messages_by_mcc       ON messages (mcc, created_at) WHERE mcc IS NOT NULL;
CREATE INDEX messages_by_sent_by   ON messages (sent_by, created_at) WHERE sent_by IS NOT NULL;
CREATE INDEX messages_open         ON messages (created_at) WHERE final = 0;
CREATE INDEX messages_with_text    ON messages (created_at) WHERE message_body IS NOT NULL;

-- Ids that lead to a message besides its own: those of rows that turned out to be the same message.
CREATE TABLE aliases (
    id      TEXT    NOT NULL PRIMARY KEY,
    message INTEGER NOT NULL REFERENCES messages (row)
) STRICT, WITHOUT ROWID;

CREATE INDEX aliases_by_message ON aliases (message);

-- Append-only: what arrived, verbatim, and what it said. A row's number is the cursor of /events.
CREATE TABLE events (
    row           INTEGER PRIMARY KEY AUTOINCREMENT,
    message       INTEGER REFERENCES messages (row),       -- null: it names no message
    status        TEXT,                                    -- null: it says nothing about the status
    sequence      INTEGER,
    at            INTEGER,                                 -- Plivo's own time
    received_at   INTEGER NOT NULL,
    source        TEXT    NOT NULL,
    trust         TEXT    NOT NULL,
    error_code    TEXT,
    reason        TEXT,
    units         INTEGER,
    amount        TEXT,
    mcc           TEXT,
    mnc           TEXT,
    status_after  TEXT,                                    -- the message's status once this was folded in
    aside         TEXT,                                    -- not null: kept, and takes no part in the fold
    message_uuid  TEXT,                                    -- the MessageUUID that the event bore
    verified_by   TEXT,                                    -- the key's name; of an operator's word, whose it is
    nonces        TEXT,                                    -- every nonce of the request, separated by blanks
    digest        BLOB,                                    -- method, raw target and raw body, hashed
    raw           BLOB                                     -- request line, signature headers, body
) STRICT;

CREATE INDEX events_by_message ON events (message);

-- Nonces seen on the bare path, with the requests that bore them: more than one where Plivo used a
-- nonce again. On a ref's path those of the message's own events are looked at. The newest stand here;
-- by the thousand they are filed in the two tables below (store/nonces.py).
CREATE TABLE nonces (
    row     INTEGER PRIMARY KEY,
    entries BLOB    NOT NULL,                              -- as in nonce_pages, as they came
    key     TEXT    NOT NULL,                              -- fingerprint of the token that verified them
    seen_at INTEGER NOT NULL                               -- when the newest came
) STRICT;

-- Entries of the ledger that are filed: sorted, and never added to. Runs are merged into greater ones.
CREATE TABLE nonce_runs (
    run      INTEGER PRIMARY KEY AUTOINCREMENT,            -- never used again: entries move to greater ones
    entries  INTEGER NOT NULL,                             -- how many, once it is whole
    key      TEXT    NOT NULL,                             -- as in nonces, of all its entries
    seen_at  INTEGER NOT NULL,                             -- as in nonces, of the newest
    into_run INTEGER                                       -- the one that it is being merged into
) STRICT;

-- A page of a run: entries of 16 bytes, 8 of the nonce's hash and the first 8 of the digest.
CREATE TABLE nonce_pages (
    row     INTEGER PRIMARY KEY,                           -- the run, and 37 bits of the last entry
    entries BLOB NOT NULL
) STRICT;

-- Sends that are not settled yet. accepted_at, due_at and first_tried_at are instants of the steady
-- clock of the process that runs (host/clock.py), which a start sets right; claimed_at is the wall's.
CREATE TABLE outbox (
    message        INTEGER PRIMARY KEY REFERENCES messages (row),
    state          TEXT    NOT NULL CHECK (state IN ('pending', 'claimed', 'unknown')),
    accepted_at    INTEGER NOT NULL,
    due_at         INTEGER NOT NULL,                       -- a pending one: the next call; an unknown one: the next look
    attempts       INTEGER NOT NULL DEFAULT 0,
    first_tried_at INTEGER,
    claimed_at     INTEGER,
    reported       INTEGER NOT NULL DEFAULT 0              -- an unknown one that nobody could settle: it was said
) STRICT;

CREATE INDEX outbox_by_state ON outbox (state, due_at);

-- Messages about which Plivo's API is to be asked; due_at as in outbox.
CREATE TABLE asks (
    message INTEGER PRIMARY KEY REFERENCES messages (row) ON DELETE CASCADE,
    urgency INTEGER NOT NULL,                              -- least first: the least certain
    due_at  INTEGER NOT NULL,
    asked   INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX asks_by_urgency ON asks (urgency, due_at);

CREATE TABLE idempotency (
    scope       TEXT    NOT NULL,                          -- one token's, or one local user's
    key         TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL,
    is_list     INTEGER NOT NULL,
    message_ids TEXT    NOT NULL,                          -- separated by blanks
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_by_time ON idempotency (created_at);

-- Kept as rows change, so that no scrape and no reply counts them: messages by status, and
-- the outbox by state as outbox.pending, outbox.claimed, outbox.unknown.
CREATE TABLE tallies (
    name TEXT    NOT NULL PRIMARY KEY,
    n    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Messages counted by what people ask for, kept as rows change (store/counting.py): in the same
-- transaction, so exact. '' stands for none; took is -1 where it is not known.
CREATE TABLE figures (
    day     INTEGER NOT NULL,                              -- of created_at, since the Unix epoch, UTC
    status  TEXT    NOT NULL,
    country TEXT    NOT NULL,
    tag     TEXT    NOT NULL,
    mcc     TEXT    NOT NULL,
    mnc     TEXT    NOT NULL,
    error   TEXT    NOT NULL,
    took    INTEGER NOT NULL,
    n       INTEGER NOT NULL,
    PRIMARY KEY (day, status, country, tag, mcc, mnc, error, took)
) STRICT, WITHOUT ROWID;

CREATE TABLE sends_by_day (
    day INTEGER NOT NULL PRIMARY KEY,                      -- days since the Unix epoch, UTC
    n   INTEGER NOT NULL
) STRICT;

-- One value a name: generation (what event cursors belong to), held (the outbox: why), heartbeat,
-- running and gap (store/pulse.py), watched (the last row that asks has heard of), and rolls: lists of
-- sends that are accepted and not written out yet (store/rolls.py).
CREATE TABLE facts (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

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
