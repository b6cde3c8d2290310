-- Messages that nobody else is to share a request with.

ALTER TABLE message ADD COLUMN alone INTEGER NOT NULL DEFAULT 0;
