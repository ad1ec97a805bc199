"""Requests in Anthropic's format, as people and programs write them, and as nobody should."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import InvalidRequest
from app.core.heal import ANSWER_ENDED, ASSISTANT_BEGINS
from app.core.model import GO_ON, JsonSchema, ModelMessage, NamedTool, Reasoning, Text, ToolCall, ToolResult
from app.core.tools import CANCELLED
from app.wire.anthropic_request import IGNORED, MAX_VALUES, REFUSED, read_head, read_request

TOOL = {"name": "look", "description": "d", "input_schema": {"properties": {}}}
CALL = {"type": "tool_use", "id": "c1", "name": "look", "input": {"a": 1}}


def request(*messages, **more):
    body = {"model": "m", "max_tokens": 10, "messages": list(messages) or [{"role": "user", "content": "Hi"}], **more}
    read_head(body, {})
    return read_request(body)


def user(*content):
    return {"role": "user", "content": list(content)}


def assistant(*content):
    return {"role": "assistant", "content": list(content)}


def result(call_id="c1", content="7 mm", **more):
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}


def text(said):
    return {"type": "text", "text": said}


def said(asked):
    """Role and texts of each message."""
    return [
        (message.role, *[item.text for item in message.content if isinstance(item, Text | ToolResult)])
        for message in asked.messages
    ]


def test_messages_of_one_role_in_a_row_are_one():
    asked = request(
        {"role": "user", "content": "One"},
        user(text("two")),
        assistant(text("A")),
        assistant(text("B")),
        user(text("C")),
    )
    assert said(asked) == [("user", "One", "two"), ("assistant", "A", "B"), ("user", "C")]


def test_results_stand_in_the_order_of_their_calls_and_a_missing_one_was_cancelled():
    calls = [{**CALL, "id": call_id} for call_id in ("c1", "c2", "c3")]
    asked = request(user(text("Q")), assistant(*calls), user(result("c3", "three")), user(result("c1", "one")))
    assert asked.messages[2] == ModelMessage(
        "tool",
        (
            ToolResult("c1", "look", "one"),
            ToolResult("c2", "look", CANCELLED, is_error=True),
            ToolResult("c3", "look", "three"),
        ),
    )


def test_words_beside_results_stand_in_the_last_of_them():
    asked = request(user(text("Q")), assistant(CALL), user(result(), text("Be quick.")))
    assert said(asked)[2:] == [("tool", "7 mm\n\nBe quick.")]


def test_words_with_a_file_beside_results_come_behind_them():
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    picture = {"type": "image", "source": source}
    asked = request(user(text("Q")), assistant(CALL), user(result(), text("Like this:"), picture))
    assert said(asked)[2:4] == [("tool", "7 mm"), ("assistant", ANSWER_ENDED)]
    assert asked.messages[-1].content[0] == Text("Like this:")


def test_an_answer_as_the_last_message_is_gone_on_with():
    asked = request(user(text("Q")), assistant(text("It is")))
    assert said(asked)[1:] == [("assistant", "It is"), ("user", GO_ON)]


def test_an_answer_as_the_first_message_answers_something():
    asked = request(assistant(text("Hello")), user(text("Hi")))
    assert said(asked)[0] == ("user", ASSISTANT_BEGINS)


def test_system_messages_join_the_system_prompt():
    asked = request(
        user(text("Q")),
        {"role": "system", "content": "Later."},
        system=[text("One."), {**text("Two."), "cache_control": {}}],
    )
    assert asked.values.system == "One.\n\nTwo.\n\nLater."
    assert len(asked.messages) == 1


def test_an_empty_system_prompt_takes_the_presets_away():
    assert request(system="").values.system == ""
    assert request().values.system is None


def test_thinking_goes_back_to_whom_it_came_from():
    thoughts = [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
    ]
    asked = request(user(text("Q")), assistant(*thoughts, text("A")), user(text("B")))
    assert asked.messages[1].content[:2] == (
        Reasoning("Hm.", {"anthropic": {"signature": "c2ln"}}),
        Reasoning("", {"anthropic": {"redactedData": "ZGF0YQ=="}}),
    )


def test_thinking_that_led_to_nothing_is_left_out():
    asked = request(
        user(text("Q")), assistant({"type": "thinking", "thinking": "Hm.", "signature": "s"}), user(text("B"))
    )
    assert said(asked) == [("user", "Q", "B")]


def test_a_plain_call_keeps_nothing_and_a_servers_keeps_its_block():
    search = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}}
    found = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"url": "u"}]}
    asked = request(user(text("Q")), assistant(search, found, {**CALL, "caller": None}), user(result()))
    call, came, plain = asked.messages[1].content
    assert plain == ToolCall("c1", "look", {"a": 1})
    assert call.provider_executed
    assert call.provider_metadata == {"anthropic": {"block": {"type": "server_tool_use", "name": "web_search"}}}
    assert came.provider_metadata == {"anthropic": {"block": found}}


@pytest.mark.parametrize(
    ("more", "thinking"),
    [
        ({}, None),
        ({"thinking": {"type": "disabled"}}, "off"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, 2048),
        ({"thinking": {"type": "adaptive"}}, "high"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, "low"),
        ({"output_config": {"effort": "max"}}, "high"),
        ({"thinking": {"enabled": True}}, "medium"),
        ({"thinking": {"enabled": True, "budget_tokens": 3000}}, 3000),
        ({"thinking": {"enabled": False}}, "off"),
    ],
)
def test_thinking_is_an_effort_or_a_budget(more, thinking):
    assert request(**more).values.thinking == thinking


@pytest.mark.parametrize(
    ("choice", "expected", "parallel"),
    [
        ({"type": "auto"}, "auto", None),
        ({"type": "any", "disable_parallel_tool_use": True}, "required", False),
        ({"type": "none"}, "none", None),
        ({"type": "tool", "name": "look"}, NamedTool("look"), None),
    ],
)
def test_the_choice_of_a_tool(choice, expected, parallel):
    asked = request(tools=[TOOL], tool_choice=choice)
    assert (asked.tool_choice, asked.parallel_tools) == (expected, parallel)


def test_tools_of_the_service_stand_apart():
    search = {"type": "web_search_20250305", "name": "web_search", "cache_control": {"type": "ephemeral"}}
    asked = request(tools=[search, {**TOOL, "type": "custom"}])
    assert asked.provider_tools == ({"type": "web_search_20250305", "name": "web_search"},)
    assert [tool.name for tool in asked.tools] == ["look"]


def test_an_answer_in_json():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    for more in (
        {"output_config": {"format": {"type": "json_schema", "schema": schema}}},
        {"output_format": {"type": "json_schema", "schema": schema}},
    ):
        asked = request(**more)
        assert asked.json_schema == JsonSchema("answer", schema)
        assert asked.values.response_format == "json"


@pytest.mark.parametrize(
    ("more", "cache"),
    [
        ({}, None),
        ({"prompt_caching": {"cache_system": True}}, "5m"),
        ({"prompt_caching": {"cache_system": False, "cache_tools": False}}, "off"),
        ({"cache_control": {"type": "ephemeral", "ttl": "1h"}}, "1h"),
    ],
)
def test_caching(more, cache):
    assert request(**more).values.cache == cache


def test_documents_and_results_of_searches_become_text():
    document = {
        "type": "document", "title": "T", "context": "C",
        "source": {"type": "content", "content": [text("inside")]},
    }  # fmt: skip
    found = {"type": "search_result", "title": "T", "source": "S", "content": [text("found")]}
    assert said(request(user(document, found))) == [("user", "C", "T", "inside", "T (S)\n\nfound")]


def test_fields_that_change_nothing_pass_in_silence_and_others_with_a_word():
    assert request(**dict.fromkeys(IGNORED, "x")).notes == ()
    assert [note.setting for note in request(top_k=3, context_management={"edits": [1]}).notes] == [
        "top_k",
        "context_management",
    ]


@pytest.mark.parametrize("name", REFUSED)
def test_fields_that_would_make_it_another_answer_are_refused(name):
    with pytest.raises(InvalidRequest) as caught:
        request(**{name: {"id": "x"}})
    assert caught.value.param == name
    assert request(**{name: None}).notes == ()


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": 5}, "model"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": "10"}, "max_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"messages": []}, "messages"),
        ({"messages": [user(text(" "))]}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [user({"text": "x"})]}, "messages[0].content[0]"),
        ({"messages": [user({"type": "text", "text": None})]}, "messages[0].content[0].text"),
        ({"messages": [user(result())]}, "messages[0].content[0].tool_use_id"),
        (
            {"messages": [user(text("Q")), assistant(CALL), user(result(), result())]},
            "messages[2].content[1].tool_use_id",
        ),
        ({"messages": [user(text("Q")), assistant(CALL, CALL)]}, "messages"),
        (
            {"messages": [user({"type": "image", "source": {"type": "url", "url": "u"}})]},
            "messages[0].content[0].source",
        ),
        ({"messages": [user({"type": "container_upload", "file_id": "f"})]}, "messages[0].content[0].type"),
        ({"system": 5}, "system"),
        ({"temperature": 3}, "temperature"),
        ({"stop_sequences": [""]}, "stop_sequences"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"enabled": "yes"}}, "thinking"),
        ({"output_config": {"effort": "huge"}}, "output_config.effort"),
        ({"output_config": []}, "output_config"),
        ({"prompt_caching": {"cache_all": True}}, "prompt_caching"),
        ({"tools": [{"name": "no spaces"}]}, "tools[0].name"),
        ({"tools": [TOOL, TOOL]}, "tools"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "other"}}, "tool_choice"),
    ],
)
def test_what_is_wrong_is_named(change, param):
    with pytest.raises(InvalidRequest) as caught:
        request(**change)
    assert caught.value.param == param


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "text", "url", "base64", "palaver.", "c1"]),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "text",
                    "source",
                    "content",
                    "data",
                    "media_type",
                    "tool_use_id",
                    "id",
                    "name",
                    "input",
                    "signature",
                ]
            ),
            inside,
            max_size=5,
        )
    ),
    max_leaves=12,
)
KINDS = (
    *("text", "image", "document", "search_result", "thinking", "redacted_thinking", "tool_use", "tool_result"),
    *("server_tool_use", "web_search_tool_result", "container_upload", "new"),
)
BLOCKS = st.builds(
    lambda junk, kind: {**(junk if isinstance(junk, dict) else {}), "type": kind}, JUNK, st.sampled_from(KINDS)
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system"]), "content": JUNK | st.lists(BLOCKS, max_size=4)}
    ),
    min_size=1,
    max_size=4,
)
NAMES = (
    *("system", "tools", "tool_choice", "thinking", "output_config", "output_format", "prompt_caching"),
    *("cache_control", "temperature", "top_p", "stop_sequences", "stream", "container", "top_k"),
)
FIELDS = st.dictionaries(st.sampled_from(NAMES), JUNK, max_size=4)


@settings(max_examples=300, deadline=None)
@given(MESSAGES, FIELDS)
def test_anything_is_a_request_or_refused(messages, fields):
    """InvalidRequest and its kin are a 400; nothing else is raised."""
    with suppress(InvalidRequest):
        assert request(*messages, **fields).messages[-1].role in ("user", "tool")


@settings(max_examples=200, deadline=None)
@given(MESSAGES)
def test_what_is_passed_on_loses_nothing_but_thinking_that_was_made_here(messages):
    body = {"model": "m", "max_tokens": 1, "messages": messages}
    passed = read_head(body, {}).relayed.body["messages"]
    if '"palaver.' not in json.dumps(messages) and '"thinking"' not in json.dumps(messages):
        assert [message for message in messages if message["content"] != []] == [
            message for message in passed if message["content"] != []
        ]


@pytest.mark.parametrize("item", [1, [], {"a": 1}])
def test_a_request_of_more_values_than_can_be_looked_at_is_refused(item):
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": [item] * MAX_VALUES}]}
    with pytest.raises(InvalidRequest, match="values"):
        read_head(body, {})
