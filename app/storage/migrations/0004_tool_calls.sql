-- What the server remembers of every tool call that it issued: the only evidence that one was made or approved.
CREATE TABLE tool_calls (
  block_id      TEXT NOT NULL REFERENCES conversations (block_id) ON DELETE CASCADE,
  tool_call_id  TEXT NOT NULL,
  message_id    TEXT NOT NULL,       -- the answer that the call stands in
  tool_name     TEXT NOT NULL,
  runs          TEXT NOT NULL CHECK (runs IN ('server', 'client', 'provider')),
  state         TEXT NOT NULL,       -- CallState
  approval_id   TEXT,
  error_text    TEXT,
  dynamic       INTEGER NOT NULL,    -- 0 or 1
  call_metadata TEXT,                -- JSON, as what follows
  result_metadata TEXT,
  input         TEXT NOT NULL,
  output        TEXT NOT NULL,
  PRIMARY KEY (block_id, tool_call_id)
) WITHOUT ROWID;
