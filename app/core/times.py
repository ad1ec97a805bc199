"""Moments as they are written down: all of one length, so that they sort as texts."""

from __future__ import annotations

from datetime import UTC, datetime


def written(moment: datetime) -> str:
    """ISO 8601, UTC, to the microsecond: `2026-11-21T15:49:00.123456Z`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
