-- What people think of answers: one rating of each. A table of its own, so that no client's copy of a message counts.
CREATE TABLE feedback (
  block_id   TEXT NOT NULL REFERENCES conversations (block_id) ON DELETE CASCADE,
  message_id TEXT NOT NULL,
  rating     TEXT NOT NULL CHECK (rating IN ('up', 'down')),
  comment    TEXT,                     -- none: nothing was said beside it
  rated_at   TEXT NOT NULL,            -- ISO 8601, UTC, microseconds: sorts as text
  PRIMARY KEY (block_id, message_id)
) WITHOUT ROWID;

CREATE INDEX feedback_rated_at ON feedback (rated_at);
