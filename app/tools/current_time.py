"""What time it is, here and elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from app.core.tools import ToolFailure

TimeZones = Annotated[list[str], Field(min_length=1, max_length=20)]


def current_time_tool(now: Callable[[], datetime]) -> Callable[..., Awaitable[list[dict[str, str]]]]:
    async def current_time(time_zones: TimeZones | None = None) -> list[dict[str, str]]:
        """Tell the date and time right now, in one or more time zones.

        Args:
            time_zones: names as in the IANA database: "Europe/Berlin", "America/New_York"; UTC if left out
        """
        moment = now().astimezone(UTC)
        return [_described(moment, name) for name in time_zones or ["UTC"]]

    return current_time


def _described(moment: datetime, name: str) -> dict[str, str]:
    try:
        there = moment.astimezone(ZoneInfo(name))
    except (KeyError, OSError, ValueError):  # unknown zones, folders of the database, absolute paths
        raise ToolFailure(
            "There is no such time zone. Use a name of the IANA database, such as Europe/Berlin or UTC."
        ) from None
    return {
        "timeZone": name,
        "time": there.isoformat(timespec="seconds"),
        "weekday": there.strftime("%A"),
        "abbreviation": there.tzname() or "",
    }
