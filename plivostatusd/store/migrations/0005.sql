-- Schema 5: the ledger of nonces is filed in sorted runs; only its newest entries stand in `nonces`.
-- What an older store has there is filed by and by, so this takes no time (store/nonces.py).

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
    row     INTEGER PRIMARY KEY,                           -- the run, and 37 bits of the first entry
    entries BLOB NOT NULL
) STRICT;
