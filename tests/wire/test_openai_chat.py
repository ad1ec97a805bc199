"""Requests of OpenAI's chat completions, read."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import InvalidRequest
from app.core.gateway import CLIENT, Asked
from app.core.heal import ASSISTANT_BEGINS
from app.core.model import GO_ON, JsonSchema, Media, ModelMessage, NamedTool, Reasoning, Text, ToolCall, ToolResult
from app.core.tools import CANCELLED
from app.wire.openai_chat import IGNORED, REFUSED, read_chat_completion

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(8)).decode()
RAIN = {"type": "function", "function": {"name": "rain", "description": "d", "parameters": {"type": "object"}}}
HI = {"role": "user", "content": "Hi"}


def called(call_id: str = "c1", arguments: str = '{"city": "Oslo"}', **more: Any) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "rain", "arguments": arguments}, **more}


def asked(*messages: Any, **fields: Any) -> Asked:
    return read_chat_completion({"model": "m", "messages": list(messages) or [HI], **fields}).asked


def refused(*messages: Any, **fields: Any) -> str | None:
    with pytest.raises(InvalidRequest) as refusal:
        asked(*messages, **fields)
    assert refusal.value.status == 400
    return refusal.value.param


def test_instructions_wherever_they_stand_become_the_system_prompt() -> None:
    found = asked(
        {"role": "system", "content": "Be brief."},
        HI,
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
    )
    assert found.values.system == "Be brief.\n\nBe kind."
    assert found.messages == (ModelMessage("user", (Text("Hi"),)),)
    assert asked(HI).values.system is None
    assert asked({"role": "system", "content": ""}, HI).values.system == ""


def test_a_user_sends_texts_pictures_sounds_and_documents() -> None:
    sound = base64.b64encode(b"RIFF\x00\x00\x00\x00WAVEfmt ").decode()
    document = base64.b64encode(b"%PDF-1.7").decode()
    found = asked(
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": sound, "format": "wav"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{document}"}},
                {"type": "file", "file": {"file_data": document}},
            ],
        }
    )
    assert found.messages[0].content == (
        Text("Look"),
        Media("image/png", PNG),
        Media("audio/wav", sound),
        Media("application/pdf", document, "a.pdf"),
        Media("application/pdf", document),
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x.png",
        "https://example.com/x.png",
        "file:///etc/passwd",
        "//x/y",
        "",
        "data:image/png,x",
        "ftp:",
    ],
)
def test_addresses_are_refused_and_never_fetched(url: str) -> None:
    part = {"type": "image_url", "image_url": {"url": url}}
    assert refused({"role": "user", "content": [part]}) == "messages[0].content[0].image_url"


def test_a_tool_conversation_keeps_ids_arguments_and_order() -> None:
    found = asked(
        HI,
        {"role": "assistant", "content": "Let me see.", "tool_calls": [called("c1"), called("c2", "{}")]},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "two"}]},
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "assistant", "content": "Wet."},
        {"role": "user", "content": "Thanks"},
        tools=[RAIN],
    )
    assert found.messages[1:4] == (
        ModelMessage(
            "assistant", (Text("Let me see."), ToolCall("c1", "rain", {"city": "Oslo"}), ToolCall("c2", "rain", {}))
        ),
        ModelMessage("tool", (ToolResult("c1", "rain", "one"), ToolResult("c2", "rain", "two"))),
        ModelMessage("assistant", (Text("Wet."),)),
    )


def test_a_call_without_a_result_was_cancelled() -> None:
    found = asked(
        HI, {"role": "assistant", "content": None, "tool_calls": [called()]}, {"role": "user", "content": "?"}
    )
    assert found.messages[2].content == (ToolResult("c1", "rain", CANCELLED, is_error=True),)
    assert [message.role for message in found.messages] == ["user", "assistant", "tool", "assistant", "user"]


@pytest.mark.parametrize(
    "messages",
    [
        [HI, {"role": "tool", "tool_call_id": "c1", "content": "x"}],
        [
            HI,
            {"role": "assistant", "tool_calls": [called()]},
            HI,
            {"role": "tool", "tool_call_id": "c1", "content": "x"},
        ],
        [HI, {"role": "assistant", "tool_calls": [called()]}, {"role": "tool", "tool_call_id": "no", "content": "x"}],
    ],
)
def test_a_result_stands_behind_its_call(messages: list[Any]) -> None:
    assert (refused(*messages) or "").endswith(".tool_call_id")


def test_arguments_that_are_no_json_were_never_run_with() -> None:
    found = asked(HI, {"role": "assistant", "tool_calls": [called(arguments='{"city')]})
    assert found.messages[1].content == (ToolCall("c1", "rain", {}),)


def test_a_history_in_disorder_is_mended() -> None:
    found = asked({"role": "assistant", "content": "Hello"}, {"role": "assistant", "content": " you"}, HI, HI)
    assert found.messages == (
        ModelMessage("user", (Text(ASSISTANT_BEGINS),)),
        ModelMessage("assistant", (Text("Hello"), Text(" you"))),
        ModelMessage("user", (Text("Hi"), Text("Hi"))),
    )


def test_an_answer_at_the_end_is_gone_on_with() -> None:
    found = asked(HI, {"role": "assistant", "content": "One, two"})
    assert found.messages[-1] == ModelMessage("user", (Text(GO_ON),))


def test_thinking_comes_back_as_the_asked_models_own() -> None:
    found = asked(HI, {"role": "assistant", "content": "Yes", "reasoning_content": "Hm"}, HI)
    assert found.messages[1].content[0] == Reasoning("Hm", {CLIENT: {"unnamed": True}})


def test_signatures_come_back_to_whom_they_belong() -> None:
    details = [
        {"type": "reasoning.text", "text": "Hm", "signature": "s1", "index": 0},
        {"type": "reasoning.encrypted", "data": "e1", "format": "anthropic-claude-v1", "index": 1},
        {"type": "reasoning.summary", "summary": "So", "id": "rs_1", "index": 2},
        {"type": "reasoning.encrypted", "data": "e2", "id": "rs_1", "index": 3},
        {"type": "reasoning.dream", "index": 4},
    ]
    signed = called(extra_content={"google": {"thought_signature": "g1"}})
    message = {"role": "assistant", "reasoning_content": "Hm", "reasoning_details": details, "tool_calls": [signed]}
    *thoughts, call = asked(HI, message).messages[1].content
    assert thoughts == [
        Reasoning("Hm", {"anthropic": {"signature": "s1"}}),
        Reasoning("", {"anthropic": {"redactedData": "e1"}}),
        Reasoning("So", {CLIENT: {"itemId": "rs_1"}}),
        Reasoning("", {CLIENT: {"itemId": "rs_1", "reasoningEncryptedContent": "e2"}}),
    ]
    assert isinstance(call, ToolCall)
    assert call.provider_metadata == {
        "google": {"thoughtSignature": "g1"},
        CLIENT: {"extra_content": {"google": {"thought_signature": "g1"}}},
        "openrouter": {"reasoning_details": details},
    }


def test_settings_are_values() -> None:
    found = asked(
        temperature=0.5,
        top_p=1,
        max_tokens=5,
        max_completion_tokens=7,
        stop="END",
        reasoning_effort="xhigh",
        stream=True,
    )
    assert found.values.said() == {
        "temperature": 0.5,
        "top_p": 1,
        "max_tokens": 7,
        "stop": ("END",),
        "thinking": "high",
    }
    assert [note.setting for note in found.notes] == ["reasoning_effort"]
    assert found.stream
    assert asked(reasoning_effort="none").values.thinking == "off"
    assert asked(temperature=None, stop=None, tools=None, n=1).values.said() == {}


def test_tools_and_the_choice_of_them() -> None:
    found = asked(
        tools=[RAIN], tool_choice={"type": "function", "function": {"name": "rain"}}, parallel_tool_calls=False
    )
    (tool,) = found.tools
    assert (tool.name, tool.description) == ("rain", "d")
    assert found.tool_choice == NamedTool("rain")
    assert found.parallel_tools is False
    assert asked(tool_choice="auto").tool_choice is None
    assert asked(tools=[RAIN], tool_choice="required").tool_choice == "required"
    bare = asked(tools=[{"type": "function", "function": {"name": "now"}}])
    assert bare.tools[0].input_schema == {"type": "object", "properties": {}}


def test_answers_in_json() -> None:
    assert asked(response_format={"type": "json_object"}).values.response_format == "json"
    schema = {"type": "object"}
    wanted = {"name": "n", "schema": schema, "strict": True}
    found = asked(response_format={"type": "json_schema", "json_schema": wanted})
    assert found.values.response_format == "json"
    assert found.json_schema == JsonSchema("n", schema, None, True)
    assert asked(response_format={"type": "text"}).values.response_format == "text"


def test_what_has_no_meaning_here_is_said_and_what_changes_nothing_is_not() -> None:
    assert [note.setting for note in asked(seed=1, logit_bias={"5": 3}, user="u", top_k=4).notes] == [
        "seed",
        "logit_bias",
        "top_k",
    ]
    assert asked(**dict.fromkeys(IGNORED, "x")).notes == ()
    assert asked(frequency_penalty=0, presence_penalty=None, logprobs=False, audio=None).notes == ()


@pytest.mark.parametrize("field", REFUSED)
def test_what_would_make_another_answer_is_refused(field: str) -> None:
    assert refused(**{field: {"x": 1}}) == field


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
        ({"model": " "}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": [None]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [None]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
            "messages[0].content[0].file.file_id",
        ),
        (
            {"messages": [{"role": "system", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages[0].content[0]",
        ),
        ({"messages": [HI, {"role": "assistant", "tool_calls": 5}]}, "messages[1].tool_calls"),
        ({"messages": [HI, {"role": "assistant", "tool_calls": [{"id": 1}]}]}, "messages[1].tool_calls[0]"),
        ({"messages": [HI, {"role": "assistant", "tool_calls": [called(), called()]}]}, "messages[1].tool_calls"),
        ({"messages": [HI, {"role": "assistant", "function_call": {"name": "x"}}]}, "messages[1].function_call"),
        ({"messages": [HI, {"role": "assistant", "reasoning_details": "x"}]}, "messages[1].reasoning_details"),
        ({"messages": [HI, {"role": "assistant", "reasoning_details": [5]}]}, "messages[1].reasoning_details"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "1"}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop": [5]}, "stop"),
        ({"n": 2}, "n"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": 5}, "stream_options"),
        ({"stream_options": {"include_usage": 5}}, "include_usage"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"reasoning_effort": {}}, "reasoning_effort"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}}},
            "response_format.json_schema.name",
        ),
        ({"tools": {}}, "tools"),
        ({"tools": [5]}, "tools[0].function"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
        (
            {"tools": [{"type": "function", "function": {"name": "a", "parameters": {"type": "array"}}}]},
            "tools[0].function.parameters",
        ),
        ({"tools": [RAIN, RAIN]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [RAIN], "tool_choice": {"type": "function", "function": {"name": "snow"}}}, "tool_choice"),
        ({"tools": [RAIN], "tool_choice": "any"}, "tool_choice"),
        ({"parallel_tool_calls": 1}, "parallel_tool_calls"),
    ],
    ids=lambda value: json.dumps(value)[:400] if isinstance(value, dict) else str(value),
)
def test_a_request_that_is_wrong_is_told_where(fields: dict[str, Any], param: str) -> None:
    body = {"model": "m", "messages": [HI], **fields}
    with pytest.raises(InvalidRequest) as refusal:
        read_chat_completion(body)
    assert refusal.value.param == param
    assert refusal.value.message.endswith((".", "}."))


PICTURE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}

EVERYTHING: Any = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "t"}, PICTURE]},
        {
            "role": "assistant",
            "content": "c",
            "refusal": "r",
            "reasoning_content": "t",
            "reasoning_details": [{"type": "reasoning.text", "text": "t", "signature": "s", "id": "i"}],
            "tool_calls": [called(extra_content={"google": {"thought_signature": "g"}})],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "user", "content": [{"type": "file", "file": {"file_data": "QQ==", "filename": "f"}}]},
    ],
    "tools": [RAIN],
    "tool_choice": {"type": "function", "function": {"name": "rain"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}},
    "reasoning_effort": "low",
    "stop": ["x"],
    "temperature": 1,
    "stream": True,
    "stream_options": {"include_usage": True},
    "seed": 1,
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value in a JSON document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


def with_other(value: Any, path: Sequence[Any], other: Any) -> Any:
    if not path:
        return other
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = with_other(value[path[0]], path[1:], other)
    return copy


@given(st.sampled_from(places(EVERYTHING)[1:]), JSON)
@settings(max_examples=400, deadline=None)
def test_whatever_stands_in_a_request_it_is_read_or_refused(path: tuple[Any, ...], other: Any) -> None:
    read_chat_completion(EVERYTHING)
    with suppress(InvalidRequest):
        read_chat_completion(with_other(EVERYTHING, path, other))
