-- Schema 7: a page of the ledger's runs is named by its last entry instead of by its first, so that a
-- search comes to it at once (store/nonce_runs.py). SQL reads no number out of a blob but by its hex
-- digits: 37 bits are ten of them, less the last three bits.

UPDATE nonce_pages SET row = (row >> 37 << 37) + ((
    SELECT sum((instr('0123456789ABCDEF', substr(hex(substr(entries, -16, 5)), column1, 1)) - 1) << (40 - 4 * column1))
    FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10))
) >> 3);
