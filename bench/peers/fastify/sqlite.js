'use strict';

// The tutorial's server with a table behind it: each update is one transaction of better-sqlite3,
// on disk before the answer (WAL, synchronous = FULL).

const Database = require('better-sqlite3');
const { serve } = require('./server');

const db = new Database(process.env.STORE);
db.pragma('journal_mode = WAL');
db.pragma('synchronous = FULL');
db.exec(`
  CREATE TABLE IF NOT EXISTS messages (
    message_uuid TEXT PRIMARY KEY,
    status TEXT NOT NULL,
    error_code TEXT,
    updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
  );
  CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY,
    message_uuid TEXT NOT NULL,
    status TEXT NOT NULL,
    error_code TEXT,
    raw TEXT NOT NULL,
    received_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (message_uuid, status)
  );
`);

const insert = db.prepare(`
  INSERT OR IGNORE INTO events (message_uuid, status, error_code, raw) VALUES (?, ?, ?, ?)
`);
const change = db.prepare(`
  INSERT INTO messages (message_uuid, status, error_code) VALUES (?, ?, ?)
  ON CONFLICT (message_uuid) DO UPDATE SET
    status = excluded.status, error_code = excluded.error_code, updated_at = CURRENT_TIMESTAMP
`);
const record = db.transaction((update) => {
  const { MessageUUID, Status, ErrorCode } = update;
  const error = ErrorCode || null;
  insert.run(MessageUUID, Status, error, JSON.stringify(update));
  change.run(MessageUUID, Status, error);
});

serve(record, () => db.close());
