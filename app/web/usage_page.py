"""`/usage`: what model calls have used and cost, as figures, plots and tables."""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.core.errors import InvalidRequest
from app.core.events import Usage
from app.core.usage import UsageReport, UsageTotal
from app.web.deps import Deps, State
from app.web.requests import deps_of
from app.web.templates import app_page
from app.wire.charts import ColumnChart, Datum, Piece, bar, column_chart
from app.wire.figures import axis_dollars, cost_text, exact, share, short

PERIODS = (7, 30, 90)
"""Days up to today."""
MOST_CONVERSATIONS = 10
TALL, SMALL = 168, 96
"""Heights of plots."""

_MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])")
_NOBODY = UsageTotal(None, 0, Usage(), 0.0, 0)


@dataclass(frozen=True, slots=True)
class Period:
    first: date
    last: date
    days: int | None
    """None: a month."""

    @property
    def title(self) -> str:
        return f"{self.first:%B %Y}" if self.days is None else f"The last {self.days} days"

    @property
    def before(self) -> Period:
        """The one of the same kind before it."""
        last = self.first - timedelta(days=1)
        if self.days is None:
            return Period(last.replace(day=1), last, None)
        return Period(self.first - timedelta(days=self.days), last, self.days)

    @property
    def after(self) -> Period:
        """Of a month, the next one."""
        return _month(self.last + timedelta(days=1))

    @property
    def month(self) -> str:
        return f"{self.first:%Y-%m}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table, with its bars."""

    name: str
    more: str
    href: str | None
    total: UsageTotal
    tokens: str
    cost: str
    token_bar: tuple[Piece, ...]
    cost_bar: tuple[Piece, ...]


async def get_usage_page(request: Request[State]) -> Response:
    """`?days=7`, 30 or 90, or `?month=2026-11`."""
    deps = deps_of(request)
    today = datetime.now(UTC).date()
    period = _period(request, today)
    report = await deps.usage_ledger.report(period.first.isoformat(), period.last.isoformat())
    before = await deps.usage_ledger.report(period.before.first.isoformat(), period.before.last.isoformat())
    dearest = report.conversations[:MOST_CONVERSATIONS]
    values: dict[str, Any] = {
        "period": period,
        "periods": PERIODS,
        "today": today,
        "total": report.total,
        "figures": _figures(report.total, before.total),
        "days": _days(report, period, today),
        "models": _rows(report.models),
        "presets": _rows(report.presets),
        "conversations": _rows(dearest, await _titles(deps, dearest)),
        "others": len(report.conversations) - len(dearest),
        **_plots(report, period, today),
    }
    return await app_page(request, "usage.html", **values)


def _period(request: Request[State], today: date) -> Period:
    if (month := request.query_params.get("month")) is not None:
        match = _MONTH.fullmatch(month)
        if match is None:
            raise InvalidRequest("`month` must be one such as 2026-11.", param="month")
        return _month(date(int(match[1]), int(match[2]), 1))
    days = request.query_params.get("days", "30")
    if days not in map(str, PERIODS):
        raise InvalidRequest("`days` must be 7, 30 or 90.", param="days")
    return Period(today - timedelta(days=int(days) - 1), today, int(days))


def _month(day: date) -> Period:
    return Period(day.replace(day=1), day.replace(day=calendar.monthrange(day.year, day.month)[1]), None)


def _figures(total: UsageTotal, before: UsageTotal) -> Sequence[tuple[str, str, str]]:
    """The headlines: what, how much, and something to compare it with."""
    usage, earlier = total.usage, before.usage
    cached = usage.cache_read_tokens or 0
    return (
        ("Cost", cost_text(total), f"{cost_text(before)} before" if before.calls else ""),
        ("Tokens", short(usage.total_tokens), f"{short(earlier.total_tokens)} before" if before.calls else ""),
        ("Model calls", exact(total.calls), f"{exact(before.calls)} before" if before.calls else ""),
        ("Input from the cache", share(cached, usage.input_tokens), f"{short(cached)} tokens" if cached else ""),
    )


