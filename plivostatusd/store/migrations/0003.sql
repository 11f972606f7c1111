-- Schema 3: messages are found by error code, by network and by who sent them.

CREATE INDEX messages_by_error   ON messages (error_code, created_at) WHERE error_code IS NOT NULL;
CREATE INDEX messages_by_mcc     ON messages (mcc, created_at) WHERE mcc IS NOT NULL;
CREATE INDEX messages_by_sent_by ON messages (sent_by, created_at) WHERE sent_by IS NOT NULL;
