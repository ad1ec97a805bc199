from __future__ import annotations

import pytest

from app.providers.failures import redact


@pytest.mark.parametrize(
    "secret",
    [
        "sk-ant-api03-abcdef_123",
        "sk-test********cdef",
        "gsk_0123456789abcdef",
        "Bearer eyJhbGciOi.x.y",
        "https://proxy.internal:8443/v1?key=1",
        "AIzaSyA0123456789",
        "0123456789abcdef0123456789abcdef",
        "s3cret-of-the-preset",
    ],
)
def test_nothing_like_a_key_or_an_address_is_left(secret: str) -> None:
    said = redact(f"Wrong key: {secret}. Use fewer tokens.", ["s3cret-of-the-preset"])
    assert secret not in said
    assert said.startswith("Wrong key: …")
    assert said.endswith("Use fewer tokens.")


def test_a_long_text_is_cut_and_put_on_one_line() -> None:
    said = redact("one\n\ttwo\x00 " + "three " * 1000)
    assert said.startswith("one two three")
    assert len(said) == 200
    assert said.endswith("…")


def test_ordinary_words_stay() -> None:
    said = "max_tokens: 999999 > 64000, which is the maximum allowed for claude-sonnet-5-5"
    assert redact(said) == said
