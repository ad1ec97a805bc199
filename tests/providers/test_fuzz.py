"""Any history, cut anywhere, moved to any service, is one that the service takes, and it only ever grows at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.core.convert import to_prompt
from app.core.errors import UnsupportedContent
from app.core.messages import UIMessage
from app.core.model import GO_ON, ModelMessage, ModelRequest, Text
from app.core.tools import ToolRecord
from app.providers.catalog import CATALOG
from tests.histories import histories, ledgers
from tests.providers.services import SERVICES, body_for, check_body

MODELS: Mapping[str, Sequence[str]] = {
    "anthropic": ("claude-sonnet-5-5", "claude-sonnet-4-5", "another"),
    "openai": ("gpt-6.1-terra", "gpt-4.1"),
    "google": ("gemini-3.8-flash", "gemini-2.5-pro"),
}

wishes = st.fixed_dictionaries(
    {
        "thinking": st.sampled_from([None, "off", "high", 2048]),
        "system": st.sampled_from([None, "Be brief."]),
        "cache": st.sampled_from(["off", "5m", "1h"]),
        "max_tokens": st.sampled_from([None, 100]),
    }
)


def asked(
    name: str, history: Sequence[UIMessage], calls: Mapping[str, ToolRecord], wish: Mapping[str, Any]
) -> ModelRequest | None:
    """None where a turn would be refused before anyone is asked."""
    try:
        messages = to_prompt(history, calls=calls, takes=CATALOG[name].takes).messages
    except UnsupportedContent:
        return None
    return ModelRequest(**{"model": MODELS.get(name, ("m",))[0], "messages": messages, **wish}) if messages else None


@given(history=histories, calls=ledgers, wish=wishes, data=st.data())
@settings(max_examples=200, deadline=None)
def test_every_service_takes_every_history(history, calls, wish, data):
    for name in SERVICES:
        model = data.draw(st.sampled_from(MODELS.get(name, ("m",))), label=name)
        request = asked(name, history, calls, {**wish, "model": model})
        if request is None:
            continue
        if request.messages[-1].role == "assistant":  # a turn would do the same
            request = replace(request, messages=(*request.messages, ModelMessage("user", (Text(GO_ON),))))
        check_body(name, body_for(name, request))


@given(history=histories, calls=ledgers, cut=st.integers(1, 6))
@settings(max_examples=150, deadline=None)
def test_what_a_service_was_sent_is_how_the_next_request_begins(history, calls, cut):
    """So that it is found in the service's cache. Only what was sent last, the user's, may have grown.

    A call of the service's own that has no result yet may stand in a running tool loop and nowhere else: when the user
    speaks instead, it has to go, and what stood before it with it.
    """
    assume(not any(record.runs == "provider" and record.state == "open" for record in calls.values()))
    for name in SERVICES:
        before, after = (
            asked(name, part, calls, {"cache": "off", "system": "Be brief."}) for part in (history[:-cut], history)
        )
        if before is not None and after is not None:
            *shorter, _ = _sent(body_for(name, before))
            assert _sent(body_for(name, after))[: len(shorter)] == shorter


def _sent(body: Mapping[str, Any]) -> list[Any]:
    (key,) = body.keys() & {"messages", "input", "contents"}
    return list(body[key])
