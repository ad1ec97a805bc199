"""What a search has found, in plain words."""

from __future__ import annotations

import pytest

from app.wire.snippets import plain_snippet


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("## A plan\n\n- **one** and *two*\n- [x] `three`", "A plan one and two three"),
        ("1. First\n2) second", "First second"),
        ("see [the **docs**](https://example.org/a?b=c) or ![a cat](data:x)", "see the docs or a cat"),
        ("…docs](https://example.org) and [more](https://exam…", "…docs and [more"),
        ("| a | b |\n|---|:-:|\n| 1 | 2 |", "a b 1 2"),
        ("```python\nx = 2 * 3 ** 4\n```\n> said\n\n---\n\nend", "x = 2 * 3 ** 4 said end"),
        (
            "snake_case, __init__, 3 * 4, list<int>, a - b, ~~gone~~",
            "snake_case, __init__, 3 * 4, list<int>, a - b, gone",
        ),
        ("", ""),
    ],
)
def test_the_marks_of_markdown_are_not_shown(written: str, shown: str) -> None:
    assert "".join(text for text, _ in plain_snippet([(written, False)])) == shown


def test_what_was_found_stays_marked() -> None:
    pieces = [
        ("see **the ", False),
        ("garden", True),
        ("** and [its ", False),
        ("plan", True),
        ("](https://x.org)", False),
    ]
    assert plain_snippet(pieces) == (
        ("see the ", False),
        ("garden", True),
        (" and its ", False),
        ("plan", True),
    )


def test_a_text_cannot_pretend_to_be_found() -> None:
    assert plain_snippet([("a \x02b\x03 c", False)]) == (("a b c", False),)


def test_a_word_without_end_takes_no_time() -> None:
    assert plain_snippet([("-" * 1_000_000 + "x", True)]) == (("-" * 1_000_000 + "x", True),)
