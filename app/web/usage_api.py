"""`/api/ai/usage`: what model calls have used and cost."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.core.errors import InvalidRequest
from app.core.usage import UsageTotal
from app.web.deps import State
from app.web.requests import deps_of
from app.web.responses import JSONAnswer

_DECIMALS = 6
"""Of a sum in dollars."""


async def get_usage(request: Request[State]) -> Response:
    """Sums over the days `from` to `to`, both included, in UTC."""
    since, until = _day(request, "from"), _day(request, "to")
    report = await deps_of(request).usage_ledger.report(since, until)
    period = {name: day for name, day in (("from", since), ("to", until)) if day is not None}
    return JSONAnswer(
        {
            **period,
            "total": _figures(report.total),
            "byConversation": _named("id", report.conversations),
            "byPreset": _named("preset", report.presets),
            "byModel": _named("model", report.models),
            "byDay": _named("day", report.days),
            "byDayAndPreset": _by_day("preset", report.preset_days),
            "byDayAndModel": _by_day("model", report.model_days),
            "byPurpose": _named("purpose", report.purposes),
        }
    )


def _named(key: str, totals: Iterable[UsageTotal]) -> list[dict[str, Any]]:
    return [{**({} if total.name is None else {key: total.name}), **_figures(total)} for total in totals]


def _by_day(key: str, totals: Iterable[UsageTotal]) -> list[dict[str, Any]]:
    """Their names begin with the day."""
    parts = ((total, (total.name or "").partition(" ")) for total in totals)
    return [{"day": day, key: name, **_figures(total)} for total, (day, _, name) in parts]


def _figures(total: UsageTotal) -> dict[str, Any]:
    """The tokens as in a message's `usage`; `costUsd` of the calls that have a price, if any has."""
    figures: dict[str, Any] = {"calls": total.calls, **total.usage.to_wire()}
    if total.unpriced_calls < total.calls:
        figures["costUsd"] = round(total.cost_usd, _DECIMALS)
    if total.unpriced_calls:
        figures["unpricedCalls"] = total.unpriced_calls
    return figures


def _day(request: Request[State], name: str) -> str | None:
    value = request.query_params.get(name)
    if value is None:
        return None
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise InvalidRequest(f"`{name}` must be a day such as 2026-11-21.", param=name) from None
