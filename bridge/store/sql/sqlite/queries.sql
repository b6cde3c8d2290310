-- name: read_meta
-- A value of the store itself.
SELECT value FROM meta WHERE name = ?;

-- name: write_meta
-- Sets a value of the store itself.
INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: accept
-- Keeps a new message.
INSERT INTO message (message_id, account, client_ref, stage, lane, next_at, state, reason, plan, priority, step, attempts,
                     begun, updated_at, body, timeline)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, ?, ?, ?);

-- name: share
-- A message that its client knows by an id that it shares with others.
INSERT INTO shared (known_id, message_id) VALUES (?, ?);

-- name: keep_part
-- Keeps a part of a long message.
INSERT INTO part (part_id, created_at, body) VALUES (?, ?, ?);

-- name: join_part
-- A part has become part of a message; in place of its body stands the mark that recognises it.
UPDATE part SET message_id = ?, body = ? WHERE part_id = ?;

-- name: joined_parts
-- Parts of messages, newest first.
SELECT body, message_id, created_at FROM part WHERE message_id IS NOT NULL ORDER BY part_id DESC LIMIT ?;

-- name: waiting_parts
-- Parts whose message is not whole.
SELECT body FROM part WHERE message_id IS NULL ORDER BY part_id;

-- name: usage
-- What accounts have used of their quotas.
SELECT account, kind, period, used FROM usage;

-- name: keep_usage
-- What an account has used of a quota, in the current period.
INSERT INTO usage (account, kind, period, used) VALUES (?, ?, ?, ?)
ON CONFLICT (account, kind) DO UPDATE SET period = excluded.period, used = excluded.used;

-- name: joined
-- A message that parts are to be attached to.
SELECT body, state, reason FROM message WHERE message_id = ?;

-- name: attach
-- The message with more parts.
UPDATE message SET body = ? WHERE message_id = ?;

-- name: begin
-- An attempt that must not be repeated blindly starts.
UPDATE message SET begun = attempts + 1 WHERE message_id = ? AND begun = 0;

-- name: settle
-- What came of an attempt, unless a report was final first.
UPDATE message
SET stage = ?, state = ?, lane = ?, step = ?, attempts = ?, begun = ?, alone = ?, next_at = ?, else_at = ?, reason = ?, updated_at = ?,
    sent_at = coalesce(?, sent_at), provider_ref = coalesce(?, provider_ref), timeline = timeline || ?
WHERE message_id = ? AND stage < 2;

-- name: settle_late
-- The provider's answer came after a final report, or again: only noted.
UPDATE message SET provider_ref = coalesce(?, provider_ref), timeline = timeline || ? WHERE message_id = ?;

-- name: due
-- Messages a lane can have.
SELECT message_id, body, plan, step, attempts, begun, alone FROM message
WHERE stage = 0 AND lane = ? AND next_at <= ? AND priority = 0 ORDER BY next_at LIMIT ?;

-- name: due_urgent
-- Messages a lane can have before all others.
SELECT message_id, body, plan, step, attempts, begun, alone FROM message
WHERE stage = 0 AND lane = ? AND next_at <= ? AND priority = ? AND priority > 0 ORDER BY next_at LIMIT ?;

-- name: lease
-- A lane has it.
UPDATE message SET stage = 1, next_at = ? WHERE message_id = ?;

-- name: next_due
-- When a lane's next message is due.
SELECT min(next_at) FROM message WHERE stage = ? AND lane = ? AND next_at IS NOT NULL;

-- name: lanes
-- Providers with messages that are not final.
SELECT DISTINCT lane FROM message WHERE next_at IS NOT NULL;

-- name: depths
-- How many messages each provider still has to get.
SELECT lane, count(*) FROM message WHERE stage IN (0, 1) AND next_at IS NOT NULL GROUP BY lane;

-- name: release_leases
-- What an earlier process had in memory is queued again.
UPDATE message SET stage = 0, next_at = ? WHERE stage = 1 AND next_at IS NOT NULL;

