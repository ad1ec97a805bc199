"""When the tests of tools take place."""

from __future__ import annotations

from datetime import UTC, datetime

NOW = datetime(2026, 11, 21, 18, 30, tzinfo=UTC)
