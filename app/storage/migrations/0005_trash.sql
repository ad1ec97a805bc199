-- Deleted, but not yet for good. The head stands aside meanwhile: without one a block is no conversation, for anybody.
ALTER TABLE conversations ADD COLUMN trashed_head INTEGER;
ALTER TABLE conversations ADD COLUMN trashed_at TEXT;  -- ISO 8601, UTC, as the other dates

CREATE INDEX conversations_trashed ON conversations (trashed_at) WHERE trashed_at IS NOT NULL;
