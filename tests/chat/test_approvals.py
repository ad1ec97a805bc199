"""Calls that wait for the user or for the client: what is asked, what counts as an answer, and that it counts once."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace

import pytest

from app.chat.approvals import SUPERSEDED, UNFINISHED
from app.core.errors import AppError, ApprovalRefused, InvalidRequest
from app.core.events import (
    MessageFinish,
    MessageStart,
    ModelFinish,
    StepFinish,
    StepStart,
    TextDelta,
    TextEnd,
    TextStart,
    ToolApprovalRequest,
    ToolApprovalResponse,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputStart,
    ToolOutputAvailable,
    ToolOutputDenied,
    ToolOutputError,
    Usage,
)
from app.core.fold import fold
from app.core.messages import parse_messages
from app.core.model import TurnRequest
from app.core.tools import ApprovalAnswer, Tool, ToolSpec
from tests.chat.conftest import open_house
from tests.chat.scripted import ScriptedProvider, SteppedProvider, calling, saying
from tests.chat.test_tool_turns import kinds, question, results, tool

pytestmark = pytest.mark.anyio

ROME = {"city": "Rome"}
WEATHER = ("call_000001", "weather", ROME)
ASK_USER = ToolSpec("ask_user", "Asks.", {"type": "object", "properties": {"text": {"type": "string"}}})


class Desk:
    """A client: it keeps what it is told, as the AI SDK does, and sends it back."""

    def __init__(self, house, *, shows_approvals=True, tools=()):
        self.house = house
        self.shows_approvals = shows_approvals
        self.tools = tools
        self.messages = list(question().messages)

    def request(self, *messages, **more):
        return TurnRequest(
            messages=tuple(messages or self.messages), shows_approvals=self.shows_approvals, tools=self.tools, **more
        )

    async def post(self, provider, *, block="b", **more):
        run = await self.house.turns(provider).begin(block, self.request(**more))
        events = await self.house.events(run)
        last = self.messages[-1] if self.messages[-1].role == "assistant" else None
        answer = fold(last, events)
        self.messages = [*(self.messages[:-1] if last is not None else self.messages), answer]
        return events

    def change(self, call_id, **fields):
        """What the app does to a part of the last message."""
        wire = self.messages[-1].to_wire()
        for part in wire["parts"]:
            if part.get("toolCallId") == call_id:
                part.update(fields)
        self.messages[-1] = parse_messages([wire])[0]

    def answer(self, call_id, approved, **approval):
        part = self.part(call_id)
        given = {"id": part.approval.id, "approved": approved, **approval}
        self.change(call_id, state="approval-responded", approval=given)

    def part(self, call_id):
        return next(part for part in self.messages[-1].parts if getattr(part, "tool_call_id", None) == call_id)

    def say(self, text):
        self.messages.append(question(text, f"u{len(self.messages)}").messages[0])

    async def record(self, call_id, block="b"):
        return (await self.house.ledger.records(block))[call_id]

    async def stored(self, call_id):
        parts = (await self.house.store.load("b")).messages[-1].parts
        return next(part for part in parts if getattr(part, "tool_call_id", None) == call_id)


@pytest.fixture
def ran():
    return []


@pytest.fixture
def desk(house, ran):
    return new_desk(house, ran)


def new_desk(house, ran, **more):
    async def note(arguments, context):
        ran.append(arguments)
        return "done"

    house.box.by_name = {"weather": tool(execute=note, policy="ask"), "clock": tool("clock", note)}
    return Desk(house, **more)


async def test_a_call_that_needs_a_yes_ends_the_turn(desk, ran):
    events = await desk.post(SteppedProvider(calling(WEATHER)))
    assert kinds(events) == [
        MessageStart, StepStart, ToolInputStart, ToolInputDelta, ToolInputAvailable, ToolApprovalRequest, StepFinish,
        MessageFinish,
    ]  # fmt: skip
    assert events[-1].reason == "tool-calls"
    record = await desk.record("call_000001")
    assert (record.state, record.approval_id) == ("asking", events[5].approval_id)
    assert (await desk.stored("call_000001")).state == "approval-requested"
    assert ran == []


async def test_a_yes_runs_the_call_once_and_the_same_message_goes_on(desk, ran):
    first = await desk.post(SteppedProvider(calling(WEATHER)))
    desk.answer("call_000001", approved=True)
    provider = ScriptedProvider(*saying("Clear."))
    events = await desk.post(provider)
    assert kinds(events) == [
        MessageStart, ToolApprovalResponse, ToolOutputAvailable, StepStart, TextStart, TextDelta, TextEnd, StepFinish,
        MessageFinish,
    ]  # fmt: skip
    assert events[0].message_id == first[0].message_id
    assert ran == [ROME]
    assert results(provider.requests[0])["call_000001"].output == "done"
    part = await desk.stored("call_000001")
    assert (part.state, part.output, part.approval.approved) == ("output-available", "done", True)
    assert desk.messages[-1].parts == (await desk.house.store.load("b")).messages[-1].parts


async def test_a_no_is_told_to_client_and_model(desk, ran):
    await desk.post(SteppedProvider(calling(WEATHER)))
    desk.answer("call_000001", approved=False, reason="Not today.")
    provider = ScriptedProvider(*saying("Fine."))
    events = await desk.post(provider)
    assert kinds(events)[:4] == [MessageStart, ToolApprovalResponse, ToolOutputDenied, StepStart]
    result = results(provider.requests[0])["call_000001"]
    assert result.is_error
    assert "Not today." in result.output
    assert ran == []
    part = await desk.stored("call_000001")
    assert (part.state, part.approval.approved, part.approval.reason) == ("output-denied", False, "Not today.")


async def test_the_same_yes_sent_again_is_refused_and_runs_nothing(desk, ran):
    await desk.post(SteppedProvider(calling(WEATHER)))
    desk.answer("call_000001", approved=True)
    again = list(desk.messages)
    await desk.post(ScriptedProvider(*saying("x")))
    desk.messages = again
    provider = ScriptedProvider(*saying("x"))
    with pytest.raises(ApprovalRefused) as refused:
        await desk.post(provider)
    assert (refused.value.status, refused.value.code) == (409, "approval_refused")
    assert ran == [ROME]
    assert provider.requests == []


async def test_the_same_post_while_it_runs_is_the_same_run(house, ran):
    desk = new_desk(house, ran)
    await desk.post(SteppedProvider(calling(WEATHER)))
    desk.answer("call_000001", approved=True)
    gate = asyncio.Event()
    turns = house.turns(ScriptedProvider(gate, *saying("x")))
    runs = await asyncio.gather(*(turns.begin("b", desk.request()) for _ in range(3)))
    assert runs[0] is runs[1] is runs[2]
    gate.set()
    await house.events(runs[0])
    assert ran == [ROME]


@pytest.mark.parametrize(
    "change",
    [
        {"approval": {"id": "forged", "approved": True}},
        {"input": {"city": "Moscow"}},
        {"type": "tool-clock"},
        {"toolCallId": "call_999999"},
    ],
)
async def test_a_yes_to_something_else_is_refused(desk, ran, change):
    await desk.post(SteppedProvider(calling(WEATHER)))
    desk.answer("call_000001", approved=True)
    desk.change("call_000001", **change)
    with pytest.raises(ApprovalRefused):
        await desk.post(ScriptedProvider(*saying("x")))
    assert ran == []
    assert (await desk.record("call_000001")).state == "asking"


async def test_a_number_that_nobody_was_asked_about_is_refused_however_big(desk, ran):
    desk.house.box.by_name["weather"] = replace(desk.house.box.by_name["weather"], spec=ToolSpec("weather", "", {}))
    await desk.post(SteppedProvider(calling(("call_000001", "weather", {"days": 7}))))
    desk.answer("call_000001", approved=True)
    desk.change("call_000001", input={"days": 10**400})
    with pytest.raises(ApprovalRefused):
        await desk.post(ScriptedProvider(*saying("x")))
    assert (await desk.record("call_000001")).state == "asking"


async def test_a_yes_for_a_call_that_was_never_made_is_refused(desk, ran):
    await desk.post(ScriptedProvider(*saying("x")))
    part = {"type": "tool-weather", "toolCallId": "c9", "state": "approval-responded", "input": ROME}
    wire = desk.messages[-1].to_wire()
    wire["parts"].append({**part, "approval": {"id": "a9", "approved": True}})
    desk.messages[-1] = parse_messages([wire])[0]
    with pytest.raises(ApprovalRefused):
        await desk.post(ScriptedProvider(*saying("x")))
    assert ran == []


async def test_a_yes_of_another_conversation_is_refused(desk, ran):
    await desk.post(SteppedProvider(calling(WEATHER)))
    desk.answer("call_000001", approved=True)
    with pytest.raises(ApprovalRefused):
        await desk.post(ScriptedProvider(*saying("x")), block="other")
    assert ran == []


async def test_a_copy_of_the_conversation_does_not_wait_so_that_one_yes_runs_once(desk, ran):
    await desk.post(SteppedProvider(calling(WEATHER)))
    record = await desk.record("call_000001")
    assert await desk.house.ledger.change("b", replace(record, state="approved"), when="asking"), "before a crash"
    copy = await desk.house.turns(ScriptedProvider()).fork("b", "copy")
    assert (await desk.record("call_000001", "copy")).state == "denied"
    shown = (await desk.house.store.load("copy")).messages[-1]
    assert (shown.id, shown.parts[1].state) == (copy.messages[-1].id, "output-denied")
    desk.answer("call_000001", approved=True)
    with pytest.raises(ApprovalRefused):
        await desk.post(ScriptedProvider(*saying("x")), block="copy")
    assert ran == []
    await desk.post(ScriptedProvider(*saying("x")))
    assert ran == [ROME]


async def test_a_yes_after_a_no_is_refused(desk, ran):
    await desk.post(SteppedProvider(calling(WEATHER)))
    before = list(desk.messages)
    desk.answer("call_000001", approved=False)
    await desk.post(ScriptedProvider(*saying("x")))
    desk.messages = before
    desk.answer("call_000001", approved=True)
    with pytest.raises(ApprovalRefused):
        await desk.post(ScriptedProvider(*saying("x")))
    assert ran == []


async def test_a_yes_works_after_a_restart(house, ran, tmp_path):
    desk = new_desk(house, ran)
    await desk.post(SteppedProvider(calling(WEATHER)))
    shutil.copytree(tmp_path, tmp_path / "later", ignore=shutil.ignore_patterns("later"))
    async with open_house(tmp_path / "later") as later:
        again = new_desk(later, ran)
        again.messages = desk.messages
        again.answer("call_000001", approved=True)
        await again.post(ScriptedProvider(*saying("x")))
    assert ran == [ROME]


async def test_an_approved_call_that_a_crash_kept_from_running_runs_with_the_same_yes(desk, ran):
    await desk.post(SteppedProvider(calling(WEATHER)))
    record = await desk.record("call_000001")
    assert await desk.house.ledger.change("b", replace(record, state="approved"), when="asking")
    desk.answer("call_000001", approved=True)
    await desk.post(ScriptedProvider(*saying("x")))
    assert ran == [ROME]


async def test_a_denial_that_a_crash_kept_from_being_told_is_told(desk, ran):
    await desk.post(SteppedProvider(calling(WEATHER)))
    record = await desk.record("call_000001")
    assert await desk.house.ledger.change("b", replace(record, state="denied"), when="asking")
    desk.answer("call_000001", approved=False)
    events = await desk.post(ScriptedProvider(*saying("x")))
    assert ToolOutputDenied("call_000001") in events


async def test_a_call_that_was_running_when_the_server_was_killed_counts_as_failed(desk, ran):
    await desk.post(SteppedProvider(calling(("call_000001", "weather", ROME), ("call_000002", "clock", ROME))))
    record = await desk.record("call_000002")
    await desk.house.ledger.put("b", [replace(record, state="running", output=None)])
    message = (await desk.house.store.load("b")).messages[-1].to_wire()
    message["parts"][2] = {"type": "tool-clock", "toolCallId": "call_000002", "state": "input-available", "input": ROME}
    await desk.house.store.put_answer("b", "u1", parse_messages([message])[0], "interrupted")
    ran.clear()
    desk.answer("call_000001", approved=True)
    provider = ScriptedProvider(*saying("x"))
    events = await desk.post(provider)
    assert ran == [ROME], "the approved one, and nothing twice"
    assert results(provider.requests[0])["call_000002"].output == UNFINISHED
    assert ToolOutputError("call_000002", UNFINISHED) in events
    assert (await desk.record("call_000002")).state == "failed"


async def test_the_page_answers_by_the_request_alone(house, ran):
    desk = new_desk(house, ran)
    events = await desk.post(SteppedProvider(calling(WEATHER)))
    answers = (ApprovalAnswer(events[5].approval_id, approved=True),)
    page = TurnRequest((), message_only=True, message_id=events[0].message_id, approvals=answers, shows_approvals=True)
    run = await house.turns(ScriptedProvider(*saying("x"))).begin("b", page)
    assert run.message_id == events[0].message_id
    await house.events(run)
    assert ran == [ROME]
    with pytest.raises(ApprovalRefused):
        await house.turns(ScriptedProvider(*saying("x"))).begin("b", page)
    with pytest.raises(AppError):
        await house.turns(ScriptedProvider(*saying("x"))).begin("b", replace(page, message_id="u1"))
    with pytest.raises(InvalidRequest):
        await house.turns(ScriptedProvider(*saying("x"))).begin("b", replace(question(), approvals=answers))
    assert ran == [ROME]


async def test_a_new_question_supersedes_what_is_open(desk, ran):
    await desk.post(SteppedProvider(calling(WEATHER)))
    waiting = list(desk.messages)
    desk.say("never mind")
    provider = ScriptedProvider(*saying("Fine."))
    await desk.post(provider)
    assert results(provider.requests[0])["call_000001"].is_error
    assert ran == []
    assert ((await desk.record("call_000001")).state, (await desk.record("call_000001")).error_text) == (
        "denied",
        SUPERSEDED,
    )
    stored = (await desk.house.store.load("b")).messages
    assert [message.role for message in stored] == ["user", "assistant", "user", "assistant"]
    assert stored[1].parts[1].state == "output-denied", "no card asks for what nobody is asked any more"
    desk.messages = waiting
    desk.answer("call_000001", approved=True)
    with pytest.raises(ApprovalRefused):
        await desk.post(ScriptedProvider(*saying("x")))
    assert len((await desk.house.store.load("b")).messages) == 4
    assert ran == []


async def test_the_answer_to_continue_may_be_named_though_the_user_typed_on(house, ran):
    desk = new_desk(house, ran)
    await desk.post(SteppedProvider(calling(WEATHER)))
    desk.answer("call_000001", approved=True)
    typed = (*desk.messages, question("and?", "u9").messages[0])
    provider = ScriptedProvider(*saying("x"))
    run = await house.turns(provider).begin("b", desk.request(*typed, message_id=desk.messages[-1].id))
    assert run.message_id == desk.messages[-1].id
    await house.events(run)
    assert ran == [ROME]


async def test_two_requests_are_answered_one_by_one(desk, ran):
    await desk.post(SteppedProvider(calling(WEATHER, ("call_000002", "weather", {"city": "Oslo"}))))
    desk.answer("call_000001", approved=True)
    provider = ScriptedProvider(*saying("x"))
    events = await desk.post(provider)
    assert kinds(events) == [MessageStart, ToolApprovalResponse, ToolOutputAvailable, MessageFinish]
    assert events[-1].reason == "tool-calls"
    assert provider.requests == []
    assert ran == [ROME]
    desk.answer("call_000002", approved=True)
    await desk.post(provider)
    assert ran == [ROME, {"city": "Oslo"}]
    assert len(results(provider.requests[0])) == 2


async def test_beside_a_call_that_waits_the_others_run(desk, ran):
    events = await desk.post(SteppedProvider(calling(WEATHER, ("call_000002", "clock", {"city": "Oslo"}))))
    assert ran == [{"city": "Oslo"}]
    assert ToolOutputAvailable("call_000002", "done") in events
    assert events[-1].reason == "tool-calls"


async def test_a_tool_that_is_gone_when_the_yes_comes_is_not_run(desk, ran):
    await desk.post(SteppedProvider(calling(WEATHER)))
    del desk.house.box.by_name["weather"]
    desk.answer("call_000001", approved=True)
    events = await desk.post(ScriptedProvider(*saying("x")))
    assert any(isinstance(event, ToolOutputError) for event in events)
    assert (await desk.record("call_000001")).state == "failed"


# Clients that know no requests for approval


async def test_an_older_client_is_given_a_call_of_confirm_instead(house, ran):
    desk = new_desk(house, ran, shows_approvals=False)
    events = await desk.post(SteppedProvider(calling(WEATHER)))
    assert kinds(events) == [MessageStart, StepStart, ToolInputAvailable, StepFinish, MessageFinish]
    confirm = events[2]
    assert (confirm.tool_name, confirm.input) == (
        "confirm",
        {"toolName": "weather", "input": ROME, "toolCallId": "call_000001"},
    )
    desk.change(confirm.tool_call_id, state="output-available", output={"approved": True})
    provider = ScriptedProvider(*saying("Clear."))
    events = await desk.post(provider)
    assert kinds(events) == [
        MessageStart, ToolInputAvailable, ToolApprovalRequest, ToolApprovalResponse, ToolOutputAvailable, StepStart,
        TextStart, TextDelta, TextEnd, StepFinish, MessageFinish,
    ]  # fmt: skip
    assert ran == [ROME]
    assert list(results(provider.requests[0])) == ["call_000001"], "the model knows nothing of `confirm`"
    assert "repairs" not in events[-1].metadata
    assert [part.type for part in desk.messages[-1].parts] == [
        "step-start", "tool-confirm", "tool-weather", "step-start", "text",
    ]  # fmt: skip
    assert desk.messages[-1].parts == (await house.store.load("b")).messages[-1].parts


@pytest.mark.parametrize("output", [{"approved": "true"}, "yes", None, {}, ["approved"], 1])
async def test_an_answer_that_is_neither_yes_nor_no_leaves_the_question_open(house, ran, output):
    desk = new_desk(house, ran, shows_approvals=False)
    events = await desk.post(SteppedProvider(calling(WEATHER)))
    desk.change(events[2].tool_call_id, state="output-available", output=output)
    with pytest.raises(InvalidRequest, match="approved"):
        await desk.post(ScriptedProvider(*saying("x")))
    desk.change(events[2].tool_call_id, state="output-available", output={"approved": True})
    await desk.post(ScriptedProvider(*saying("x")))
    assert ran == [ROME]


@pytest.mark.parametrize("output", [{"approved": False}, False])
async def test_a_clear_no_is_one(house, ran, output):
    desk = new_desk(house, ran, shows_approvals=False)
    events = await desk.post(SteppedProvider(calling(WEATHER)))
    desk.change(events[2].tool_call_id, state="output-available", output=output)
    events = await desk.post(ScriptedProvider(*saying("x")))
    assert ToolOutputDenied("call_000001") in events
    assert ran == []


async def test_confirm_counts_once(house, ran):
    desk = new_desk(house, ran, shows_approvals=False)
    events = await desk.post(SteppedProvider(calling(WEATHER)))
    desk.change(events[2].tool_call_id, state="output-available", output={"approved": True})
    again = list(desk.messages)
    provider = ScriptedProvider(*saying("x"))
    await desk.post(provider)
    desk.messages = again
    await desk.post(provider)
    assert ran == [ROME]
    assert len(provider.requests) == 1, "the same POST again is the same run"


async def test_a_confirm_that_is_answered_on_the_page_is_answered(house, ran):
    desk = new_desk(house, ran, shows_approvals=False)
    events = await desk.post(SteppedProvider(calling(WEATHER)))
    answers = (ApprovalAnswer((await desk.record("call_000001")).approval_id, approved=False),)
    page = TurnRequest((), message_only=True, message_id=events[0].message_id, approvals=answers)
    await house.events(await house.turns(ScriptedProvider(*saying("x"))).begin("b", page))
    desk.change(events[2].tool_call_id, state="output-available", output={"approved": True})
    await desk.post(ScriptedProvider(*saying("x")))
    assert ran == []
    assert (await desk.record(events[2].tool_call_id)).output == {"approved": False}


async def test_confirmed_calls_keep_their_order(house, ran):
    desk = new_desk(house, ran, shows_approvals=False)
    events = await desk.post(SteppedProvider(calling(("call_000002", "weather", {"city": "Oslo"}), WEATHER)))
    for confirm in events[2:4]:
        desk.change(confirm.tool_call_id, state="output-available", output={"approved": True})
    provider = ScriptedProvider(*saying("x"))
    await desk.post(provider)
    assert list(results(provider.requests[0])) == ["call_000002", "call_000001"]


async def test_a_confirm_that_is_left_open_is_a_call_that_the_user_did_not_allow(house, ran):
    desk = new_desk(house, ran, shows_approvals=False)
    await desk.post(SteppedProvider(calling(WEATHER)))
    desk.say("never mind")
    provider = ScriptedProvider(*saying("Fine."))
    await desk.post(provider)
    assert results(provider.requests[0])["call_000001"].is_error
    assert ran == []


async def test_no_client_puts_a_confirm_of_its_own_before_the_model(house, ran):
    desk = new_desk(house, ran, shows_approvals=False, tools=(ToolSpec("confirm", "", {"type": "object"}), ASK_USER))
    provider = ScriptedProvider(*saying("x"))
    await desk.post(provider)
    assert [spec.name for spec in provider.requests[0].tools] == ["weather", "clock", "ask_user"]


# Tools that the client runs


@pytest.fixture
def client(house, ran):
    return new_desk(house, ran, tools=(ASK_USER,))


async def test_a_clients_tool_ends_the_turn_and_its_output_goes_on_with_it(client):
    events = await client.post(SteppedProvider(calling(("call_000001", "ask_user", {"text": "Tea?"}))))
    assert kinds(events) == [
        MessageStart, StepStart, ToolInputStart, ToolInputDelta, ToolInputAvailable, StepFinish, MessageFinish,
    ]  # fmt: skip
    assert (await client.record("call_000001")).state == "open"
    client.change("call_000001", state="output-available", output={"answer": "tea"})
    provider = ScriptedProvider(*saying("Tea it is."))
    events = await client.post(provider)
    assert kinds(events) == [MessageStart, StepStart, TextStart, TextDelta, TextEnd, StepFinish, MessageFinish]
    assert results(provider.requests[0])["call_000001"].output == {"answer": "tea"}
    assert (await client.stored("call_000001")).output == {"answer": "tea"}
    assert client.messages[-1].parts == (await client.house.store.load("b")).messages[-1].parts


async def test_a_clients_tool_may_fail(client):
    await client.post(SteppedProvider(calling(("call_000001", "ask_user", {}))))
    client.change("call_000001", state="output-error", errorText="Nobody is there.")
    provider = ScriptedProvider(*saying("x"))
    await client.post(provider)
    result = results(provider.requests[0])["call_000001"]
    assert (result.output, result.is_error) == ("Nobody is there.", True)


async def test_an_output_counts_once(client):
    await client.post(SteppedProvider(calling(("call_000001", "ask_user", {}))))
    client.change("call_000001", state="output-available", output="tea")
    await client.post(ScriptedProvider(*saying("x")))
    client.change("call_000001", state="output-available", output="coffee")
    client.say("sure?")
    provider = ScriptedProvider(*saying("x"))
    await client.post(provider)
    assert results(provider.requests[0])["call_000001"].output == "tea"


async def test_the_output_of_a_servers_tool_is_the_servers(client, ran):
    await client.post(SteppedProvider(calling(("call_000001", "clock", ROME)), saying("x")))
    client.change("call_000001", output="FORGED", input={"city": "Moscow"})
    client.say("sure?")
    provider = ScriptedProvider(*saying("x"))
    await client.post(provider)
    assert "FORGED" not in str(provider.requests[0])
    assert "Moscow" not in str(provider.requests[0])


async def test_no_output_runs_a_call_that_waits_for_a_yes(client, ran):
    await client.post(SteppedProvider(calling(WEATHER)))
    client.change("call_000001", state="output-available", output="FORGED")
    provider = ScriptedProvider(*saying("x"))
    events = await client.post(provider)
    assert kinds(events) == [MessageStart, MessageFinish]
    assert provider.requests == []
    assert ran == []


async def test_in_a_mixed_step_the_server_does_its_part_at_once(client, ran):
    calls = calling(("call_000001", "ask_user", {}), ("call_000002", "clock", ROME))
    events = await client.post(SteppedProvider(calls))
    assert ToolOutputAvailable("call_000002", "done") in events
    assert kinds(events)[-2:] == [StepFinish, MessageFinish]
    assert events[-1].reason == "tool-calls"
    client.change("call_000001", state="output-available", output="tea")
    provider = ScriptedProvider(*saying("x"))
    await client.post(provider)
    assert [result.output for result in results(provider.requests[0]).values()] == ["tea", "done"]
    assert ran == [ROME]


async def test_a_question_instead_of_an_output_supersedes_the_call(client):
    await client.post(SteppedProvider(calling(("call_000001", "ask_user", {}))))
    client.say("never mind")
    provider = ScriptedProvider(*saying("x"))
    await client.post(provider)
    assert results(provider.requests[0])["call_000001"].is_error
    assert (await client.house.store.load("b")).messages[1].parts[1].state == "output-error"


async def test_a_client_without_ids_goes_on_by_its_call(client):
    events = await client.post(SteppedProvider(calling(("call_000001", "ask_user", {}))))
    client.change("call_000001", state="output-available", output="tea")
    minted = [message.model_copy(update={"id": f"m{i}"}) for i, message in enumerate(client.messages)]
    request = client.request(*minted, minted=frozenset({"m0", "m1"}))
    provider = ScriptedProvider(*saying("x"))
    run = await client.house.turns(provider).begin("b", request)
    assert run.message_id == events[0].message_id
    await client.house.events(run)
    assert results(provider.requests[0])["call_000001"].output == "tea"


async def test_the_last_message_alone_is_enough(client):
    await client.post(SteppedProvider(calling(("call_000001", "ask_user", {}))))
    client.change("call_000001", state="output-available", output="tea")
    provider = ScriptedProvider(*saying("x"))
    request = client.request(client.messages[-1], message_only=True)
    await client.house.events(await client.house.turns(provider).begin("b", request))
    assert results(provider.requests[0])["call_000001"].output == "tea"


async def test_a_long_output_of_a_client_is_cut(client):
    await client.post(SteppedProvider(calling(("call_000001", "ask_user", {}))))
    client.change("call_000001", state="output-available", output="x" * 1_000_000)
    provider = ScriptedProvider(*saying("x"))
    await client.post(provider)
    assert len(results(provider.requests[0])["call_000001"].output) < 101_000


async def test_a_tool_of_the_clients_never_takes_the_place_of_the_servers(house, ran):
    desk = new_desk(house, ran, tools=(ToolSpec("clock", "Mine.", {"type": "object"}),))
    provider = SteppedProvider(calling(("call_000001", "clock", ROME)), saying("x"))
    await desk.post(provider)
    assert [spec.description for spec in provider.requests[0].tools] == ["The weather.", "The clock."]
    assert ran == [ROME]


async def test_a_schema_that_is_none_is_refused_before_anything_happens(house, ran):
    desk = new_desk(house, ran, tools=(ToolSpec("mine", "", {"type": "object", "required": 7}),))
    provider = ScriptedProvider(*saying("x"))
    with pytest.raises(InvalidRequest) as refused:
        await desk.post(provider)
    assert refused.value.param == "tools[0].parameters"
    assert await house.store.load("b") is None


async def test_a_temporary_conversation_asks_and_goes_on_too(house, ran):
    desk = new_desk(house, ran, tools=(ASK_USER,))
    provider = SteppedProvider(calling(WEATHER, ("call_000002", "ask_user", {})), saying("x"))
    turns = house.turns(provider)
    asked = await house.events(await turns.begin("b", desk.request(store=False)))
    desk.messages.append(fold(None, asked))
    desk.answer("call_000001", approved=True)
    desk.change("call_000002", state="output-available", output="tea")
    await house.events(await turns.begin("b", desk.request(store=False)))
    assert ran == [ROME]
    assert {result.output for result in results(provider.requests[1]).values()} == {"done", "tea"}
    assert await house.store.load("b") is None
    with pytest.raises(ApprovalRefused):
        await turns.begin("b", desk.request(store=False))


async def test_whoever_attaches_to_a_continued_answer_is_told_all_of_it(client):
    await client.post(SteppedProvider(calling(("call_000001", "ask_user", {}))))
    client.change("call_000001", state="output-available", output="tea")
    run = await client.house.turns(ScriptedProvider(*saying("x"))).begin("b", client.request())
    replayed = await client.house.replayed(run)
    assert [part.type for part in fold(None, replayed).parts] == ["step-start", "tool-ask_user", "step-start", "text"]
    assert not any(isinstance(event, ToolInputAvailable) for event in replayed), "that would run the tool again"


async def test_an_approval_whose_model_call_fails_is_kept_and_can_be_gone_on_with(desk, ran):
    await desk.post(SteppedProvider(calling(WEATHER)))
    desk.answer("call_000001", approved=True)
    await desk.post(ScriptedProvider(RuntimeError("boom")))
    assert (await desk.stored("call_000001")).state == "output-available"
    provider = ScriptedProvider([ModelFinish("stop", Usage())])
    await desk.post(provider)
    assert ran == [ROME]
    assert results(provider.requests[0])["call_000001"].output == "done"


async def test_a_tool_of_the_configuration_that_front_ends_run_needs_no_declaration(house, ran):
    desk = new_desk(house, ran)
    house.box.by_name["ask_user"] = Tool(ASK_USER, None)
    await desk.post(SteppedProvider(calling(("call_000001", "ask_user", {}))))
    assert ((await desk.record("call_000001")).runs, (await desk.record("call_000001")).state) == ("client", "open")


async def test_a_client_is_told_nothing_of_calls_that_it_does_not_have(desk, ran):
    await desk.post(SteppedProvider(calling(WEATHER, ("call_000002", "clock", ROME))))
    record = await desk.record("call_000001")
    await desk.house.ledger.put("b", [record.settled("denied")])
    wire = desk.messages[-1].to_wire()
    wire["parts"] = [{"type": "text", "text": "An older copy."}]
    desk.messages[-1] = parse_messages([wire])[0]
    events = await desk.post(ScriptedProvider(*saying("x")))
    assert kinds(events)[:2] == [MessageStart, StepStart]
    assert (await desk.stored("call_000001")).state == "output-denied"


async def test_a_client_with_an_older_copy_waits_for_nobody(house, ran):
    desk = new_desk(house, ran, shows_approvals=False)
    await desk.post(SteppedProvider(calling(WEATHER)))
    wire = desk.messages[-1].to_wire()
    wire["parts"] = [{"type": "text", "text": "An older copy."}]
    desk.messages[-1] = parse_messages([wire])[0]
    events = await desk.post(ScriptedProvider(*saying("x")))
    assert kinds(events)[:2] == [MessageStart, StepStart]
    assert ran == []


async def test_a_question_supersedes_also_what_the_client_does_not_send_along(desk, ran):
    await desk.post(SteppedProvider(calling(WEATHER)))
    waiting = list(desk.messages)
    turns = desk.house.turns(ScriptedProvider(*saying("x")))
    alone = replace(question("never mind", "u2"), message_only=True)
    await desk.house.events(await turns.begin("b", replace(alone, message_only=True)))
    assert (await desk.record("call_000001")).state == "denied"
    desk.messages = waiting
    desk.answer("call_000001", approved=True)
    with pytest.raises(ApprovalRefused):
        await desk.post(ScriptedProvider(*saying("x")))


async def test_a_confirmed_call_keeps_its_place_among_the_calls_of_its_step(house, ran):
    desk = new_desk(house, ran, shows_approvals=False)
    events = await desk.post(SteppedProvider(calling(("call_000002", "clock", {"city": "Oslo"}), WEATHER)))
    confirm = next(event for event in events if isinstance(event, ToolInputAvailable) and event.tool_name == "confirm")
    desk.change(confirm.tool_call_id, state="output-available", output={"approved": True})
    provider = SteppedProvider(calling(("call_000003", "clock", {"city": "Bern"})), saying("x"))
    await desk.post(provider)
    assert list(results(provider.requests[0])) == ["call_000002", "call_000001"]
    assert list(results(provider.requests[1])) == ["call_000002", "call_000001", "call_000003"]
    assert provider.requests[1].messages[: len(provider.requests[0].messages)] == provider.requests[0].messages
