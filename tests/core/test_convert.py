"""UIMessages become the neutral prompt, debris left out or answered."""

from __future__ import annotations

import base64

import pytest

from app.core.convert import FILE_ANSWER, FILE_MADE, NOT_SENT, system_texts, to_prompt
from app.core.errors import UnsupportedContent
from app.core.files import IMAGE_TYPES, MAX_IMAGE_BYTES, to_file
from app.core.heal import ANSWER_ENDED, ASSISTANT_BEGINS
from app.core.messages import parse_messages
from app.core.model import GO_ON, Media, ModelMessage, Reasoning, Text, ToolCall, ToolResult
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


def heal(*messages, calls=None, takes=IMAGE_TYPES, **record):
    values = [{"id": str(i), "role": role, "parts": parts} for i, (role, parts) in enumerate(messages)]
    records = calls or {"c1": ToolRecord(**{**CALL, **record})}
    return to_prompt(parse_messages(values), calls=records, takes=takes)


def convert(*messages, **record):
    return heal(*messages, **record).messages


def record(call_id, **fields):
    return ToolRecord(**{**CALL, "tool_call_id": call_id, **fields})


def kinds(prompt):
    return [(repair.kind, repair.message_id) for repair in prompt.repairs]


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
    with pytest.raises(UnsupportedContent, match="Files of this kind cannot be sent to this model"):
        to_prompt(messages, files={stored: to_file(b"MZ\x90")})


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
    ("state", "error_text", "said", "repairs"),
    [
        ("failed", "boom", "boom", []),
        ("failed", None, "The tool failed.", []),
        ("denied", None, "The user did not allow this call.", []),
        ("denied", "Too dear.", "The user did not allow this call. They said: Too dear.", []),
        ("open", None, "The call was cancelled before it had a result.", [("unanswered-call", "1")]),
        ("asking", None, "The call was cancelled before it had a result.", [("unanswered-call", "1")]),
        ("approved", None, "The call was cancelled before it had a result.", [("unanswered-call", "1")]),
        ("running", None, "The call was cancelled before it had a result.", [("unanswered-call", "1")]),
    ],
)
def test_every_call_gets_a_result(state, error_text, said, repairs):
    prompt = heal(
        ("user", [text("1+1")]),
        ("assistant", [tool("input-available")]),
        state=state,
        output=None,
        error_text=error_text,
    )
    assert prompt.messages[1:] == (
        ModelMessage("assistant", (ToolCall("c1", "add", {"a": 1}),)),
        ModelMessage("tool", (ToolResult("c1", "add", said, is_error=True),)),
    )
    assert kinds(prompt) == repairs


def test_what_the_client_says_of_state_and_arguments_counts_for_nothing():
    lying = tool("output-available", output="FORGED") | {"type": "tool-remove", "input": {"a": 2}}
    assert convert(("user", [text("1+1")]), ("assistant", [lying]))[1:] == (
        ModelMessage("assistant", (ToolCall("c1", "add", {"a": 1}),)),
        ModelMessage("tool", (ToolResult("c1", "add", 2),)),
    )


def test_arguments_that_are_no_object_go_back_as_none_at_all():
    """What was no JSON stands in the record as text; the result says what was wrong with it."""
    _, call, result = convert(
        ("user", [text("1+1")]),
        ("assistant", [tool("output-error")]),
        input='{"a": ',
        state="failed",
        output=None,
        error_text="Not JSON.",
    )
    assert call.content == (ToolCall("c1", "add", {}),)
    assert result.content == (ToolResult("c1", "add", "Not JSON.", is_error=True),)


def test_a_tools_name_that_a_model_made_up_is_one_that_services_take():
    _, call, result = convert(
        ("user", [text("1+1")]), ("assistant", [tool("output-error")]), tool_name="Add numbers!" * 9
    )
    assert call.content[0].name == result.content[0].name == ("Add_numbers_" * 9)[:64]


def test_a_call_that_was_never_finished_is_left_out():
    prompt = heal(("user", [text("1+1")]), ("assistant", [tool("input-streaming")]), calls={"c2": record("c2")})
    assert prompt.messages == (ModelMessage("user", (Text("1+1"),)),)
    assert kinds(prompt) == [("unfinished-call", "1")]


def test_a_call_that_stands_there_twice_is_one_call():
    again = [tool("output-available"), {"type": "step-start"}, tool("output-available"), text("two")]
    prompt = heal(("user", [text("1+1")]), ("assistant", again), ("assistant", [tool("output-available"), text("2!")]))
    assert [message.role for message in prompt.messages] == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
        "assistant",
    ]
    assert sum(isinstance(item, ToolCall) for message in prompt.messages for item in message.content) == 1
    assert kinds(prompt) == [("repeated-call", "1"), ("repeated-call", "2"), ("same-role", "2")]


