-- What is old is found without reading all of the table, for which every message would have to wait.

CREATE INDEX seen_at ON seen (at);
CREATE INDEX parked_at ON parked (at);
