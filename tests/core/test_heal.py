"""Messages come in an order that every service takes, whatever is added after whatever."""

from __future__ import annotations

from app.core.convert import to_prompt
from app.core.heal import ANSWER_ENDED, ASSISTANT_BEGINS, Dialogue, Repair
from app.core.messages import parse_messages
from app.core.model import GO_ON, ModelMessage, Text, ToolCall, ToolResult

A, B = (Text("a"),), (Text("b"),)
CALL, RESULT = (ToolCall("c", "add", {}),), (ToolResult("c", "add", 2),)


def test_questions_and_answers_that_take_turns_stay_as_they_are():
    dialogue = Dialogue()
    dialogue.ask(A, "1")
    dialogue.answer(CALL, RESULT, "2")
    dialogue.answer(B, (), "2")
    dialogue.ask(A, "3")
    assert [message.role for message in dialogue.messages] == ["user", "assistant", "tool", "assistant", "user"]
    assert dialogue.repairs == []


def test_an_answer_to_nothing_gets_a_question():
    dialogue = Dialogue()
    dialogue.answer(A, (), "1")
    assert dialogue.messages == [
        ModelMessage("user", (Text(ASSISTANT_BEGINS),)),
        ModelMessage("assistant", A),
    ]
    assert dialogue.repairs == [Repair("assistant-first", "1")]


def test_two_questions_are_one():
    dialogue = Dialogue()
    dialogue.ask(A, "1")
    dialogue.ask(B, "2")
    assert dialogue.messages == [ModelMessage("user", A + B)]
    assert dialogue.repairs == [Repair("same-role", "2")]


def test_between_two_answers_the_user_asks_to_go_on():
    for second, repairs in (("1", []), ("2", [Repair("same-role", "2")])):
        dialogue = Dialogue()
        dialogue.ask(A, "0")
        dialogue.answer(A, (), "1")
        dialogue.answer(B, (), second)
        assert dialogue.messages[2:] == [ModelMessage("user", (Text(GO_ON),)), ModelMessage("assistant", B)]
        assert dialogue.repairs == repairs


def test_a_question_does_not_follow_results():
    dialogue = Dialogue()
    dialogue.ask(A, "1")
    dialogue.answer(CALL, RESULT, "2")
    dialogue.ask(B, "3")
    assert dialogue.messages[3:] == [ModelMessage("assistant", (Text(ANSWER_ENDED),)), ModelMessage("user", B)]
    assert dialogue.repairs == [Repair("missing-answer", "2")]


def test_a_repair_is_told_once_for_each_message():
    dialogue = Dialogue()
    dialogue.mended("unknown-call", "1")
    dialogue.mended("unknown-call", "1")
    dialogue.mended("unknown-call", "2")
    assert dialogue.repairs == [Repair("unknown-call", "1"), Repair("unknown-call", "2")]


def test_an_answer_whose_calls_are_left_out_stays_one_answer():
    parts = [
        {"type": "step-start"},
        {"type": "text", "text": "Checking."},
        {"type": "tool-x", "toolCallId": "foreign", "state": "output-available", "input": {}, "output": 1},
        {"type": "step-start"},
        {"type": "text", "text": "It is 1."},
    ]
    prompt = to_prompt(
        parse_messages(
            [
                {"id": "q", "role": "user", "parts": [{"type": "text", "text": "?"}]},
                {"id": "a", "role": "assistant", "parts": parts},
            ]
        )
    )
    assert [(message.role, len(message.content)) for message in prompt.messages] == [("user", 1), ("assistant", 2)]
    assert [repair.kind for repair in prompt.repairs] == ["unknown-call"]
