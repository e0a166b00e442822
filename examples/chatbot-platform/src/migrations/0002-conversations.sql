-- kind: expand
-- compatible: only adds tables, which no earlier version reads.
CREATE TABLE conversations (
  id TEXT PRIMARY KEY,
  account TEXT NOT NULL REFERENCES accounts (name) ON DELETE CASCADE,
  title TEXT NOT NULL,
  created_at TEXT NOT NULL
);

CREATE INDEX conversations_by_account ON conversations (account);

-- The ids are UUIDs of version 7, so they sort by time.
CREATE TABLE messages (
  id TEXT PRIMARY KEY,
  conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  author TEXT NOT NULL CHECK (author IN ('user', 'bot')),
  text TEXT NOT NULL,
  created_at TEXT NOT NULL
);

CREATE INDEX messages_by_conversation ON messages (conversation);
