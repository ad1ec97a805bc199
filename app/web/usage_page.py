"""`/usage`: what model calls have used and cost, as figures, plots and tables."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.core.errors import InvalidRequest
from app.core.usage import UsageReport, UsageTotal
from app.web.deps import Deps, State
from app.web.requests import deps_of
from app.web.templates import app_page, preset_titles
from app.web.usage_plots import STACKS, Stack, draw, kinds_of
from app.wire.charts import Piece, bar
from app.wire.figures import cost_text, exact, share, short

PERIODS = (7, 30, 90)
"""Days up to today."""
MOST_CONVERSATIONS = 10

_MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])")


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
    """`?days=7`, 30 or 90, or `?month=2026-11`; `?by=model` or `preset`: what the days are divided by."""
    deps = deps_of(request)
    today = datetime.now(UTC).date()
    period, stack = _period(request, today), _stack(request)
    report = await deps.usage_ledger.report(period.first.isoformat(), period.last.isoformat())
    before = await deps.usage_ledger.report(period.before.first.isoformat(), period.before.last.isoformat())
    titles = preset_titles(deps.configuration())
    dearest = report.conversations[:MOST_CONVERSATIONS]
    values: dict[str, Any] = {
        "period": period,
        "periods": PERIODS,
        "today": today,
        "total": report.total,
        "figures": _figures(report.total, before.total),
        "stack": stack,
        "stacks": STACKS,
        "plots": draw(report, _dates(period, today), stack, _model_names(report) if stack == "model" else titles),
        "models": _rows(report.models, _model_name),
        "presets": _rows(report.presets, lambda total: (titles.get(total.name or "", total.name or ""), "", None)),
        "conversations": _rows(dearest, partial(_conversation_name, await _titles(deps, dearest))),
        "others": len(report.conversations) - len(dearest),
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


def _stack(request: Request[State]) -> Stack:
    match request.query_params.get("by", "kind"):
        case "kind" | "model" | "preset" as stack:
            return stack
        case _:
            raise InvalidRequest("`by` must be kind, model or preset.", param="by")


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


def _dates(period: Period, today: date) -> Sequence[date]:
    """Every day of the period that has begun."""
    last = min(period.last, max(today, period.first))
    return [period.first + timedelta(days=number) for number in range((last - period.first).days + 1)]


def _model_names(report: UsageReport) -> Mapping[str, str]:
    """Without the service where the model says enough."""
    models = [(total.name or "").partition("/")[2] for total in report.models]
    return {
        name: model if models.count(model) == 1 else f"{model} ({service})"
        for name in (total.name or "" for total in report.models)
        for service, _, model in [name.partition("/")]
    }


def _rows(totals: Sequence[UsageTotal], named: Callable[[UsageTotal], tuple[str, str, str | None]]) -> Sequence[Row]:
    """Dearest first, as the ledger has them. `named` gives each its name, what more there is to say, and an address."""
    most_tokens = max((sum(kinds_of(total).values()) for total in totals), default=0)
    most_dollars = max((total.cost_usd for total in totals), default=0)
    return [
        Row(
            *named(total),
            total,
            short(total.usage.total_tokens),
            cost_text(total),
            bar(kinds_of(total), most_tokens),
            bar({"cost": total.cost_usd}, most_dollars),
        )
        for total in totals
    ]


def _model_name(total: UsageTotal) -> tuple[str, str, str | None]:
    """With its service behind it."""
    service, _, model = (total.name or "").partition("/")
    return model, service, None


def _conversation_name(titles: Mapping[str, str], total: UsageTotal) -> tuple[str, str, str | None]:
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
