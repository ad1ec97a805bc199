-- What calls of the gateway that are under way may still cost: it is held back from the limits of their keys.
CREATE TABLE gateway_reservations (
  id          TEXT NOT NULL PRIMARY KEY,
  gateway_key TEXT NOT NULL,
  dollars     REAL NOT NULL,
  until       TEXT NOT NULL      -- ISO 8601, UTC: by then the call has ended, or its process has been killed
) WITHOUT ROWID;

-- How long the first token of a call took that a router has handed on, in seconds; none: any other call.
ALTER TABLE usage ADD COLUMN first_token REAL;
