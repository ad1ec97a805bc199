"""Requests of OpenAI's Responses API, read."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.convert import FILE_MADE
from app.core.errors import InvalidRequest
from app.core.gateway import CLIENT, Asked
from app.core.model import GO_ON, JsonSchema, Media, ModelMessage, NamedTool, Reasoning, Text, ToolCall, ToolResult
from app.core.tools import CANCELLED
from app.wire.metadata_text import call_text, metadata_text
from app.wire.openai_responses import IGNORED, REFUSED, read_response_request

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(8)).decode()
PDF = base64.b64encode(b"%PDF-1.7").decode()
RAIN = {"type": "function", "name": "rain", "description": "d", "parameters": {"type": "object"}}
HI = {"role": "user", "content": "Hi"}


def called(call_id: str = "c1", arguments: str = '{"city": "Oslo"}') -> dict[str, Any]:
    return {"type": "function_call", "id": "fc_1", "call_id": call_id, "name": "rain", "arguments": arguments}


def result(call_id: str = "c1", output: Any = "wet") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def thought(encrypted: str | None, text: str = "Hm") -> dict[str, Any]:
    summary = [{"type": "summary_text", "text": text}] if text else []
    return {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": encrypted}


def said(text: str, **more: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content, **more}


def asked(*items: Any, **fields: Any) -> Asked:
    return read_response_request({"model": "m", "input": list(items) or "Hi", **fields}).asked


def test_a_text_is_a_question() -> None:
    found = asked()
    assert found.messages == (ModelMessage("user", (Text("Hi"),)),)
    assert found.values.said() == {}
    assert not found.stream


def test_instructions_come_first_in_the_system_prompt() -> None:
    found = asked({"role": "developer", "content": "Be kind."}, HI, instructions="Be brief.")
    assert found.values.system == "Be brief.\n\nBe kind."
    assert asked({"role": "system", "content": [{"type": "input_text", "text": "x"}]}, HI).values.system == "x"


def test_a_user_sends_texts_pictures_and_documents() -> None:
    content = [
        {"type": "input_text", "text": "Look"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "low"},
        {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
        {"type": "input_file", "file_data": PDF},
    ]
    assert asked({"type": "message", "role": "user", "content": content}).messages[0].content == (
        Text("Look"),
        Media("image/png", PNG),
        Media("application/pdf", PDF, "a.pdf"),
        Media("application/pdf", PDF),
    )


@pytest.mark.parametrize("url", ["http://127.0.0.1/x.png", "https://example.com/x", "file:///etc/passwd", "//x", ""])
@pytest.mark.parametrize(("kind", "field"), [("input_image", "image_url"), ("input_file", "file_url")])
def test_addresses_are_refused_and_never_fetched(url: str, kind: str, field: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        asked({"role": "user", "content": [{"type": kind, field: url}]})
    assert refusal.value.param == f"input[0].content[0].{field}"


def test_items_of_one_answer_are_one_message() -> None:
    signed = {"anthropic": {"signature": "s"}}
    found = asked(
        HI,
        thought(metadata_text(signed)),
        said("Let me see."),
        called("c1"),
        called("c2", "{}"),
        result("c2", [{"type": "input_text", "text": "two"}]),
        result("c1", "one"),
        said("Wet."),
        {"role": "user", "content": "Thanks"},
    )
    assert found.messages[1:4] == (
        ModelMessage(
            "assistant",
            (
                Reasoning("Hm", signed),
                Text("Let me see."),
                ToolCall("c1", "rain", {"city": "Oslo"}),
                ToolCall("c2", "rain", {}),
            ),
        ),
        ModelMessage("tool", (ToolResult("c1", "rain", "one"), ToolResult("c2", "rain", "two"))),
        ModelMessage("assistant", (Text("Wet."),)),
    )


def test_calls_whose_results_stand_between_them_are_answers_of_their_own() -> None:
    found = asked(HI, called("c1"), result("c1"), called("c2"), result("c2"))
    assert [message.role for message in found.messages] == ["user", "assistant", "tool", "assistant", "tool"]


def test_files_in_a_result_stand_behind_it() -> None:
    output = [
        {"type": "input_text", "text": "A map:"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "auto"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
    ]
    found = asked(HI, called("c1"), called("c2"), result("c1", output), result("c2", output[1:2]), said("Nice."))
    results, gap, files, answer = found.messages[2:6]
    assert results.content == (
        ToolResult("c1", "rain", "A map:"),
        ToolResult("c2", "rain", "The result is a file."),
    )
    assert (gap.role, files.role, files.content[0]) == ("assistant", "user", Text(FILE_MADE))
    assert [item.media_type for item in files.content[1:]] == ["image/png", "application/pdf", "image/png"]
    assert answer.content == (Text("Nice."),)


def test_what_is_wanted_back_with_a_call_comes_back_with_it() -> None:
    signed = {"google": {"thoughtSignature": "g"}}
    kept = call_text("c1", signed)
    found = asked(HI, called("c1"), thought(kept, ""), called("c2"), result("c1"), result("c2"))
    assert found.messages[1].content == (
        ToolCall("c1", "rain", {"city": "Oslo"}, provider_metadata=signed),
        ToolCall("c2", "rain", {"city": "Oslo"}),
    )


@pytest.mark.parametrize("encrypted", [None, "", "gAAAA", "palaver.", "palaver.!", "palaver.W10=", "palaver.e30="])
def test_thinking_that_nobody_here_has_written_is_left_out(encrypted: str | None) -> None:
    assert asked(HI, thought(encrypted), said("Yes"), HI).messages[1].content == (Text("Yes"),)


def test_the_phase_of_a_message_comes_back_with_it() -> None:
    assert asked(HI, said("So", phase="commentary"), HI).messages[1].content == (
        Text("So", {CLIENT: {"phase": "commentary"}}),
    )
    assert asked(HI, said("So", phase="x"), HI).messages[1].content == (Text("So"),)


def test_a_call_without_a_result_was_cancelled() -> None:
    found = asked(HI, called(), {"role": "user", "content": "?"})
    assert found.messages[2].content == (ToolResult("c1", "rain", CANCELLED, is_error=True),)


def test_an_answer_at_the_end_is_gone_on_with() -> None:
    assert asked(HI, said("One, two")).messages[-1] == ModelMessage("user", (Text(GO_ON),))


def test_settings_are_values() -> None:
    found = asked(
        temperature=0.5, top_p=1, max_output_tokens=7, reasoning={"effort": "xhigh", "summary": "auto"}, stream=True
    )
    assert found.values.said() == {"temperature": 0.5, "top_p": 1, "max_tokens": 7, "thinking": "high"}
    assert [note.setting for note in found.notes] == ["reasoning.effort"]
    assert found.stream
    assert asked(reasoning={"effort": "none"}).values.thinking == "off"
    assert asked(temperature=None, tools=None, text=None, reasoning=None, metadata=None).values.said() == {}


def test_tools_and_the_choice_of_them() -> None:
    found = asked(tools=[RAIN], tool_choice={"type": "function", "name": "rain"}, parallel_tool_calls=False)
    assert [(tool.name, tool.description) for tool in found.tools] == [("rain", "d")]
    assert found.tool_choice == NamedTool("rain")
    assert found.parallel_tools is False
    assert [note.setting for note in asked(tools=[{**RAIN, "strict": True}]).notes] == ["tools"]


def test_answers_in_json() -> None:
    assert asked(text={"format": {"type": "json_object"}}).values.response_format == "json"
    wanted = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}
    found = asked(text={"format": wanted})
    assert found.values.response_format == "json"
    assert found.json_schema == JsonSchema("n", {"type": "object"}, None, True)
    assert asked(text={"format": {"type": "text"}}).values.response_format == "text"


def test_what_has_no_meaning_here_is_said_and_what_changes_nothing_is_not() -> None:
    found = asked(seed=1, user="u", max_tool_calls=4, text={"verbosity": "low"})
    assert [note.setting for note in found.notes] == ["seed", "max_tool_calls", "text.verbosity"]
    assert asked(**dict.fromkeys(IGNORED, "x")).notes == ()
    assert asked(background=False, previous_response_id=None, prompt=None).notes == ()


def test_the_answer_repeats_what_the_sdks_look_for() -> None:
    repeated = read_response_request(
        {"model": "m", "input": "x", "metadata": {"a": "b"}, "tools": [RAIN], "temperature": 0.5}
    ).repeated
    assert repeated["metadata"] == {"a": "b"}
    assert repeated["tools"] == [RAIN]
    assert (repeated["tool_choice"], repeated["parallel_tool_calls"], repeated["temperature"]) == ("auto", True, 0.5)
    assert repeated["text"] == {"format": {"type": "text"}}


@pytest.mark.parametrize("field", REFUSED)
def test_what_would_make_another_answer_is_refused(field: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        asked(**{field: {"x": 1}})
    assert refusal.value.param == field


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": " "}, "input"),
        ({"input": {}}, "input"),
        ({"input": [None]}, "input[0]"),
        ({"input": [{}]}, "input[0].role"),
        ({"input": [{"role": "king", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [None]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "input[0].content[0]"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0].file_id",
        ),
        (
            {"input": [{"role": "system", "content": [{"type": "input_image", "image_url": "x"}]}]},
            "input[0].content[0]",
        ),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].type"),
        ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "input[0].type"),
        ({"input": [{"type": ["message"]}]}, "input[0].type"),
        ({"input": [HI, {"type": "function_call", "call_id": "c"}]}, "input[1]"),
        ({"input": [HI, called(), called()]}, "input[1]"),
        ({"input": [HI, result()]}, "input[1].call_id"),
        ({"input": [HI, called(), HI, result()]}, "input[3].call_id"),
        ({"input": [HI, called(), result("c1", 5)]}, "input[2].output"),
        ({"input": [HI, called(), result("c1", [{"type": "input_image"}])]}, "input[2].output[0]"),
        ({"input": [HI, thought(metadata_text({"a": {"b": "c"}})) | {"summary": "x"}]}, "input[1].summary"),
        ({"instructions": 5}, "instructions"),
        ({"temperature": 3}, "temperature"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"metadata": "x"}, "metadata"),
        ({"reasoning": "low"}, "reasoning"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"text": "json"}, "text"),
        ({"text": {"format": "json"}}, "text.format"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format"),
        ({"text": {"format": {"type": "json_schema", "name": "a b", "schema": {}}}}, "text.format.name"),
        ({"tools": {}}, "tools"),
        ({"tools": [5]}, "tools[0].type"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "name": "a b"}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "name": "a", "parameters": {"type": "array"}}]}, "tools[0].parameters"),
        ({"tools": [RAIN, RAIN]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [RAIN], "tool_choice": {"type": "function", "name": "snow"}}, "tool_choice"),
        ({"tools": [RAIN], "tool_choice": {"type": "allowed_tools", "tools": []}}, "tool_choice"),
        ({"parallel_tool_calls": 1}, "parallel_tool_calls"),
    ],
    ids=lambda value: json.dumps(value)[:400] if isinstance(value, dict) else str(value),
)
def test_a_request_that_is_wrong_is_told_where(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read_response_request({"model": "m", "input": "Hi", **fields})
    assert refusal.value.param == param
    assert refusal.value.message.endswith((".", "}."))


EVERYTHING: Any = {
    "model": "m",
    "instructions": "s",
    "input": [
        {"role": "system", "content": "s"},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "t"},
                {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
                {"type": "input_file", "file_data": "QQ==", "filename": "f"},
            ],
        },
        thought(metadata_text({"anthropic": {"signature": "s"}})),
        said("c", phase="commentary"),
        called(),
        thought(call_text("c1", {"google": {"thoughtSignature": "g"}}), ""),
        result(),
    ],
    "tools": [{**RAIN, "strict": True}],
    "tool_choice": {"type": "function", "name": "rain"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}, "verbosity": "low"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "temperature": 1,
    "stream": True,
    "metadata": {"a": "b"},
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
    read_response_request(EVERYTHING)
    with suppress(InvalidRequest):
        read_response_request(with_other(EVERYTHING, path, other))


@given(JSON)
@settings(max_examples=200, deadline=None)
def test_whatever_a_client_writes_as_kept_it_is_read_or_left_out(value: Any) -> None:
    written = "palaver." + base64.urlsafe_b64encode(json.dumps(value).encode()).decode()
    assert asked(HI, thought(written), said("Yes"), HI).messages[1].content[-1] == Text("Yes")
