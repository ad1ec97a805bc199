"""The plots of `/usage` and the table beside them: each day of a period, its figures stacked by what is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeAlias

from app.core.events import Usage
from app.core.usage import UsageReport, UsageTotal
from app.wire.charts import ColumnChart, Datum, column_chart
from app.wire.figures import axis_dollars, cost_text, exact, short

Stack: TypeAlias = Literal["kind", "model", "preset"]
"""What the figures of a day are divided by; `kind` is that of its tokens."""

STACKS: Mapping[str, str] = {"kind": "Kind of token", "model": "Model", "preset": "Preset"}
"""As the page calls them."""

MOST_SERIES = 5
"""Colours that can be told apart; what else there is is one more, the rest."""
TALL, SMALL = 168, 96
"""Heights of plots."""

_NOBODY = UsageTotal(None, 0, Usage(), 0.0, 0)
_KINDS: Mapping[str, str] = {"input": "Input", "cached": "Cached input", "output": "Output"}


@dataclass(frozen=True, slots=True)
class Day:
    day: date
    total: UsageTotal
    parts: Mapping[str, UsageTotal]
    """By series; none where the days are divided by kind."""


@dataclass(frozen=True, slots=True)
class Plots:
    series: Mapping[str, str]
    """Class of the style sheet → what it stands for, from the bottom up."""
    days: Sequence[Day]
    tokens: ColumnChart
    cost: ColumnChart
    calls: ColumnChart


def kinds_of(total: UsageTotal) -> Mapping[str, float]:
    """The tokens of a bar, by series."""
    cached = total.usage.cache_read_tokens or 0
    return {"input": max(0, total.usage.input_tokens - cached), "cached": cached, "output": total.usage.output_tokens}


def draw(report: UsageReport, dates: Sequence[date], stack: Stack, names: Mapping[str, str]) -> Plots:
    """`names` are those to show, by the ledger's."""
    ranked, by_day = (report.models, report.model_days) if stack == "model" else (report.presets, report.preset_days)
    series_of, series = ({}, dict(_KINDS)) if stack == "kind" else _series(ranked, names)
    parts: dict[str, dict[str, UsageTotal]] = {}
    for total in by_day if series_of else ():
        day, _, name = (total.name or "").partition(" ")
        of_day = parts.setdefault(day, {})
        key = series_of[name]
        of_day[key] = _sum(of_day[key], total) if key in of_day else total
    known = {total.name: total for total in report.days}
    days = [
        Day(day, known.get(day.isoformat(), _NOBODY), _ordered(parts.get(day.isoformat(), {}), series)) for day in dates
    ]

    def plot(height: int, value: Callable[[UsageTotal], float], kind: str) -> ColumnChart:
        data = [_datum(day, len(days) <= 7, series, value, kind) for day in days]
        label = axis_dollars if kind == "cost" else short
        return column_chart(data, height=height, label=label, least_step=0 if kind == "cost" else 1)

    return Plots(
        series,
        days,
        tokens=plot(TALL, lambda total: total.usage.total_tokens, "tokens"),
        cost=plot(SMALL, lambda total: total.cost_usd, "cost"),
        calls=plot(SMALL, lambda total: total.calls, "calls"),
    )


def _series(ranked: Sequence[UsageTotal], names: Mapping[str, str]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Name → series, and series → what it is called: the dearest, then all others together."""
    shown = ranked[:MOST_SERIES]
    series_of = {total.name or "": f"series-{number}" for number, total in enumerate(shown, 1)}
    series = {series_of[name]: names.get(name, name) for name in series_of}
    if rest := ranked[MOST_SERIES:]:
        series_of |= {total.name or "": "series-rest" for total in rest}
        series["series-rest"] = f"{len(rest)} others" if len(rest) > 1 else names.get(rest[0].name or "", "Another")
    return series_of, series


def _ordered(parts: Mapping[str, UsageTotal], series: Mapping[str, str]) -> Mapping[str, UsageTotal]:
    return {key: parts[key] for key in series if key in parts}


def _sum(one: UsageTotal, other: UsageTotal) -> UsageTotal:
    return UsageTotal(
        None,
        one.calls + other.calls,
        one.usage + other.usage,
        one.cost_usd + other.cost_usd,
        one.unpriced_calls + other.unpriced_calls,
    )


def _datum(
    day: Day, is_short: bool, series: Mapping[str, str], value: Callable[[UsageTotal], float], kind: str
) -> Datum:
    values: Mapping[str, float]
    if day.parts:
        values = {key: value(total) for key, total in day.parts.items()}
    else:
        values = kinds_of(day.total) if kind == "tokens" else {kind: value(day.total)}
    return Datum(f"{day.day:%a}" if is_short else f"{day.day:%-d %b}", _hint(day, series, values, kind), values)


def _hint(day: Day, series: Mapping[str, str], values: Mapping[str, float], kind: str) -> str:
    when = f"{day.day:%a %-d %B}"
    if not day.total.calls:
        return f"{when}: nothing"
    if day.parts:
        return f"{when}: " + ", ".join(f"{series[key]} {_text(total, kind)}" for key, total in day.parts.items())
    if kind == "tokens":
        parts = ", ".join(f"{exact(int(count))} {name}" for name, count in values.items() if count)
        return f"{when}: {parts} tokens"
    unpriced = f", {exact(day.total.unpriced_calls)} calls without a price" if day.total.unpriced_calls else ""
    return f"{when}: {_text(day.total, kind)}{unpriced if kind == 'cost' else ''}"


def _text(total: UsageTotal, kind: str) -> str:
    match kind:
        case "tokens":
            return f"{exact(total.usage.total_tokens)} tokens"
        case "cost":
            return cost_text(total)
        case _:
            return "1 call" if total.calls == 1 else f"{exact(total.calls)} calls"
