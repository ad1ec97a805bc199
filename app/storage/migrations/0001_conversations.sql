-- A block comes into being with its metadata or its first message, whichever is first; without a head it is no
-- conversation yet.
CREATE TABLE conversations (
  block_id        TEXT PRIMARY KEY,
  head            INTEGER,                       -- the last message of the active branch: messages.row
  version         INTEGER NOT NULL DEFAULT 0,    -- of what a client loads; 0 without a head
  title           TEXT NOT NULL DEFAULT '',      -- what is shown: the metadata's title, else the automatic one
  automatic_title TEXT NOT NULL DEFAULT '',
  pinned          INTEGER NOT NULL DEFAULT 0,    -- 0 or 1, from the metadata
  metadata        TEXT NOT NULL DEFAULT '{}',    -- a JSON object
  created_at      TEXT NOT NULL,                 -- ISO 8601, UTC, microseconds: sorts as text
  updated_at      TEXT NOT NULL
);

CREATE INDEX conversations_newest ON conversations (pinned, updated_at, block_id) WHERE head IS NOT NULL;

-- The tree. An edited message keeps its id, so several rows may have the same one.
CREATE TABLE messages (
  row         INTEGER PRIMARY KEY,
  block_id    TEXT NOT NULL REFERENCES conversations (block_id) ON DELETE CASCADE,
  id          TEXT NOT NULL,
  parent      INTEGER REFERENCES messages (row) DEFERRABLE INITIALLY DEFERRED,
  role        TEXT NOT NULL,
  fingerprint BLOB NOT NULL,                     -- of the body, whatever the order of its keys
  origin      TEXT NOT NULL CHECK (origin IN ('client', 'server')),
  status      TEXT NOT NULL,                     -- AnswerStatus
  created_at  TEXT NOT NULL,
  updated_at  TEXT NOT NULL,
  text        TEXT NOT NULL,                     -- what it says, for the search
  body        TEXT NOT NULL                      -- the UIMessage as JSON; last, so that no outline reads past it
);

CREATE INDEX messages_id ON messages (block_id, id);
CREATE INDEX messages_parent ON messages (parent);
CREATE INDEX messages_running ON messages (block_id) WHERE status = 'streaming';
