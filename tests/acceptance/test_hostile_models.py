"""Answers that no honest model gives: whatever they are, the conversation can be gone on with, and sent back whole."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.services import SERVICES
from tests.acceptance.use_chat import UseChat
from tests.upstream import chat_answer, chat_chunk, chat_frames

OPENAI = SERVICES["openai-chat"]
ROME = '{"city": "Rome"}'


def calling(*calls):
    """A model call that makes `calls`: id, name, and the text of the arguments."""
    made = [
        {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for index, (call_id, name, arguments) in enumerate(calls)
    ]
    return chat_frames([*(chat_chunk({"tool_calls": [call]}) for call in made), chat_chunk({}, "tool_calls")])


def many(number, prefix="call"):
    return calling(*[(f"{prefix}_{place:08}", "rain", ROME) for place in range(number)])


@pytest.fixture
def chat(palaver, upstream):
    with palaver(OPENAI.preset(upstream)) as client:
        yield UseChat(client, "b1", OPENAI.provider)


def goes_on(chat, upstream):
    """The client sends back everything that it has."""
    upstream.reply(chat_answer("Still here."))
    chat.send("And now?")
    assert chat.text == "Still here."


@pytest.mark.parametrize(
    "call",
    [
        ("call_00000001", "rain", '{"city": ' + "[" * 100_000),
        ("call_00000001", "rain", '{"city": ' + "[" * 150 + "]" * 150 + "}"),
        ("call_00000001", "rain", '{"city": "Rome", "__proto__": {"city": "Oslo"}}'),
        ("call_00000001", "rain", '{"city": "Rome", "constructor": {"prototype": {}}}'),
        ("call_00000001", "rain", '{"city": NaN}'),
        ("call_00000001", "rain", '{"city": 1e999}'),
        ("call_00000001", "rain", '{"city": ' + "9" * 5_000 + "}"),
        ("call_00000001", "rain", r'{"city": "\ud83d"}'),
        ("call_00000001", "rain", r'{"city": "a\u0000b"}'),
        ("call_00000001", "rain", '{"city": "Rome", "country": "Italy"}'),
        ("call_00000001", "rain", '{"city": 7}'),
        ("call_00000001", "rain", '["Rome"]'),
        ("call_00000001", "rain", "Rome"),
        ("call_00000001", "rain", json.dumps({"city": "x" * 3_000_000})),
        ("call_00000001", "", ROME),
        ("call_00000001", "rm -rf", ROME),
        ("call_00000001", "__proto__", ROME),
        ("call_00000001", "\r\ndata: {}\n\n\0\u202e", ROME),
        ("call_00000001", "rain" * 50_000, ROME),
    ],
)
def test_a_call_that_cannot_be_made_runs_nothing(call, chat, upstream, ran):
    upstream.reply(calling(call), chat_answer("Never mind."))
    chat.send("How is it?")
    assert chat.text == "Never mind."
    assert ran() == []
    goes_on(chat, upstream)


@pytest.mark.parametrize("call_id", ["", "1", "__proto__", "call \0\n\u202e", "x" * 100_000])
def test_an_id_that_nobody_else_would_take_is_replaced(call_id, chat, upstream, ran):
    upstream.reply(calling((call_id, "rain", ROME)), chat_answer("It rains."))
    chat.send("How is it?")
    assert [call["toolCallId"].startswith("call_") and len(call["toolCallId"]) < 65 for call in chat.calls] == [True]
    assert ran() == ["rain Rome"]
    goes_on(chat, upstream)


@pytest.mark.parametrize("text", ["a\0b", "a\0\0", "\0"])
def test_a_nul_in_an_answer_is_replaced(text, chat, upstream):
    upstream.reply(chat_answer("It is ", text, reasoning=["So", text]))
    chat.send("How is it?")
    assert chat.text == "It is " + text.replace("\0", "\ufffd")
    goes_on(chat, upstream)


@pytest.mark.parametrize("odd", ["[" * 150 + "]" * 150, "[" * 900 + "]" * 900, "1e999", "9" * 400])
def test_what_no_conversation_can_keep_for_the_service_ends_the_answer(odd, chat, upstream, ran):
    details = chat_frames([chat_chunk({"reasoning_details": [{"type": "reasoning.encrypted", "data": "odd"}]})])
    upstream.reply([*(frame.replace(b'"odd"', odd.encode()) for frame in details[:-1]), *many(1)])
    chat.try_to_send("How is it?")
    assert "not a model's answer" in chat.error
    assert ran() == []
    goes_on(chat, upstream)


def test_figures_that_cannot_be_end_the_answer(chat, upstream):
    usage = {"prompt_tokens": 10**25, "completion_tokens": 1, "total_tokens": 1}
    upstream.reply(chat_frames([chat_chunk({"content": "Hello."}), {**chat_chunk({}, "stop"), "usage": usage}]))
    chat.try_to_send("How is it?")
    assert "not a model's answer" in chat.error
    goes_on(chat, upstream)


def test_arguments_without_end_end_the_answer(chat, upstream, ran):
    piece = chat_chunk({"tool_calls": [{"index": 0, "function": {"arguments": "x" * 100_000}}]})
    begin = {"index": 0, "id": "call_00000001", "function": {"name": "rain", "arguments": '{"city": "'}}
    upstream.reply(chat_frames([chat_chunk({"tool_calls": [begin]}), *[piece] * 60]))
    chat.try_to_send("How is it?")
    assert "4,000,000 characters" in chat.error
    assert ran() == []
    goes_on(chat, upstream)


def test_calls_without_end_end_the_answer(chat, upstream, ran):
    upstream.reply(many(4_000))
    chat.try_to_send("How is it?")
    assert "2,000 parts" in chat.error
    assert ran() == []
    goes_on(chat, upstream)


def test_many_calls_in_each_step_are_answered_and_can_be_sent_back(chat, upstream, ran):
    upstream.reply(*(many(70, f"call{step}") for step in range(16)))
    chat.send("How is it?")
    assert len(ran()) == 16 * 16
    assert len(chat.last["parts"]) > 1_000
    goes_on(chat, upstream)
