-- Keys of the gateway: their digests, what they may do, and in the ledger which calls they made.
CREATE TABLE gateway_keys (
  id                  TEXT NOT NULL PRIMARY KEY,
  digest              BLOB NOT NULL UNIQUE,     -- SHA-256 of the key
  name                TEXT NOT NULL,
  ending              TEXT NOT NULL,            -- the key's last four characters
  created_at          TEXT NOT NULL,            -- ISO 8601, UTC
  presets             TEXT NOT NULL,            -- JSON list of names; an empty one: all
  requests_per_minute INTEGER,                  -- none: no limit
  spend_limit         REAL                      -- US dollars a month; none: no limit
) WITHOUT ROWID;

ALTER TABLE usage ADD COLUMN gateway_key TEXT;  -- the key's id, also when it is gone; none: nobody's

CREATE INDEX usage_gateway_key ON usage (gateway_key, at, cost_usd) WHERE gateway_key IS NOT NULL;