def _series(total: UsageTotal) -> Mapping[str, float]:
    """The tokens of a bar; their names are classes of the style sheet."""
    cached = total.usage.cache_read_tokens or 0
    return {"input": max(0, total.usage.input_tokens - cached), "cached": cached, "output": total.usage.output_tokens}


def _days(report: UsageReport, period: Period, today: date) -> Sequence[tuple[date, UsageTotal]]:
    """Every day of the period that has begun, with or without calls."""
    known = {total.name: total for total in report.days}
    last = min(period.last, max(today, period.first))
    dates = [period.first + timedelta(days=number) for number in range((last - period.first).days + 1)]
    return [(day, known.get(day.isoformat(), _NOBODY)) for day in dates]


def _plots(report: UsageReport, period: Period, today: date) -> Mapping[str, ColumnChart]:
    days = _days(report, period, today)
    name = "%a" if len(days) <= 7 else "%-d %b"

    def plot(height: int, kind: str) -> ColumnChart:
        data = [Datum(f"{day:{name}}", _hint(day, total, kind), _values(total, kind)) for day, total in days]
        return column_chart(
            data, height=height, label=axis_dollars if kind == "cost" else short, least_step=0 if kind == "cost" else 1
        )

    return {"token_plot": plot(TALL, "tokens"), "cost_plot": plot(SMALL, "cost"), "call_plot": plot(SMALL, "calls")}


def _values(total: UsageTotal, kind: str) -> Mapping[str, float]:
    match kind:
        case "tokens":
            return _series(total)
        case "cost":
            return {"cost": total.cost_usd}
        case _:
            return {"calls": total.calls}


def _hint(day: date, total: UsageTotal, kind: str) -> str:
    when = f"{day:%a %-d %B}"
    if not total.calls:
        return f"{when}: nothing"
    match kind:
        case "tokens":
            parts = ", ".join(f"{exact(int(value))} {name}" for name, value in _series(total).items() if value)
            return f"{when}: {parts} tokens"
        case "cost":
            unpriced = f", {exact(total.unpriced_calls)} calls without a price" if total.unpriced_calls else ""
            return f"{when}: {cost_text(total)}{unpriced}"
        case _:
            return f"{when}: {exact(total.calls)} calls"


def _rows(totals: Sequence[UsageTotal], titles: Mapping[str, str] | None = None) -> Sequence[Row]:
    """Dearest first, as the ledger has them. `titles` names conversations; without it names are shown as they are."""
    most_tokens = max((sum(_series(total).values()) for total in totals), default=0)
    most_dollars = max((total.cost_usd for total in totals), default=0)
    return [
        Row(
            *(_conversation_name(total, titles) if titles is not None else _model_name(total)),
            total,
            short(total.usage.total_tokens),
            cost_text(total),
            bar(_series(total), most_tokens),
            bar({"cost": total.cost_usd}, most_dollars),
        )
        for total in totals
    ]


def _model_name(total: UsageTotal) -> tuple[str, str, str | None]:
    """A preset's name, or a model's with its service behind it."""
    service, _, model = (total.name or "").partition("/")
    return (model, service, None) if model else (service, "", None)


def _conversation_name(total: UsageTotal, titles: Mapping[str, str]) -> tuple[str, str, str | None]:
    if total.name is None:
        return "Temporary and deleted chats", "", None
    return titles.get(total.name) or "New chat", "", f"/c/{total.name}"


async def _titles(deps: Deps, totals: Sequence[UsageTotal]) -> Mapping[str, str]:
    """Most are in the newest pages of the list; the others are asked for one by one."""
    page = await deps.store.page(limit=200, archived=None)
    titles = {item.block_id: item.title for item in page.items}
    for total in totals:
        if total.name is not None and total.name not in titles:
            conversation = await deps.store.load(total.name)
            titles[total.name] = conversation.title if conversation is not None else ""
    return titles
