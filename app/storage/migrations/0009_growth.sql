-- What answers in flight have said since their row was written: pieces of text, in order. Only a crash leaves any here;
-- the next start puts them to their answers.
CREATE TABLE growth (
  number INTEGER PRIMARY KEY,
  row    INTEGER NOT NULL REFERENCES messages (row) ON DELETE CASCADE,
  said   TEXT NOT NULL                    -- JSON, as app.core.said.to_row has it
);

CREATE INDEX growth_row ON growth (row);
