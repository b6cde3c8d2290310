-- Urgent messages go first; messages of one submission that share the id their client knows.

ALTER TABLE message ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
CREATE INDEX message_urgent ON message (stage, lane, priority, next_at) WHERE priority > 0 AND next_at IS NOT NULL;

-- known_id is what the client was answered; a row for each message, or part, that goes by it.
CREATE TABLE shared (
    known_id   INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    PRIMARY KEY (known_id, message_id)
) WITHOUT ROWID;
CREATE INDEX shared_message ON shared (message_id);
