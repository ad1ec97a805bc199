"""The estimate for a call that did not come to its end."""

from __future__ import annotations

import pytest

from app.chat.cut_short import Told
from app.core.events import CallWarning, ReasoningDelta, TextDelta, TextStart, ToolInputDelta, Usage, Verbatim
from app.core.model import ModelMessage, ModelRequest, Text

REQUEST = ModelRequest("m", (ModelMessage("user", (Text("x" * 400),)),), system="y" * 400)


@pytest.mark.parametrize("batch", [[], [CallWarning("router", "…")], [TextStart("t")]])
def test_where_nothing_was_told_nothing_is_estimated(batch):
    told = Told(REQUEST)
    told.add(batch)
    assert told.usage() is None


def test_everything_that_was_said_counts_and_the_whole_prompt():
    told = Told(REQUEST)
    told.add([ReasoningDelta("r", "a" * 40), TextDelta("t", "b" * 40)])
    told.add([ToolInputDelta("c", "c" * 40)])
    assert told.usage() == Usage(200, 30)


def test_of_a_relayed_answer_the_service_says_what_the_prompt_is():
    told = Told(REQUEST)
    told.add([Verbatim(b"x" * 900, Usage(1_000, 1, cache_read_tokens=500))])
    told.add([Verbatim(b"x" * 520), Verbatim(b"ping")])
    assert told.usage() == Usage(1_000, 100, cache_read_tokens=500)