def test_a_services_own_call_stands_with_its_result_in_the_answer():
    search = {"runs": "provider", "call_metadata": {"a": {"n": 1}}, "result_metadata": {"a": {"n": 2}}}
    (_, answer) = convert(("user", [text("?")]), ("assistant", [tool("output-available"), text("two")]), **search)
    assert answer.content == (
        ToolCall("c1", "add", {"a": 1}, provider_executed=True, provider_metadata={"a": {"n": 1}}),
        ToolResult("c1", "add", 2, provider_executed=True, provider_metadata={"a": {"n": 2}}),
        Text("two"),
    )


def test_a_services_own_call_without_a_result_is_left_out():
    prompt = heal(
        ("user", [text("?")]), ("assistant", [tool("input-available"), text("two")]), runs="provider", state="running"
    )
    assert prompt.messages[1] == ModelMessage("assistant", (Text("two"),))
    assert kinds(prompt) == [("unanswered-call", "1")]


def test_a_services_own_call_may_wait_for_one_of_ours():
    """Code that the service runs calls a tool."""
    calls = {"code": record("code", runs="provider", state="running", output=None), "c1": record("c1")}
    parts = [{"type": "step-start"}, tool("input-available") | {"toolCallId": "code"}, tool("output-available")]
    prompt = heal(("user", [text("?")]), ("assistant", parts), calls=calls)
    assert prompt.messages[1].content == (ToolCall("code", "add", {"a": 1}, True), ToolCall("c1", "add", {"a": 1}))
    assert prompt.messages[2].content == (ToolResult("c1", "add", 2),)
    assert prompt.repairs == ()


def test_an_answer_of_nothing_but_a_services_own_calls_says_something_to_other_services_too():
    prompt = heal(("user", [text("?")]), ("assistant", [tool("output-available")]), runs="provider")
    assert prompt.messages[1].content[-1] == Text(ANSWER_ENDED)
    assert kinds(prompt) == [("missing-answer", "1")]


def test_calls_come_last_in_what_a_model_said_at_once():
    step = [{"type": "step-start"}, text("a"), tool("output-available"), text("b")]
    assert convert(("user", [text("?")]), ("assistant", step))[1:] == (
        ModelMessage("assistant", (Text("a"), Text("b"), ToolCall("c1", "add", {"a": 1}))),
        ModelMessage("tool", (ToolResult("c1", "add", 2),)),
    )


def test_without_marks_what_stands_behind_a_call_was_said_after_its_result():
    assert convert(("user", [text("?")]), ("assistant", [text("a"), tool("output-available"), text("b")]))[1:] == (
        ModelMessage("assistant", (Text("a"), ToolCall("c1", "add", {"a": 1}))),
        ModelMessage("tool", (ToolResult("c1", "add", 2),)),
        ModelMessage("assistant", (Text("b"),)),
    )


def test_thinking_stays_before_the_call_that_it_led_to():
    calls = {"c1": record("c1"), "c2": record("c2")}
    thoughts = [{"type": "reasoning", "text": "1"}, tool("output-available"), {"type": "reasoning", "text": "2"}]
    parts = [{"type": "step-start"}, *thoughts, tool("output-available") | {"toolCallId": "c2"}]
    _, answer, results = heal(("user", [text("?")]), ("assistant", parts), calls=calls).messages
    assert [getattr(item, "text", None) or item.id for item in answer.content] == ["1", "c1", "2", "c2"]
    assert [result.id for result in results.content] == ["c1", "c2"]


def test_thinking_that_broke_off_or_led_to_nothing_is_left_out():
    thought = {"type": "reasoning", "text": "hm"}
    prompt = heal(
        ("user", [text("a")]),
        ("assistant", [thought | {"state": "streaming"}, text("b"), thought]),
        ("user", [text("c")]),
        ("assistant", [thought]),
    )
    assert [message.content for message in prompt.messages] == [(Text("a"),), (Text("b"),), (Text("c"),)]
    assert kinds(prompt) == [("unfinished-thought", "1"), ("unfinished-thought", "3")]


def test_what_was_said_until_an_answer_broke_off_is_kept():
    prompt = heal(("user", [text("a")]), ("assistant", [text("Once upon", state="streaming")]), ("user", [text("b")]))
    assert prompt.messages[1] == ModelMessage("assistant", (Text("Once upon"),))
    assert prompt.repairs == ()


def test_a_continued_answer_is_what_it_was_asked_with():
    """So that the service finds the request that went on with it in its cache."""
    step = {"type": "step-start"}
    prompt = heal(("user", [text("a")]), ("assistant", [step, text("Once"), step, text(" upon")]))
    assert [message.content[0].text for message in prompt.messages] == ["a", "Once", GO_ON, " upon"]
    assert prompt.repairs == ()


def test_messages_that_say_nothing_are_left_out():
    prompt = heal(("user", [text("a")]), ("assistant", []), ("user", [text(" \n")]), ("user", [text("b")]))
    assert prompt.messages == (ModelMessage("user", (Text("a"), Text("b"))),)
    assert kinds(prompt) == [("empty-message", "1"), ("empty-message", "2"), ("same-role", "3")]


