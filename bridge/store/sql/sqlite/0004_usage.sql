-- What accounts have used of their quotas.

CREATE TABLE usage (
    account TEXT    NOT NULL,
    kind    TEXT    NOT NULL,          -- day or month
    period  TEXT    NOT NULL,          -- the day or month that it was used in; in another one, it is nothing
    used    INTEGER NOT NULL,
    PRIMARY KEY (account, kind)
) WITHOUT ROWID;
