"""Charts as geometry: where each bar stands. `templates/charts.html` writes them down as SVG.

Across, everything is in percent of the width and up in pixels, so that a chart fits any screen without a script and its
letters keep their size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import floor, log10

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_MOST_LINES = 4
_FILLED = 0.72
"""How much of its place a column fills."""
_LEAST_HEIGHT = 1.5
"""What is not nothing can be seen."""


@dataclass(frozen=True, slots=True)
class Datum:
    """One column before it is drawn."""

    label: str
    hint: str
    """Shown when somebody points at it."""
    values: Mapping[str, float]
    """By series, from the bottom up."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One series' part of a column or bar."""

    series: str
    start: float
    length: float


@dataclass(frozen=True, slots=True)
class Column:
    left: float
    """Of its place."""
    bar_left: float
    hint: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A line across, with what it stands for."""

    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A label below the columns."""

    x: float
    label: str
    anchor: str


@dataclass(frozen=True, slots=True)
class ColumnChart:
    height: int
    place_width: float
    bar_width: float
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    marks: tuple[Mark, ...]


def column_chart(
    data: Sequence[Datum], *, height: int, label: Callable[[float], str], least_step: float = 0
) -> ColumnChart:
    """Columns side by side, the series of each on top of each other.

    Args:
        data: from left to right; at least one.
        height: in pixels, without the labels below.
        label: how a value of the axis is written.
        least_step: between two lines; 1 where halves mean nothing.
    """
    step, top = scale(max(sum(datum.values.values()) for datum in data), least_step)
    place = 100 / len(data)
    bar = place * _FILLED
    columns = tuple(
        Column(
            left=round(index * place, 4),
            bar_left=round(index * place + (place - bar) / 2, 4),
            hint=datum.hint,
            pieces=_stacked(datum.values, top, height),
        )
        for index, datum in enumerate(data)
    )
    count = round(top / step)
    lines = tuple(
        Line(round(height - height * index / count, 2), label(index * step) if index else "0")
        for index in range(count + 1)
    )
    return ColumnChart(height, round(place, 4), round(bar, 4), columns, lines, _marks(data))


def scale(largest: float, least_step: float = 0) -> tuple[float, float]:
    """The step between two lines and the top of the axis, both round numbers."""
    if largest <= 0:
        return 1.0, 1.0
    rough = largest / _MOST_LINES
    power = 10.0 ** floor(log10(rough))
    step = next((factor for factor in _STEPS if factor * power >= rough * (1 - 1e-9)), 10.0) * power
    step = max(step, least_step)
    count = 1
    while step * count < largest * (1 - 1e-9):
        count += 1
    return step, step * count


def bar(values: Mapping[str, float], largest: float) -> tuple[Piece, ...]:
    """One bar from left to right, in percent of the longest of its kind."""
    pieces: list[Piece] = []
    start = 0.0
    for series, value in values.items():
        length = 100 * value / largest if largest > 0 else 0.0
        if length > 0:
            pieces.append(Piece(series, round(start, 3), round(length, 3)))
        start += length
    return tuple(pieces)


def _stacked(values: Mapping[str, float], top: float, height: int) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    bottom = float(height)
    for series, value in values.items():
        if value <= 0:
            continue
        length = max(height * value / top, _LEAST_HEIGHT)
        bottom -= length
        pieces.append(Piece(series, round(bottom, 2), round(length, 2)))
    return tuple(pieces)


def _marks(data: Sequence[Datum]) -> tuple[Mark, ...]:
    """Every column of a week has its name below; of more columns the first, the last, and two between them."""
    last = len(data) - 1
    place = 100 / len(data)
    if last < 7:
        return tuple(Mark(round((i + 0.5) * place, 3), datum.label, "middle") for i, datum in enumerate(data))
    middle = [
        Mark(round((i + 0.5) * place, 3), data[i].label, "middle") for i in (round(last / 3), round(2 * last / 3))
    ]
    return (Mark(0, data[0].label, "start"), *middle, Mark(100, data[last].label, "end"))
