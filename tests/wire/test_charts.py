"""Where bars stand."""

from __future__ import annotations

import pytest

from app.wire.charts import Datum, bar, column_chart, scale
from app.wire.figures import axis_dollars, dollars, exact, share, short, size


def chart(*values: float, height: int = 100):
    data = [Datum(str(number), "", {"all": value}) for number, value in enumerate(values)]
    return column_chart(data, height=height, label=short)


@pytest.mark.parametrize(
    ("largest", "step", "top"),
    [(0, 1, 1), (1, 0.25, 1), (4, 1, 4), (7, 2, 8), (100, 25, 100), (101, 50, 150), (393_000, 100_000, 400_000)],
)
def test_an_axis_ends_at_a_round_number_above_everything(largest: float, step: float, top: float) -> None:
    assert scale(largest) == pytest.approx((step, top))


@pytest.mark.parametrize("largest", [1e-6, 0.003, 0.07, 1.0, 9.99, 12345, 7e11])
def test_an_axis_has_a_few_lines_and_none_is_missing_at_the_top(largest: float) -> None:
    step, top = scale(largest)
    assert largest <= top * (1 + 1e-6)
    assert 1 <= round(top / step) <= 4


def test_columns_stand_on_the_ground_and_fit_between_it_and_the_top() -> None:
    plot = chart(50, 100, 0, height=100)
    heights = [sum(piece.length for piece in column.pieces) for column in plot.columns]
    assert heights == [50, 100, 0]
    assert [column.pieces[0].start for column in plot.columns[:2]] == [50, 0]
    assert [column.left for column in plot.columns] == pytest.approx([0, 33.3333, 66.6667], abs=1e-3)


def test_the_series_of_a_column_stand_on_top_of_each_other() -> None:
    [column] = column_chart([Datum("a", "", {"low": 25, "none": 0, "high": 75})], height=100, label=short).columns
    assert [(piece.series, piece.start, piece.length) for piece in column.pieces] == [("low", 75, 25), ("high", 0, 75)]


def test_what_is_not_nothing_can_be_seen() -> None:
    little = chart(1, 1_000_000).columns[0]
    assert little.pieces[0].length >= 1


def test_without_anything_there_is_an_empty_axis() -> None:
    plot = chart(0, 0)
    assert [line.label for line in plot.lines] == ["0", "1"]
    assert all(column.pieces == () for column in plot.columns)


def test_a_week_is_named_in_full_and_a_month_by_four_days() -> None:
    assert [mark.label for mark in chart(*range(7)).marks] == list("0123456")
    marks = chart(*range(31)).marks
    assert [mark.label for mark in marks] == ["0", "10", "20", "30"]
    assert (marks[0].anchor, marks[-1].anchor) == ("start", "end")


def test_a_bar_is_measured_against_the_longest() -> None:
    pieces = bar({"input": 30, "output": 20}, 100)
    assert [(piece.start, piece.length) for piece in pieces] == [(0, 30), (30, 20)]
    assert bar({"input": 0}, 0) == ()


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (950, "950"), (1000, "1k"), (1234, "1.23k"), (34_050, "34k"), (999_960, "1M"), (5_370_000, "5.37M")],
)
def test_short_numbers(number: int, text: str) -> None:
    assert short(number) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "$0.00"),
        (0.00001, "<$0.0001"),
        (0.0042, "$0.0042"),
        (0.0999, "$0.10"),
        (7.445, "$7.45"),
        (1234.5, "$1,234.50"),
    ],
)
def test_dollars(amount: float, text: str) -> None:
    assert dollars(amount) == text


@pytest.mark.parametrize(("amount", "text"), [(20, "$20"), (2.5, "$2.50"), (0.004, "$0.004"), (1000, "$1,000")])
def test_dollars_of_an_axis(amount: float, text: str) -> None:
    assert axis_dollars(amount) == text


def test_other_figures() -> None:
    assert exact(1_234_567) == "1,234,567"
    assert [share(0, 0), share(1, 1000), share(1, 3)] == ["0%", "<1%", "33%"]
    assert [size(0), size(999), size(254_000), size(3_400_000)] == ["0 bytes", "999 bytes", "254 KB", "3.4 MB"]
