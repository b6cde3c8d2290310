-- The first schema. Times are Unix seconds.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- A message: what was submitted (body, never changed) and where it stands (the columns).
CREATE TABLE message (
    message_id   INTEGER PRIMARY KEY,
    account      TEXT    NOT NULL,
    client_ref   TEXT,
    stage        INTEGER NOT NULL,
    lane         TEXT    NOT NULL,          -- the provider whose turn it is
    next_at      REAL,                      -- when the stage's owner must act; NULL: never
    state        INTEGER NOT NULL,
    reason       TEXT,
    plan         TEXT    NOT NULL,          -- providers in order, comma between
    step         INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    begun        INTEGER NOT NULL,
    sent_at      REAL,
    provider_ref TEXT,
    updated_at   REAL    NOT NULL,
    body         BLOB    NOT NULL,          -- msgpack of Message
    timeline     TEXT    NOT NULL           -- JSON lines
);
CREATE INDEX message_next ON message (stage, lane, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX message_client_ref ON message (account, client_ref) WHERE client_ref IS NOT NULL;
CREATE INDEX message_provider_ref ON message (provider_ref) WHERE provider_ref IS NOT NULL;

-- A part of a long message; message_id is set when it was joined.
CREATE TABLE part (
    part_id    INTEGER PRIMARY KEY,
    message_id INTEGER,
    created_at REAL NOT NULL,
    body       BLOB                         -- msgpack of Message with its segment; once joined, its mark or NULL
);
CREATE INDEX part_waiting ON part (part_id) WHERE message_id IS NULL;
CREATE INDEX part_message ON part (message_id) WHERE message_id IS NOT NULL;

-- Reports for messages whose provider has not answered yet.
CREATE TABLE parked (
    provider     TEXT NOT NULL,
    provider_ref TEXT NOT NULL,
    state        INTEGER NOT NULL,
    at           REAL NOT NULL,
    body         BLOB NOT NULL,             -- msgpack of Report
    PRIMARY KEY (provider, provider_ref, state)
) WITHOUT ROWID;

-- What accounts have not confirmed yet: reports and inbound messages.
CREATE TABLE owed (
    listener   TEXT    NOT NULL,
    account    TEXT    NOT NULL,
    owed_id    INTEGER NOT NULL,
    due_at     REAL    NOT NULL,
    created_at REAL    NOT NULL,
    attempts   INTEGER NOT NULL,
    message_id INTEGER,
    known_id   INTEGER,
    body       BLOB    NOT NULL,            -- msgpack of Report or Inbound
    PRIMARY KEY (listener, account, owed_id)
) WITHOUT ROWID;
CREATE INDEX owed_message ON owed (message_id) WHERE message_id IS NOT NULL;

-- Inbound messages seen, so that one that a provider repeats is handed over once.
CREATE TABLE seen (
    provider     TEXT NOT NULL,
    provider_ref TEXT NOT NULL,
    at           REAL NOT NULL,
    PRIMARY KEY (provider, provider_ref)
) WITHOUT ROWID;
