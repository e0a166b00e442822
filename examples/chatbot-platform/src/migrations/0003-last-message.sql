-- kind: expand
-- compatible: the column may be NULL. The version before leaves it NULL, and this one then reads created_at.
ALTER TABLE conversations ADD COLUMN last_message_at TEXT;

CREATE INDEX messages_in_order ON messages (conversation, id);
