-- What model calls have used: figures, nothing that was said.
CREATE TABLE usage (
  row                INTEGER PRIMARY KEY,
  at                 TEXT NOT NULL,      -- ISO 8601, UTC: its first ten characters are the day
  block_id           TEXT,               -- none: a temporary chat, or a conversation that was deleted
  message_id         TEXT,
  preset             TEXT NOT NULL,
  provider           TEXT NOT NULL,
  model              TEXT NOT NULL,
  purpose            TEXT NOT NULL,
  input_tokens       INTEGER NOT NULL,   -- those from and to the cache included
  output_tokens      INTEGER NOT NULL,   -- thinking included
  reasoning_tokens   INTEGER,
  cache_read_tokens  INTEGER,
  cache_write_tokens INTEGER,
  cost_usd           REAL                -- none: the price was not known
);

CREATE INDEX usage_at ON usage (at);
CREATE INDEX usage_block ON usage (block_id) WHERE block_id IS NOT NULL;

CREATE TRIGGER usage_forgets_the_conversation AFTER DELETE ON conversations BEGIN
  UPDATE usage SET block_id = NULL, message_id = NULL WHERE block_id = old.block_id;
END;
