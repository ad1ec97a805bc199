-- Vectors of what was said, for the search by meaning. A passage is a piece of a message's text; the same text has the
-- same vector, wherever it is said, so nothing is embedded twice.
CREATE TABLE vectors (
  number INTEGER PRIMARY KEY AUTOINCREMENT,   -- never used again: a copy in memory knows what it has by it
  model  TEXT NOT NULL,                       -- who made it: provider/model, and the address where it is not the usual one
  hash   BLOB NOT NULL,                       -- SHA-256 of the text
  vector BLOB NOT NULL,                       -- float32, little-endian; empty where the service refuses the text
  UNIQUE (model, hash)
);

CREATE TABLE passages (
  row    INTEGER NOT NULL REFERENCES messages (row) ON DELETE CASCADE,
  vector INTEGER NOT NULL REFERENCES vectors (number) ON DELETE CASCADE,
  start  INTEGER NOT NULL,                    -- where in the message's text, in characters
  size   INTEGER NOT NULL,
  PRIMARY KEY (row, vector, start)
) WITHOUT ROWID;

CREATE INDEX passages_vector ON passages (vector);

CREATE TRIGGER messages_say_something_else AFTER UPDATE OF text ON messages WHEN old.text <> new.text BEGIN
  DELETE FROM passages WHERE row = new.row;
END;

CREATE TRIGGER passages_removed AFTER DELETE ON passages BEGIN
  DELETE FROM vectors
  WHERE number = old.vector AND NOT EXISTS (SELECT 1 FROM passages WHERE vector = old.vector);
END;
