"""The demo model's tools: by command, from what is offered, and what it says of the results."""

from __future__ import annotations

import pytest

from app.core.events import ModelFinish, TextDelta, ToolInputAvailable, ToolInputDelta, ToolInputStart
from app.core.model import ModelMessage, ModelRequest, Text, ToolCall, ToolResult
from app.core.tools import ToolSpec
from app.providers.echo.provider import Echo
from app.providers.echo.texts import NO_TOOL

pytestmark = pytest.mark.anyio

NAMES = ("current_time", "calculate", "fetch_page")
ASK = ToolSpec(
    "ask_user",
    "",
    {
        "type": "object",
        "properties": {"question": {"type": "string"}, "kind": {"enum": ["tea", "milk"]}, "more": {"type": "integer"}},
        "required": ["question", "kind"],
    },
)


def request(said, *results, tools=NAMES, own=(ASK,)):
    messages = [ModelMessage("user", (Text(said),))]
    if results:
        messages.append(ModelMessage("assistant", tuple(ToolCall(r.id, r.name, {}) for r in results)))
        messages.append(ModelMessage("tool", results))
    offered = tuple(ToolSpec(name, "", {"type": "object"}) for name in tools) + tuple(own)
    return ModelRequest("echo", tuple(messages), tools=offered)


async def events_of(asked):
    async def no_sleep(seconds):
        pass

    return [event async for batch in Echo(sleep=no_sleep).stream(asked) for event in batch]


async def calls(asked):
    return [(e.tool_name, e.input) for e in await events_of(asked) if isinstance(e, ToolInputAvailable)]


async def said(asked):
    return "".join(event.delta for event in await events_of(asked) if isinstance(event, TextDelta))


ZONES = {"time_zones": ["UTC", "Europe/Berlin", "America/New_York"]}


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("time", [("current_time", ZONES)]),
        ("calculate 2+3*4", [("calculate", {"expression": "2+3*4"})]),
        ("both", [("current_time", ZONES), ("calculate", {"expression": "2 + 3 * 4"})]),
        ("approve", [("fetch_page", {"url": "https://example.com/"})]),
        ("approve https://a.example/", [("fetch_page", {"url": "https://a.example/"})]),
        ("client", [("ask_user", {"question": "demo", "kind": "tea"})]),
        ("tool fail", [("calculate", {"expression": "1 / 0"})]),
        ("tool unknown", [("no_such_tool", {})]),
        ('tool ask_user {"question": "Tea?"}', [("ask_user", {"question": "Tea?"})]),
        ("loop", [("current_time", ZONES)]),
    ],
)
async def test_a_command_calls_its_tool(command, expected):
    events = await events_of(request(command))
    assert [(e.tool_name, e.input) for e in events if isinstance(e, ToolInputAvailable)] == expected
    assert isinstance(events[0], ToolInputStart)
    assert any(isinstance(event, ToolInputDelta) for event in events)
    assert isinstance(events[-1], ModelFinish)
    assert events[-1].reason == "tool-calls"


async def test_two_calls_have_two_ids():
    events = await events_of(request("both"))
    assert len({event.tool_call_id for event in events if isinstance(event, ToolInputAvailable)}) == 2


async def test_after_the_results_it_says_what_came_back():
    results = (ToolResult("1", "calculate", {"result": "14"}), ToolResult("2", "current_time", "Off.", is_error=True))
    text = await said(request("both", *results))
    assert '"result": "14"' in text
    assert "`current_time` could not do it: Off." in text
    assert await calls(request("both", *results)) == []


async def test_a_loop_does_not_end_by_itself():
    assert await calls(request("loop", ToolResult("1", "current_time", "now"))) == [("current_time", ZONES)]


@pytest.mark.parametrize("command", ["time", "both", "client", "approve", "calculate 1+1", "loop", "tool x"])
async def test_without_tools_it_says_how_to_get_some(command):
    assert await said(request(command, tools=(), own=())) == NO_TOOL


@pytest.mark.parametrize("text", ["time flies", "both of them", "client side", "tool", "loops"])
async def test_a_sentence_that_begins_like_a_command_is_none(text):
    assert await calls(request(text)) == []
    assert (await said(request(text))).startswith("You said:")
