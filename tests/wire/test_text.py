"""The text protocol: nothing but text, and a broken connection where it fails."""

from __future__ import annotations

import pytest

from app.core.events import StreamError, TextDelta
from app.wire.text import BrokenText, TextEncoder
from tests.wire.events import ANSWER


def test_only_the_text_leaves():
    encoder = TextEncoder()
    assert encoder.encode(ANSWER).decode() == 'a "b"\n\u2028\u0085é\U0001f600'
    assert encoder.end() == b""


def test_a_failure_breaks_off_after_the_text():
    encoder = TextEncoder()
    assert encoder.encode([TextDelta("t", "half"), StreamError("no", "c", 500)]) == b"half"
    with pytest.raises(BrokenText):
        encoder.end()
