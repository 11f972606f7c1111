'use strict';

// The tutorial's server with PostgreSQL behind it: a pool of ten connections, and each update one
// statement, so one trip and one commit, on disk before the answer (fsync and synchronous_commit on).

const { Pool } = require('pg');
const { serve } = require('./server');

const pool = new Pool({ host: process.env.PGHOST, user: 'bench', database: 'postgres', max: 10 });

const TABLES = `
  CREATE TABLE IF NOT EXISTS messages (
    message_uuid TEXT PRIMARY KEY,
    status TEXT NOT NULL,
    error_code TEXT,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
  );
  CREATE TABLE IF NOT EXISTS events (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_uuid TEXT NOT NULL,
    status TEXT NOT NULL,
    error_code TEXT,
    raw JSONB NOT NULL,
    received_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (message_uuid, status)
  );
`;

// Both at once in one statement, and prepared: a transaction of two would take four trips.
const RECORD = {
  name: 'record',
  text: `
    WITH event AS (
      INSERT INTO events (message_uuid, status, error_code, raw) VALUES ($1, $2, $3, $4)
      ON CONFLICT DO NOTHING
    )
    INSERT INTO messages (message_uuid, status, error_code) VALUES ($1, $2, $3)
    ON CONFLICT (message_uuid) DO UPDATE SET
      status = excluded.status, error_code = excluded.error_code, updated_at = now()
  `,
};

async function record(update) {
  const { MessageUUID, Status, ErrorCode } = update;
  const values = [MessageUUID, Status, ErrorCode || null, JSON.stringify(update)];
  await pool.query({ ...RECORD, values });
}

async function main() {
  await pool.query(TABLES);
  await serve(record, () => pool.end());
}

main();
