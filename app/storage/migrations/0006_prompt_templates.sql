-- Prompt templates: every version is a row, and the highest is the template.
CREATE TABLE prompt_templates (
  name        TEXT NOT NULL,
  version     INTEGER NOT NULL,
  title       TEXT NOT NULL,
  description TEXT NOT NULL,
  content     TEXT NOT NULL,           -- JSON: a text, or a list of messages with role and text
  saved_at    TEXT NOT NULL,
  PRIMARY KEY (name, version)
) WITHOUT ROWID;