-- name: count_queued
-- Messages that no provider has yet.
SELECT count(*) FROM message WHERE stage IN (0, 1) AND next_at IS NOT NULL;

-- name: awaiting
-- Messages whose report is due.
SELECT message_id, provider_ref, coalesce(sent_at, updated_at), step, else_at FROM message
WHERE stage = 2 AND lane = ? AND next_at <= ? ORDER BY next_at LIMIT ?;

-- name: ask_again
-- Puts off the question for a report.
UPDATE message SET next_at = ? WHERE message_id = ? AND stage = 2;

-- name: standing
-- Where a message stands.
SELECT message_id, state, lane, body, stage, else_at, reason, plan, step FROM message WHERE message_id = ?;

-- name: standing_by_ref
-- Where the message with a provider's reference stands. Two providers may well give the same one.
SELECT message_id, state, lane, body, stage, else_at, reason, plan, step FROM message
WHERE provider_ref = ? AND lane = ? ORDER BY message_id DESC LIMIT 1;

-- name: standing_by_leg
-- Where the message stands that a provider had before its plan went on.
SELECT m.message_id, m.state, m.lane, m.body, m.stage, m.else_at, m.reason, m.plan, m.step
FROM leg JOIN message m ON m.message_id = leg.message_id WHERE leg.provider_ref = ? AND leg.provider = ?;

-- name: leg
-- A message with a provider that has a next one.
SELECT plan, step, lane, provider_ref, body FROM message WHERE message_id = ? AND stage = 2 AND else_at IS NOT NULL;

-- name: stay
-- It is too late for the plan's next provider: the one that has the message is waited for.
UPDATE message SET else_at = NULL WHERE message_id = ?;

-- name: keep_leg
-- What else a provider calls a message, or called it before the plan went on.
INSERT OR REPLACE INTO leg (provider, provider_ref, message_id) VALUES (?, ?, ?);

-- name: go_on
-- The plan's next provider has its turn, though the last one took the message.
UPDATE message SET stage = 0, lane = ?, step = ?, attempts = 0, begun = 0, alone = 0, next_at = ?, else_at = NULL, provider_ref = NULL,
    updated_at = ?, timeline = timeline || ?
WHERE message_id = ?;

-- name: note_report
-- A report that changes nothing is noted, as long as the timeline is not very long.
UPDATE message SET timeline = timeline || ? WHERE message_id = ? AND length(timeline) < 16000;

-- name: apply_report
-- A report that tells more than we knew.
UPDATE message SET state = ?, reason = ?, updated_at = ?, timeline = timeline || ? WHERE message_id = ?;

-- name: finish
-- A report that is final.
UPDATE message SET stage = 3, next_at = NULL, else_at = NULL, state = ?, reason = ?, updated_at = ?, timeline = timeline || ?
WHERE message_id = ?;

-- name: park
-- A report for a message that the provider has not named yet.
INSERT OR IGNORE INTO parked (provider, provider_ref, state, at, body) VALUES (?, ?, ?, ?, ?);

-- name: parked
-- Reports that came before the provider's answer.
SELECT body FROM parked WHERE provider = ? AND provider_ref = ? ORDER BY at;

-- name: unpark
-- They have found their message.
DELETE FROM parked WHERE provider = ? AND provider_ref = ?;

-- name: count_parked
-- Reports without a message.
SELECT count(*) FROM parked;

-- name: purge_parked
-- Reports whose message never came.
DELETE FROM parked WHERE at < ?;

