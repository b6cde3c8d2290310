-- Plans whose next provider goes when one has not delivered in time, or reports a failure.

ALTER TABLE message ADD COLUMN else_at REAL;    -- when the next one's turn comes; NULL: not by the clock

-- A provider that had a message before the plan went on; what it still says finds the message.
CREATE TABLE leg (
    provider     TEXT NOT NULL,
    provider_ref TEXT NOT NULL,
    message_id   INTEGER NOT NULL,
    PRIMARY KEY (provider, provider_ref)
) WITHOUT ROWID;
CREATE INDEX leg_message ON leg (message_id);
