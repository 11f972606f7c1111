-- Schema 6: the ledger's newest entries are kept as filed ones are, in one row a transaction, without
-- an index: the writer knows them by heart. What an older store has in `nonces` has been filed by now,
-- as SQL knows no hash (store/nonce_runs.py).

DROP TABLE nonces;

-- Nonces seen on the bare path, with the requests that bore them: more than one where Plivo used a
-- nonce again. On a ref's path those of the message's own events are looked at. The newest stand here;
-- by the thousand they are filed in the two tables below (store/nonces.py).
CREATE TABLE nonces (
    row     INTEGER PRIMARY KEY,
    entries BLOB    NOT NULL,                              -- as in nonce_pages, as they came
    key     TEXT    NOT NULL,                              -- fingerprint of the token that verified them
    seen_at INTEGER NOT NULL                               -- when the newest came
) STRICT;
