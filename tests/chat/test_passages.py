"""What was said, in pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.chat.passages import MOST_PASSAGES, PASSAGE_BYTES, passages


def texts(text: str) -> list[str]:
    return [passage.text for passage in passages(text)]


@pytest.mark.parametrize("text", ["", " \n\t ", "\u3000"])
def test_a_text_without_a_word_has_none(text: str) -> None:
    assert texts(text) == []


def test_a_short_text_is_one() -> None:
    assert texts("  Two words.\n\nAnd two more.\n") == ["Two words.\n\nAnd two more."]


@pytest.mark.parametrize(
    ("first", "separator"), [("Word. " * 150, "\n\n"), ("Word. " * 150, "\n"), ("word " * 170 + "end.", " ")]
)
def test_a_text_is_cut_where_it_hurts_least(first: str, separator: str) -> None:
    second = "more words " * 60
    assert texts(first + separator + second)[0] == first.strip()


def test_a_text_without_any_break_is_cut_all_the_same() -> None:
    assert [len(text) for text in texts("x" * (2 * PASSAGE_BYTES + 5))] == [PASSAGE_BYTES, PASSAGE_BYTES, 5]


def test_every_script_gets_about_as_many_bytes() -> None:
    assert all(len(text.encode()) <= PASSAGE_BYTES for text in texts("今天天气很好。" * 1000))


def test_a_long_text_has_no_more_than_a_bounded_number() -> None:
    assert len(passages("word " * 100_000)) == MOST_PASSAGES


@given(st.text(max_size=5000))
def test_passages_stand_where_they_say_and_leave_out_nothing_but_space(text: str) -> None:
    found = passages(text)
    for passage in found:
        assert text[passage.start : passage.start + len(passage.text)] == passage.text
    assert "".join("".join(passage.text for passage in found).split()) == "".join(text.split())
