"""Which tools a turn has: who says so, who is asked, and which arguments fit."""

from __future__ import annotations

import pytest

from app.chat.presets import resolve
from app.chat.tools import Toolset, choose_tools, claimed, policy_of
from app.core.errors import InvalidRequest
from app.core.messages import parse_messages
from app.core.model import Configuration, Preset
from app.core.tools import Tool, ToolRecord, ToolSpec
from app.core.values import NO_VALUES, Values
from tests.chat.conftest import Box

pytestmark = pytest.mark.anyio

OBJECT = {"type": "object", "properties": {}}


async def execute(arguments, context):
    return None


def tool(name, policy="auto", schema=OBJECT, execute=execute):
    return Tool(ToolSpec(name, "", schema), execute, policy=policy)


def resolved(block=None, url_preset=None, settings=NO_VALUES, **values):
    preset = Preset("default", "echo", values=Values(model="m", **values))
    configuration = Configuration({"default": preset}, values=settings)
    return resolve(configuration, url_preset=url_preset, options=NO_VALUES, headers=NO_VALUES, block=block or {})


async def names(found, *tools, own=()):
    toolset = await choose_tools(Box(*tools), found, own, shows_approvals=True)
    return [spec.name for spec in toolset.specs], toolset.asks


BOTH = (tool("read"), tool("write", "ask"))


async def test_a_preset_without_tools_has_none():
    assert await names(resolved(), *BOTH) == ([], frozenset())


async def test_a_preset_names_its_tools_and_the_settings_those_of_presets_that_do_not():
    assert await names(resolved(tools=("read",)), *BOTH) == (["read"], frozenset())
    assert await names(resolved(settings=Values(tools=("w*",))), *BOTH) == (["write"], frozenset({"write"}))
    assert await names(resolved(tools=(), settings=Values(tools=("w*",))), *BOTH) == ([], frozenset())


@pytest.mark.parametrize("url_preset", [None, "default"])
async def test_a_block_leaves_some_of_them_and_adds_none(url_preset):
    block = {"ai:tools": ["read", "format_disk"]}
    found = resolved(block, url_preset, tools=("read", "write"))
    assert await names(found, *BOTH, tool("format_disk")) == (["read"], frozenset())
    assert (found.values.tools, found.layers["tools"]) == (("read", "format_disk"), "block")
    assert await names(resolved(block), *BOTH) == ([], frozenset())


@pytest.mark.parametrize("url_preset", [None, "default"])
async def test_always_for_this_conversation_is_the_blocks_word(url_preset):
    block = {"ai:toolpolicy": {"write": "auto"}}
    assert await names(resolved(block, url_preset, tools=("*",)), *BOTH) == (["read", "write"], frozenset())


@pytest.mark.parametrize(
    ("layers", "policy"),
    [
        ([], "ask"),
        ([{}, {}, {"write": "auto"}], "auto"),
        ([{}, {"write": "ask"}, {"write": "auto"}], "ask"),
        ([{"write": "auto"}, {"write": "ask"}, {}], "auto"),
        ([{"*": "auto"}, {"write": "off"}, {}], "off"),
        ([{"write": "auto"}, {}, {"*": "off"}], "off"),
        ([{"write": "off"}, {"write": "auto"}, {}], "off"),
        ([{}, {"*": "off", "write": "auto"}, {}], "auto"),
        ([{}, {"wr*": "auto", "w*": "off"}, {}], "auto"),
        ([{}, {"mcp:write/*": "off"}, {}], "ask"),
    ],
)
def test_who_has_the_say_about_a_tool(layers, policy):
    assert policy_of(tool("write", "ask"), layers) == policy


def test_policies_are_shown_as_they_hold_together():
    found = resolved({"ai:toolpolicy": {"a": "auto", "b": "auto"}}, tool_policy={"a": "off", "c": "ask"})
    assert found.values.tool_policy == {"a": "off", "b": "auto", "c": "ask"}


async def test_tools_that_are_off_are_neither_offered_nor_run():
    found = resolved(tools=("*",), tool_policy={"write": "off"})
    toolset = await choose_tools(Box(*BOTH), found, (), shows_approvals=True)
    assert "write" not in toolset.tools
    assert toolset.problem_of("write", {}) == "There is no tool of this name. The tools are: read."


async def test_a_policy_may_take_a_clients_tool_away_but_never_asks_for_it():
    own = (ToolSpec("mine", "", OBJECT), ToolSpec("theirs", "", OBJECT))
    found = resolved(tool_policy={"mine": "ask", "theirs": "off"})
    assert await names(found, own=own) == (["mine"], frozenset())


async def test_a_clients_schema_must_be_one():
    with pytest.raises(InvalidRequest):
        await choose_tools(Box(), resolved(), (ToolSpec("t", "", {"type": "objekt"}),), shows_approvals=True)


def called(tool_name, call_id, state="output-available", **fields):
    return {"type": f"tool-{tool_name}", "toolCallId": call_id, "state": state, "input": {}, **fields}


def test_what_a_client_says_of_its_own_tools_counts_where_we_know_no_better():
    toolset = Toolset({"ask_user": tool("ask_user", execute=None), "read": tool("read")})
    parts = [
        called("ask_user", "a", output="tea"),
        called("ask_user", "b", "output-error", errorText="gone"),
        called("ask_user", "known", output="forged"),
        called("ask_user", "c", output="x", input="no object"),
        called("ask_user", "d", "input-available"),
        called("read", "e", output="forged"),
        called("never_heard_of", "f", output="forged"),
    ]
    messages = parse_messages([{"id": "m", "role": "assistant", "parts": parts}])
    ours = ToolRecord("known", "m", "ask_user", {}, "client", "done", output="coffee")
    found = {record.tool_call_id: record for record in claimed(messages, {"known": ours}, toolset)}
    assert found.keys() == {"a", "b"}
    assert (found["a"].state, found["a"].output) == ("done", "tea")
    assert (found["b"].state, found["b"].error_text) == ("failed", "gone")
