"""What a card tells of a tool call."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.messages import ToolPart, approval_metadata
from app.core.tools import CANCELLED
from app.wire.tool_card import MOST_CHARACTERS, MOST_ROWS, Table, as_table, show_name, show_output, tool_card


def card(state: str, **fields: Any):
    return tool_card(ToolPart.model_validate({"type": "tool-add", "toolCallId": "c1", "state": state, **fields}))


@pytest.mark.parametrize(
    ("state", "condition"),
    [
        ("input-streaming", "waiting"),
        ("input-available", "waiting"),
        ("approval-requested", "asking"),
        ("output-available", "done"),
        ("output-error", "failed"),
        ("output-denied", "denied"),
    ],
)
def test_every_state_has_a_word(state: str, condition: str) -> None:
    found = card(state, input={"a": 1})
    assert found.condition == condition
    assert found.label


def test_a_call_that_ended_with_its_answer_is_stopped() -> None:
    found = card("output-error", input={}, errorText=CANCELLED)
    assert (found.condition, found.label, found.error) == ("stopped", "Stopped", "")


def test_only_a_request_that_is_open_can_be_answered() -> None:
    assert card("approval-requested", input={}, approval={"id": "a1"}).approval_id == "a1"
    assert card("approval-responded", input={}, approval={"id": "a1", "approved": True}).approval_id is None
    assert card("output-available", input={}, output=1, approval={"id": "a1", "approved": True}).approval_id is None


def test_arguments_that_were_no_json_are_shown_as_they_came() -> None:
    assert card("output-error", rawInput='{"a": ', errorText="not JSON").input == '{"a": '


def test_a_failure_says_why() -> None:
    assert card("output-error", input={}, errorText="down").error == "down"
    assert card("output-error", input={}).error


def test_rows_with_the_same_keys_are_a_table() -> None:
    rows = [{"city": "Bern", "sky": None}, {"city": "Rome", "sky": "clear", "temp": 3}]
    assert as_table(rows) == Table(["city", "sky", "temp"], [["Bern", "", ""], ["Rome", "clear", "3"]])


@pytest.mark.parametrize(
    "value",
    [None, "text", {"a": 1}, [], [{"a": 1}], [1, 2], [{"a": [1]}, {"a": 2}], [{}, {}], [{"a": 1}, {"b": 1}, {"c": 1}]],
)
def test_nothing_else_is_a_table(value: Any) -> None:
    assert as_table(value) is None


def test_a_long_table_tells_how_much_is_missing() -> None:
    table = as_table([{"n": n} for n in range(MOST_ROWS + 7)])
    assert table is not None
    assert (len(table.rows), table.more) == (MOST_ROWS, 7)


def test_text_is_shown_as_text_and_everything_else_as_json() -> None:
    assert show_output("a\nb") == "a\nb"
    assert show_output({"ü": 1}) == '{\n  "ü": 1\n}'
    assert show_output(None) == ""
    assert len(show_output("x" * (MOST_CHARACTERS + 1))) == MOST_CHARACTERS + 1


def test_names_are_for_people() -> None:
    assert show_name("read_attachment") == "read attachment"
    assert show_name("files__read_file") == "files: read file"


PNG = "iVBORw0KGgoAAAANSUhEUg=="


def test_a_picture_that_a_service_made_is_shown_as_one() -> None:
    made = card("output-available", input={}, output={"result": PNG})
    assert (made.picture, made.text) == (f"data:image/png;base64,{PNG}", "")


@pytest.mark.parametrize(
    "output",
    [None, PNG, {"result": 1}, {"result": "text"}, {"result": f'{PNG}" onerror="alert(1)'}, {"result": PNG, "more": 1}],
)
def test_nothing_else_is_a_picture(output: Any) -> None:
    assert card("output-available", input={}, output=output).picture == ""


def test_a_question_that_an_app_is_asked_by_confirm_is_a_question_here_too() -> None:
    question = {"toolName": "delete_note", "input": {"name": "n1"}, "toolCallId": "c1"}
    metadata = approval_metadata("ap1")
    fields = {"type": "tool-confirm", "toolCallId": "q", "input": question, "callProviderMetadata": metadata}
    asked = tool_card(ToolPart.model_validate({**fields, "state": "input-available"}))
    assert (asked.name, asked.condition, asked.approval_id) == ("delete_note", "asking", "ap1")
    assert '"n1"' in asked.input
    answered = tool_card(ToolPart.model_validate({**fields, "state": "output-available", "output": {"approved": True}}))
    assert (answered.condition, answered.approval_id) == ("done", None)


def test_an_output_that_was_to_be_replaced_is_none_when_nothing_replaced_it() -> None:
    assert card("output-available", input={}, output=1, preliminary=True).condition == "waiting"
