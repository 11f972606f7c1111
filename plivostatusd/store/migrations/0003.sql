-- Schema 3: messages are found by error code, by network and by who sent them; how often Plivo was
-- called is kept; and what stats count is counted as rows change.

CREATE INDEX messages_by_error   ON messages (error_code, created_at) WHERE error_code IS NOT NULL;
CREATE INDEX messages_by_mcc     ON messages (mcc, created_at) WHERE mcc IS NOT NULL;
CREATE INDEX messages_by_sent_by ON messages (sent_by, created_at) WHERE sent_by IS NOT NULL;

ALTER TABLE messages ADD COLUMN calls INTEGER;
ALTER TABLE messages ADD COLUMN called_at INTEGER;
ALTER TABLE messages ADD COLUMN country TEXT;
ALTER TABLE messages ADD COLUMN delivery_ms INTEGER;
ALTER TABLE messages ADD COLUMN took INTEGER AS (      -- delivery_ms by the start of its step: eight steps a doubling
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
        ELSE 268435456 END) VIRTUAL;

-- What the columns would hold, had they been there. A row keeps its size (store/folding.py); its
-- header grows by a byte a column. Country calling codes: ITU-T E.164, of one, two or three digits.
UPDATE messages SET
    country = CASE
        WHEN recipient_number NOT GLOB '+[1-9]*' THEN NULL
        WHEN substr(recipient_number, 2, 1) IN ('1', '7') THEN substr(recipient_number, 2, 1)
        WHEN substr(recipient_number, 2, 2) IN (
            '20', '27', '30', '31', '32', '33', '34', '36', '39', '40', '41', '43', '44', '45', '46',
            '47', '48', '49', '51', '52', '53', '54', '55', '56', '57', '58', '60', '61', '62', '63',
            '64', '65', '66', '81', '82', '84', '86', '90', '91', '92', '93', '94', '95', '98'
        ) THEN substr(recipient_number, 2, 2)
        ELSE substr(recipient_number, 2, 3) END,
    delivery_ms = CASE WHEN current_status IN ('delivered', 'read') THEN (
        SELECT CASE WHEN ended >= began THEN (ended - began) / 1000 END FROM (
            SELECT
                max(at) FILTER (WHERE status = 'delivered') AS ended,
                max(at) FILTER (WHERE status = 'sent') AS began
            FROM events INDEXED BY events_by_message
            WHERE message = messages.row AND source = 'callback' AND aside IS NULL
        )) END,
    room = zeroblob(max(0, length(room) - 16));

-- Messages counted by what people ask for, kept as rows change: by the triggers below and by nothing
-- else, so in the same transaction and exact. '' stands for none; took is -1 where it is not known.
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

CREATE TRIGGER figures_of_new AFTER INSERT ON messages BEGIN
    INSERT INTO figures VALUES (
        NEW.created_at / 86400000000, NEW.current_status, ifnull(NEW.country, ''),
        ifnull(NEW.tag, ''), ifnull(NEW.mcc, ''), ifnull(NEW.mnc, ''),
        ifnull(NEW.error_code, ''), ifnull(NEW.took, -1), 1
    ) ON CONFLICT DO UPDATE SET n = n + 1;
END;

CREATE TRIGGER figures_of_deleted AFTER DELETE ON messages BEGIN
    UPDATE figures SET n = n - 1 WHERE day = OLD.created_at / 86400000000 AND status = OLD.current_status
        AND country = ifnull(OLD.country, '') AND tag = ifnull(OLD.tag, '') AND mcc = ifnull(OLD.mcc, '')
        AND mnc = ifnull(OLD.mnc, '') AND error = ifnull(OLD.error_code, '')
        AND took = ifnull(OLD.took, -1);
    DELETE FROM figures WHERE n = 0 AND day = OLD.created_at / 86400000000 AND status = OLD.current_status
        AND country = ifnull(OLD.country, '') AND tag = ifnull(OLD.tag, '') AND mcc = ifnull(OLD.mcc, '')
        AND mnc = ifnull(OLD.mnc, '') AND error = ifnull(OLD.error_code, '')
        AND took = ifnull(OLD.took, -1);
END;

CREATE TRIGGER figures_of_changed
AFTER UPDATE OF current_status, country, tag, mcc, mnc, error_code, delivery_ms ON messages
WHEN OLD.current_status <> NEW.current_status OR OLD.country IS NOT NEW.country
    OR OLD.tag IS NOT NEW.tag OR OLD.mcc IS NOT NEW.mcc OR OLD.mnc IS NOT NEW.mnc
    OR OLD.error_code IS NOT NEW.error_code OR OLD.delivery_ms IS NOT NEW.delivery_ms
BEGIN
    UPDATE figures SET n = n - 1 WHERE day = OLD.created_at / 86400000000 AND status = OLD.current_status
        AND country = ifnull(OLD.country, '') AND tag = ifnull(OLD.tag, '') AND mcc = ifnull(OLD.mcc, '')
        AND mnc = ifnull(OLD.mnc, '') AND error = ifnull(OLD.error_code, '')
        AND took = ifnull(OLD.took, -1);
    DELETE FROM figures WHERE n = 0 AND day = OLD.created_at / 86400000000 AND status = OLD.current_status
        AND country = ifnull(OLD.country, '') AND tag = ifnull(OLD.tag, '') AND mcc = ifnull(OLD.mcc, '')
        AND mnc = ifnull(OLD.mnc, '') AND error = ifnull(OLD.error_code, '')
        AND took = ifnull(OLD.took, -1);
    INSERT INTO figures VALUES (
        NEW.created_at / 86400000000, NEW.current_status, ifnull(NEW.country, ''),
        ifnull(NEW.tag, ''), ifnull(NEW.mcc, ''), ifnull(NEW.mnc, ''),
        ifnull(NEW.error_code, ''), ifnull(NEW.took, -1), 1
    ) ON CONFLICT DO UPDATE SET n = n + 1;
END;

INSERT INTO figures
SELECT created_at / 86400000000, current_status, ifnull(country, ''), ifnull(tag, ''),
    ifnull(mcc, ''), ifnull(mnc, ''), ifnull(error_code, ''), ifnull(took, -1), count(*)
FROM messages GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
