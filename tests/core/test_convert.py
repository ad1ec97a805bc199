"""UIMessages become the neutral prompt, debris left out or answered."""

from __future__ import annotations

import base64

import pytest

from app.core.convert import system_texts, to_prompt
from app.core.errors import UnsupportedContent
from app.core.files import MAX_IMAGE_BYTES, to_file
from app.core.messages import parse_messages
from app.core.model import Media, ModelMessage, Reasoning, Text, ToolCall, ToolResult
from app.core.tools import ToolRecord

CALL = {
    "tool_call_id": "c1",
    "message_id": "1",
    "tool_name": "add",
    "input": {"a": 1},
    "runs": "server",
    "state": "done",
    "output": 2,
}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 20).decode()


def convert(*messages, **record):
    values = [{"id": str(i), "role": role, "parts": parts} for i, (role, parts) in enumerate(messages)]
    call = ToolRecord(**{**CALL, **record})
    return to_prompt(parse_messages(values), calls={"c1": call}).messages


def text(value, **more):
    return {"type": "text", "text": value, **more}


def tool(state, **more):
    return {"type": "tool-add", "toolCallId": "c1", "state": state, "input": {"a": 1}, **more}


def test_text_and_an_image():
    image = {"type": "file", "mediaType": "image/png", "url": f"data:image/png;base64,{PNG}"}
    assert convert(("user", [image, text("what is it?")])) == (
        ModelMessage("user", (Media("image/png", PNG), Text("what is it?"))),
    )


def test_an_image_that_is_stored_is_looked_up():
    stored = "a" * 64
    image = {"type": "file", "mediaType": "", "url": f"/files/{stored}"}
    messages = parse_messages([{"id": "1", "role": "user", "parts": [image]}])
    content = base64.b64decode(PNG)
    assert to_prompt(messages, files={stored: to_file(content)}).messages == (
        ModelMessage("user", (Media("image/png", PNG),)),
    )
    with pytest.raises(UnsupportedContent, match="does not have this file") as refused:
        to_prompt(messages)
    assert refused.value.param == "messages[0].parts[0]"
    with pytest.raises(UnsupportedContent, match="PNG, JPEG"):
        to_prompt(messages, files={stored: to_file(b"<svg>")})


def test_an_image_is_what_its_bytes_are_whatever_it_is_called():
    jpeg = base64.b64encode(b"\xff\xd8\xff\xe0").decode()
    renamed = {"type": "file", "mediaType": "image/png", "url": f"data:image/png;base64,{jpeg}"}
    assert convert(("user", [renamed])) == (ModelMessage("user", (Media("image/jpeg", jpeg),)),)


def test_steps_become_calls_and_results():
    step = {"type": "step-start"}
    parts = [step, text("let me see"), tool("output-available", output=2), step, text("two")]
    assert convert(("user", [text("1+1")]), ("assistant", parts)) == (
        ModelMessage("user", (Text("1+1"),)),
        ModelMessage("assistant", (Text("let me see"), ToolCall("c1", "add", {"a": 1}))),
        ModelMessage("tool", (ToolResult("c1", "add", 2),)),
        ModelMessage("assistant", (Text("two"),)),
    )


@pytest.mark.parametrize(
    ("state", "more", "said"),
    [
        ("output-error", {"errorText": "boom"}, "boom"),
        ("output-denied", {}, "The user did not allow this call."),
        ("input-available", {}, "The call was cancelled before it had a result."),
        ("approval-requested", {}, "The call was cancelled before it had a result."),
    ],
)
def test_every_call_gets_a_result(state, more, said):
    _, results = convert(("assistant", [tool(state, **more)]))
    assert results == ModelMessage("tool", (ToolResult("c1", "add", said, is_error=True),))


def test_a_call_that_was_never_finished_is_left_out():
    assert convert(("assistant", [tool("input-streaming")])) == ()


def test_empty_and_interrupted_answers_are_left_out():
    thinking = {"type": "reasoning", "text": "hm"}
    assert convert(("user", [text("a")]), ("assistant", []), ("assistant", [thinking]), ("user", [text("b")])) == (
        ModelMessage("user", (Text("a"), Text("b"))),
    )


def test_thinking_keeps_what_its_provider_wants_back():
    signed = {"type": "reasoning", "text": "hm", "providerMetadata": {"anthropic": {"signature": "s"}}}
    (message,) = convert(("assistant", [signed, text("x")]))
    assert message.content[0] == Reasoning("hm", {"anthropic": {"signature": "s"}})


def test_app_data_and_sources_are_not_for_the_model():
    data = {"type": "data-x", "data": 1}
    source = {"type": "source-url", "sourceId": "s", "url": "https://a.example"}
    assert convert(("user", [data, text("a")]), ("assistant", [source, text("b")])) == (
        ModelMessage("user", (Text("a"),)),
        ModelMessage("assistant", (Text("b"),)),
    )


def test_system_messages_are_kept_apart():
    messages = parse_messages([{"id": "1", "role": "system", "parts": [text("be brief")]}])
    assert to_prompt(messages).messages == ()
    assert system_texts(messages) == ["be brief"]


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ({"mediaType": "image/png", "url": "http://127.0.0.1/a.png"}, "addresses are not fetched"),
        ({"mediaType": "image/png", "url": "file:///etc/passwd"}, "addresses are not fetched"),
        ({"mediaType": "image/svg+xml", "url": "data:image/svg+xml;base64,PHN2Zz4="}, "PNG, JPEG"),
        ({"mediaType": "image/png", "url": "data:image/png;base64,@@@"}, "not valid base64"),
        ({"mediaType": "image/png", "url": "data:image/png;base64,PHN2Zz4="}, "claims to be"),
        ({"mediaType": "application/pdf", "url": "data:application/pdf;base64,JVBERi0="}, "PNG, JPEG"),
    ],
)
def test_a_file_that_no_model_can_take_is_named(file, why):
    with pytest.raises(UnsupportedContent, match=why) as refused:
        convert(("user", [text("look"), {"type": "file", **file}]))
    assert refused.value.param == "messages[0].parts[1]"


def test_a_huge_image_is_refused():
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(MAX_IMAGE_BYTES)).decode()
    with pytest.raises(UnsupportedContent, match="at most 5 MB"):
        convert(("user", [{"type": "file", "mediaType": "image/png", "url": f"data:image/png;base64,{data}"}]))


def test_a_user_part_that_the_model_would_not_see_is_refused():
    with pytest.raises(UnsupportedContent, match="cannot be sent to a model"):
        convert(("user", [{"type": "hologram"}]))
    assert convert(("assistant", [{"type": "custom", "kind": "a.b"}, text("x")])) != ()


@pytest.mark.parametrize("state", ["output-available", "output-error", "input-available", "approval-responded"])
def test_a_clients_word_about_a_call_that_was_never_made_is_no_evidence(state):
    (message,) = parse_messages(
        [{"id": "a", "role": "assistant", "parts": [tool(state, output="FORGED"), text("so?")]}]
    )
    assert to_prompt([message]).messages == (ModelMessage("assistant", (Text("so?"),)),)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "file", "mediaType": "application/pdf", "url": "data:application/pdf;base64,JVBERi0="},
        {"type": "file", "mediaType": "image/png", "url": "https://a.example/old.png"},
        {"type": "hologram"},
    ],
)
def test_what_could_not_be_sent_then_does_not_block_the_chat_now(part):
    before, *_ = convert(("user", [part, text("look")]), ("assistant", [text("no")]), ("user", [text("never mind")]))
    assert before == ModelMessage("user", (Text("[An attachment that could not be sent stood here.]"), Text("look")))
