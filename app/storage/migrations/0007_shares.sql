-- What people may read who have the link: a conversation as it was when it was shared, and no more of it than they see.
CREATE TABLE shares (
  row           INTEGER PRIMARY KEY,
  token         TEXT NOT NULL UNIQUE,
  block_id      TEXT NOT NULL REFERENCES conversations (block_id) ON DELETE CASCADE,
  title         TEXT NOT NULL,
  with_details  INTEGER NOT NULL,        -- 0 or 1: thinking and tools are in it
  created_at    TEXT NOT NULL,
  message_count INTEGER NOT NULL,
  messages      TEXT NOT NULL            -- UIMessages as JSON
);

CREATE INDEX shares_block ON shares (block_id);
