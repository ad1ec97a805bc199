from __future__ import annotations

import pytest

from app.storage.drafts import Draft
from app.storage.rows import title_of
from tests.storage.messages import assistant, user


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Hello", "Hello"),
        ("  two \n\n lines\t", "two lines"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
        ("word " * 20, "word word word word word word word word word word word word…"[:60]),
        ("x" * 59 + " y", "x" * 59 + "…"),
        ("x" * 60 + " y", "x" * 59 + "…"),
    ],
)
def test_a_title_is_at_most_60_characters_cut_at_the_end_of_a_word(text: str, title: str) -> None:
    assert title_of([Draft(user("u1", text))]) == title
    assert len(title) <= 60


def test_a_title_is_the_first_thing_that_the_user_says() -> None:
    drafts = [Draft(assistant("a1", "Hi")), Draft(user("u1", " ")), Draft(user("u2", "Well"))]
    assert title_of(drafts) == "Well"
    assert title_of(drafts[:2]) == ""
