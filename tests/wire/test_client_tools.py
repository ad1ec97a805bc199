"""Tools that a client declares: the spellings that are taken, and what is refused by name."""

from __future__ import annotations

import pytest

from app.core.errors import InvalidRequest
from app.core.tools import ToolSpec
from app.core.values import NO_VALUES
from app.wire.chat_request import parse_chat_request
from app.wire.client_tools import MAX_TOOLS, read_client_tools

SCHEMA = {"type": "object", "properties": {"question": {"type": "string"}}}
ASK = ToolSpec("ask_user", "Asks.", SCHEMA)


@pytest.mark.parametrize(
    "tools",
    [
        [{"name": "ask_user", "description": "Asks.", "parameters": SCHEMA}],
        [{"name": "ask_user", "description": "Asks.", "inputSchema": SCHEMA, "execute": "rm", "policy": "auto"}],
        [{"name": "ask_user", "description": "Asks.", "input_schema": {"properties": SCHEMA["properties"]}}],
        [{"type": "function", "function": {"name": "ask_user", "description": "Asks.", "parameters": SCHEMA}}],
        {"ask_user": {"description": "Asks.", "parameters": SCHEMA}},
    ],
)
def test_the_spellings_of_the_field(tools):
    assert read_client_tools(tools) == (ASK,)


def test_none_are_none_and_one_without_parameters_has_none():
    assert read_client_tools(None) == read_client_tools([]) == read_client_tools({}) == ()
    assert read_client_tools([{"name": "now"}]) == (ToolSpec("now", "", {"type": "object", "properties": {}}),)


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ("all", "tools"),
        ([1], "tools[0]"),
        ([{}], "tools[0].name"),
        ([{"name": "rm -rf"}], "tools[0].name"),
        ([{"name": "x" * 65}], "tools[0].name"),
        ([{"name": "a"}, {"name": "a"}], "tools[1].name"),
        ([{"name": "a", "description": 7}], "tools[0].description"),
        ([{"name": "a", "description": "x" * 5_000}], "tools[0].description"),
        ([{"name": "a", "parameters": []}], "tools[0].parameters"),
        ([{"name": "a", "parameters": {"type": "string"}}], "tools[0].parameters"),
        ([{"name": "a", "parameters": {"description": "x" * 30_000}}], "tools[0].parameters"),
        ([{"name": f"t{number}"} for number in range(MAX_TOOLS + 1)], "tools"),
        ([{"name": f"t{number}", "parameters": {"title": "x" * 19_000}} for number in range(12)], "tools"),
        ({"a": "b"}, "tools[0]"),
    ],
)
def test_what_is_no_tool_is_refused_by_name(tools, param):
    with pytest.raises(InvalidRequest) as refused:
        read_client_tools(tools)
    assert refused.value.param == param


def turn_of(state, **declared):
    part = {"type": "tool-x", "toolCallId": "c", "state": state, "approval": {"id": "a", "approved": True}}
    body = {
        "tools": [{"name": "ask_user", "description": "Asks.", "parameters": SCHEMA}],
        "messages": [
            {"id": "u", "role": "user", "parts": [{"type": "text", "text": "x"}]},
            {"id": "a", "role": "assistant", "parts": [part]},
        ],
    }
    return parse_chat_request(body, preset=None, headers=NO_VALUES, new_id=lambda: "id", **declared).turn


def test_the_tools_of_a_request_reach_the_turn_and_no_other_field_does():
    assert turn_of("output-available").tools == (ASK,)


def test_a_client_gives_away_that_it_knows_approvals_by_having_answered_one():
    assert turn_of("approval-responded").shows_approvals
    assert not turn_of("output-denied").shows_approvals, "an older client may have loaded that"
    assert turn_of("output-denied", shows_approvals=True).shows_approvals