-- name: owe
-- Something an account must be told.
INSERT INTO owed (owed_id, listener, account, due_at, created_at, attempts, message_id, known_id, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: owed_of
-- What is owed of one message.
SELECT listener, account, owed_id, body FROM owed WHERE message_id = ?;

-- name: owed
-- What is owed to an account and due.
SELECT o.owed_id, o.due_at, o.created_at, o.attempts, o.known_id, o.body, m.body
FROM owed o LEFT JOIN message m ON m.message_id = o.message_id
WHERE o.listener = ? AND o.account = ? AND o.owed_id > ? AND o.due_at <= ? ORDER BY o.owed_id LIMIT ?;

-- name: next_owed
-- When something that is owed to an account and was put off is due.
SELECT min(due_at) FROM owed WHERE listener = ? AND account = ? AND due_at > ?;

-- name: owing
-- Whom we owe something, and from when.
SELECT listener, account, min(due_at) FROM owed GROUP BY listener, account;

-- name: last_owed
-- The highest number given to anything owed.
SELECT coalesce(max(owed_id), 0) FROM owed;

-- name: handed
-- It was confirmed.
DELETE FROM owed WHERE listener = ? AND account = ? AND owed_id = ?;

-- name: postpone
-- It could not be handed over now.
UPDATE owed SET due_at = ?, attempts = ? WHERE listener = ? AND account = ? AND owed_id = ?;

-- name: see
-- Notes an inbound message; nothing is inserted when it was there.
INSERT OR IGNORE INTO seen (provider, provider_ref, at) VALUES (?, ?, ?);

-- name: purge_seen
-- Inbound messages that are no longer repeated.
DELETE FROM seen WHERE at < ?;

-- name: find
-- All of a message.
SELECT body, state, reason, lane, provider_ref, attempts, updated_at, timeline FROM message WHERE message_id = ?;

-- name: find_by_part
-- The message a part belongs to.
SELECT message_id FROM part WHERE part_id = ?;

-- name: waiting_part
-- A part that waits for the rest of its message.
SELECT body FROM part WHERE part_id = ? AND message_id IS NULL;

-- name: sharing
-- The messages that their client knows by one id.
SELECT message_id FROM shared WHERE known_id = ? ORDER BY message_id;

-- name: waiting
-- Messages of an account that no provider has yet, from before one of them, with some octets in what was submitted.
SELECT message_id, body FROM message
WHERE stage IN (0, 1) AND next_at IS NOT NULL AND account = ? AND message_id < ? AND instr(body, ?) > 0
ORDER BY message_id;

-- name: pending
-- A message that may be changed: no provider has it, had it, or may have it.
SELECT body FROM message WHERE message_id = ? AND stage < 2 AND begun = 0 AND sent_at IS NULL AND state IN (0, 6);

-- name: replace
-- Another message in the place of one that no provider has.
UPDATE message
SET stage = 0, lane = ?, next_at = ?, else_at = NULL, state = ?, reason = NULL, plan = ?, step = 0, attempts = 0, priority = ?,
    updated_at = ?, body = ?, timeline = timeline || ?
WHERE message_id = ?;

-- name: find_ref
-- Messages by their client's reference.
SELECT body, state, reason, lane, provider_ref, attempts, updated_at, timeline FROM message
WHERE account = ? AND client_ref = ? ORDER BY message_id DESC LIMIT ?;

-- name: oldest
-- The oldest messages from an id on, and whether somebody is yet to be told of them.
SELECT message_id, updated_at, stage, EXISTS (SELECT 1 FROM owed WHERE owed.message_id = message.message_id)
FROM message WHERE message_id > ? ORDER BY message_id LIMIT ?;

-- name: body
-- What was submitted.
SELECT body FROM message WHERE message_id = ?;

-- name: forget
-- A message whose time has passed.
DELETE FROM message WHERE message_id = ?;

-- name: forget_legs
-- Providers that had a message whose time has passed.
DELETE FROM leg WHERE message_id = ?;

-- name: forget_parts
-- The parts of a message whose time has passed.
DELETE FROM part WHERE message_id = ?;

-- name: any_shared
-- Whether any message shares its id with others.
SELECT EXISTS (SELECT 1 FROM shared);

-- name: forget_shared
-- What a message whose time has passed shared with others, and so did its parts.
DELETE FROM shared WHERE message_id IN (SELECT ? UNION ALL SELECT part_id FROM part WHERE part.message_id = ?);
