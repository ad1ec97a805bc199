from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.events import (
    ModelEvent,
    ReasoningDelta,
    SourceUrl,
    TextDelta,
    TextEnd,
    ToolInputAvailable,
    ToolInputDelta,
)
from app.providers.parsing import Mender, Parser

BALLOON = ("\ud83c", "\udf88")


def test_whole_json_needs_no_mending() -> None:
    parse = Parser()
    assert parse('{"a": ["é", "\\ud83c\\udf88"]}'.encode()) == {"a": ["é", "🎈"]}
    assert not parse.torn


def test_half_a_pair_is_taken_and_noted() -> None:
    parse = Parser()
    assert parse(rb'{"a": "\ud83c"}') == {"a": "\ud83c"}
    assert parse.torn


def test_nul_is_taken_and_replaced_wherever_it_stands() -> None:
    parse = Parser()
    assert parse(rb'{"a": "b\\u0000"}') == {"a": r"b\u0000"}
    assert not parse.torn
    assert parse(rb'{"a": "b\u0000"}') == {"a": "b\0"}
    assert parse.torn
    mended = Mender().mend([TextDelta("t", "a\0b"), SourceUrl("s", "https://x/\0", "\0")])
    assert mended == [TextDelta("t", "a\ufffdb"), SourceUrl("s", "https://x/\ufffd", "\ufffd")]


@pytest.mark.parametrize("data", [b"", b"{", b"{'a': 1}", b'{"a": "\xff"}', b"[1,]", b'{"a": 1} 2'])
def test_what_is_not_json_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Parser()(data)


def test_the_halves_of_two_deltas_are_joined() -> None:
    mender = Mender()
    assert mender.mend([TextDelta("t", "a" + BALLOON[0])]) == [TextDelta("t", "a")]
    assert mender.mend([TextDelta("t", BALLOON[1] + "b")]) == [TextDelta("t", "🎈b")]


def test_each_part_has_its_own_halves() -> None:
    events: list[ModelEvent] = [
        TextDelta("t", BALLOON[0]),
        ReasoningDelta("r", BALLOON[0]),
        ToolInputDelta("c", BALLOON[0]),
        ReasoningDelta("r", BALLOON[1]),
        TextDelta("t", "x"),
        ToolInputDelta("c", BALLOON[1]),
    ]
    assert Mender().mend(events) == [ReasoningDelta("r", "🎈"), TextDelta("t", "\ufffdx"), ToolInputDelta("c", "🎈")]


def test_a_half_that_stays_alone_is_replaced_before_its_part_ends() -> None:
    mended = Mender().mend([TextDelta("t", "a" + BALLOON[0]), TextEnd("t")])
    assert mended == [TextDelta("t", "a"), TextDelta("t", "\ufffd"), TextEnd("t")]


def test_no_other_event_keeps_a_half() -> None:
    mended = Mender().mend([SourceUrl("s", "https://x/\udf88"), ToolInputAvailable("c", "n", {"\ud83c": ["\ud83c"]})])
    assert mended == [SourceUrl("s", "https://x/\ufffd"), ToolInputAvailable("c", "n", {"\ufffd": ["\ufffd"]})]


@given(st.text(st.sampled_from([*BALLOON, "a", "🎈"])), st.lists(st.integers(0, 20)))
def test_what_comes_out_is_always_text(text: str, cuts: list[int]) -> None:
    places = sorted(min(cut, len(text)) for cut in cuts)
    deltas = [text[start:stop] for start, stop in zip([0, *places], [*places, len(text)], strict=True)]
    mended = Mender().mend([*(TextDelta("t", delta) for delta in deltas), TextEnd("t")])
    said = "".join(event.delta for event in mended if isinstance(event, TextDelta))
    assert said == text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
