-- Search in titles and texts, and conversations that are put away.
ALTER TABLE conversations ADD COLUMN archived INTEGER NOT NULL DEFAULT 0;  -- 0 or 1, from the metadata

-- Below zero, so that the search can tell a title from a message by its number.
ALTER TABLE conversations ADD COLUMN number INTEGER;
UPDATE conversations SET number = -rowid;
CREATE UNIQUE INDEX conversations_number ON conversations (number);

DROP INDEX conversations_newest;
CREATE INDEX conversations_newest ON conversations (pinned, updated_at, block_id, archived) WHERE head IS NOT NULL;

DROP INDEX messages_parent;
CREATE INDEX messages_parent ON messages (parent, block_id);

-- Everything that can be found, whatever its branch. An answer is in it once it is whole. `spaced` is `words.spaced`.
CREATE VIEW searchable (number, text) AS
  SELECT row, spaced(text) FROM messages WHERE status <> 'streaming'
  UNION ALL
  SELECT number, spaced(title) FROM conversations;

CREATE VIRTUAL TABLE search USING fts5 (
  text, content = 'searchable', content_rowid = 'number', tokenize = 'unicode61 remove_diacritics 2'
);

INSERT INTO search (search) VALUES ('rebuild');

CREATE TRIGGER messages_added AFTER INSERT ON messages WHEN new.status <> 'streaming' BEGIN
  INSERT INTO search (rowid, text) VALUES (new.row, spaced(new.text));
END;

CREATE TRIGGER messages_changed AFTER UPDATE OF text, status ON messages
WHEN (old.text, old.status = 'streaming') <> (new.text, new.status = 'streaming') BEGIN
  INSERT INTO search (search, rowid, text) SELECT 'delete', old.row, spaced(old.text) WHERE old.status <> 'streaming';
  INSERT INTO search (rowid, text) SELECT new.row, spaced(new.text) WHERE new.status <> 'streaming';
END;

CREATE TRIGGER messages_removed AFTER DELETE ON messages WHEN old.status <> 'streaming' BEGIN
  INSERT INTO search (search, rowid, text) VALUES ('delete', old.row, spaced(old.text));
END;

CREATE TRIGGER conversations_added AFTER INSERT ON conversations BEGIN
  INSERT INTO search (rowid, text) VALUES (new.number, spaced(new.title));
END;

CREATE TRIGGER conversations_changed AFTER UPDATE OF title ON conversations WHEN old.title <> new.title BEGIN
  INSERT INTO search (search, rowid, text) VALUES ('delete', old.number, spaced(old.title));
  INSERT INTO search (rowid, text) VALUES (new.number, spaced(new.title));
END;

CREATE TRIGGER conversations_removed AFTER DELETE ON conversations BEGIN
  INSERT INTO search (search, rowid, text) VALUES ('delete', old.number, spaced(old.title));
END;