def test_a_signature_that_comes_with_no_text_is_kept():
    signed = text("", providerMetadata={"google": {"thoughtSignature": "s"}})
    (_, answer) = convert(("user", [text("a")]), ("assistant", [text("b"), signed]))
    assert answer.content == (Text("b"), Text("", {"google": {"thoughtSignature": "s"}}))
    assert len(convert(("user", [text("a")]), ("assistant", [signed]))) == 1


def test_thinking_keeps_what_its_provider_wants_back():
    signed = {"type": "reasoning", "text": "hm", "providerMetadata": {"anthropic": {"signature": "s"}}}
    (_, message) = convert(("user", [text("a")]), ("assistant", [signed, text("x")]))
    assert message.content[0] == Reasoning("hm", {"anthropic": {"signature": "s"}})


def test_an_answer_that_comes_first_gets_a_question():
    prompt = heal(("system", [text("Be kind.")]), ("assistant", [text("Hello!")]), ("user", [text("Hi.")]))
    assert [(message.role, message.content[0].text) for message in prompt.messages] == [
        ("user", ASSISTANT_BEGINS),
        ("assistant", "Hello!"),
        ("user", "Hi."),
    ]
    assert kinds(prompt) == [("assistant-first", "1")]


def test_results_that_no_answer_followed_get_one_before_the_next_question():
    said = [("user", [text("1+1")]), ("assistant", [tool("output-available")]), ("user", [text("Well?")])]
    prompt = heal(*said)
    assert [message.role for message in prompt.messages] == ["user", "assistant", "tool", "assistant", "user"]
    assert prompt.messages[3].content == (Text(ANSWER_ENDED),)
    assert kinds(prompt) == [("missing-answer", "1")]
    assert heal(*said[:2]).repairs == ()


def test_app_data_and_sources_are_not_for_the_model():
    data = {"type": "data-x", "data": 1}
    source = {"type": "source-url", "sourceId": "s", "url": "https://a.example"}
    prompt = heal(("user", [data, text("a")]), ("assistant", [source, text("b")]))
    assert prompt.repairs == ()
    assert prompt.messages == (
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
        ({"mediaType": "image/tiff", "url": "data:image/tiff;base64,SUkqAA=="}, "Files of this kind"),
        ({"mediaType": "image/png", "url": "data:image/png;base64,@@@"}, "not valid base64"),
        ({"mediaType": "image/png", "url": "data:image/png;base64,PHN2Zz4="}, "claims to be"),
        ({"mediaType": "application/pdf", "url": "data:application/pdf;base64,JVBERi0="}, "PDF files cannot"),
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
    parts = [tool(state, output="FORGED"), text("so?")]
    prompt = heal(("user", [text("a")]), ("assistant", parts), calls={"c2": record("c2")})
    assert prompt.messages[1:] == (ModelMessage("assistant", (Text("so?"),)),)
    assert kinds(prompt) == [("unknown-call", "1")]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "file", "mediaType": "application/pdf", "url": "data:application/pdf;base64,JVBERi0="},
        {"type": "file", "mediaType": "image/png", "url": "https://a.example/old.png"},
        {"type": "hologram"},
    ],
)
def test_what_could_not_be_sent_then_does_not_block_the_chat_now(part):
    prompt = heal(("user", [part, text("look")]), ("assistant", [text("no")]), ("user", [text("never mind")]))
    assert prompt.messages[0] == ModelMessage("user", (Text(NOT_SENT), Text("look")))
    assert kinds(prompt) == [("unusable-file", "0")]


def test_what_an_answer_made_is_shown_to_the_model_with_what_the_user_says_next():
    image = {"type": "file", "mediaType": "image/png", "url": f"data:image/png;base64,{PNG}"}
    thought = {"type": "reasoning", "text": "hm"}
    prompt = heal(("user", [text("draw")]), ("assistant", [thought, image]), ("user", [text("in blue")]))
    assert prompt.messages == (
        ModelMessage("user", (Text("draw"),)),
        ModelMessage("assistant", (Reasoning("hm"), Text(FILE_ANSWER))),
        ModelMessage("user", (Text(FILE_MADE), Media("image/png", PNG), Text("in blue"))),
    )
    assert prompt.repairs == ()


def test_a_file_of_an_answer_that_cannot_be_shown_again_is_no_loss_worth_a_word():
    gone = {"type": "file", "mediaType": "image/png", "url": f"/files/{'a' * 64}"}
    prompt = heal(("user", [text("draw")]), ("assistant", [text("here:"), gone]), ("user", [text("thanks")]))
    assert [message.content for message in prompt.messages] == [(Text("draw"),), (Text("here:"),), (Text("thanks"),)]
    assert prompt.repairs == ()
