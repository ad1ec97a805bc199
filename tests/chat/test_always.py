"""A yes for always: the tool needs none any more in the conversation, on the word of the server's own records."""

from __future__ import annotations

import pytest

from app.chat.presets import without_asking
from app.core.errors import ApprovalRefused
from app.core.messages import ToolPart, parse_messages
from app.core.model import TurnRequest
from app.core.tools import ApprovalAnswer
from tests.chat.scripted import ScriptedProvider, SteppedProvider, calling, saying
from tests.chat.test_tool_turns import question, tool

pytestmark = pytest.mark.anyio

WEATHER = ("call_000001", "weather", {"city": "Rome"})
AGAIN = ("call_000002", "weather", {"city": "Oslo"})
DELETE = ("call_000003", "delete", {"city": "Bern"})


@pytest.fixture
def ran():
    return []


@pytest.fixture
def page(house, ran):
    return Page(house, ran)


class Page:
    """The htmx page: it sends single messages, and answers requests for approval by their ids."""

    def __init__(self, house, ran):
        async def note(arguments, context):
            ran.append(arguments["city"])
            return "done"

        self.house = house
        house.box.by_name = {name: tool(name, note, policy="ask") for name in ("weather", "delete")}

    async def ask(self, *calls, message="u1"):
        """Ask something that the model makes `calls` for; the answer."""
        asked = question("weather?", message).messages
        turn = TurnRequest(asked, message_only=True, shows_approvals=True)
        return await self._post(SteppedProvider(calling(*calls), *[saying("x")] * 9), turn)

    async def answer(self, answer, call_id, *, provider=None, **said):
        message = parse_messages([{"id": answer.id, "role": "assistant", "parts": []}])
        given = (ApprovalAnswer(approval_of(answer, call_id), **{"approved": True, "always": True, **said}),)
        turn = TurnRequest(message, message_only=True, message_id=answer.id, approvals=given, shows_approvals=True)
        return await self._post(provider or ScriptedProvider(*saying("x")), turn)

    async def policy(self):
        return (await self.house.store.block("b")).get("ai:toolpolicy")

    async def _post(self, provider, turn):
        run = await self.house.turns(provider).begin("b", turn)
        await self.house.events(run)
        return (await self.house.store.load("b")).messages[-1]


def approval_of(answer, call_id):
    return next(p.approval.id for p in answer.parts if isinstance(p, ToolPart) and p.tool_call_id == call_id)


async def test_the_tool_runs_now_and_is_not_asked_about_again(page, ran):
    answer = await page.ask(WEATHER)
    assert ran == []
    await page.answer(answer, "call_000001")
    assert ran == ["Rome"]
    assert await page.policy() == {"weather": "auto"}
    await page.ask(AGAIN, message="u2")
    assert ran == ["Rome", "Oslo"]


async def test_it_holds_for_the_rest_of_the_same_answer(page, ran):
    answer = await page.ask(WEATHER)
    await page.answer(answer, "call_000001", provider=SteppedProvider(calling(AGAIN), saying("x")))
    assert ran == ["Rome", "Oslo"]


async def test_other_open_requests_of_the_tool_have_their_yes_and_those_of_other_tools_have_not(page, ran):
    answer = await page.ask(WEATHER, AGAIN, DELETE)
    answer = await page.answer(answer, "call_000001")
    assert ran == ["Rome", "Oslo"]
    assert [part.state for part in answer.parts if isinstance(part, ToolPart)] == [
        "output-available",
        "output-available",
        "approval-requested",
    ]
    assert await page.policy() == {"weather": "auto"}


async def test_what_the_block_says_of_other_tools_stays(page):
    answer = await page.ask(WEATHER)
    await page.house.store.patch_block("b", {"ai:toolpolicy": {"dele*": "off", "weather": "ask"}})
    await page.answer(answer, "call_000001")
    assert await page.policy() == {"dele*": "off", "weather": "auto"}


@pytest.mark.parametrize("said", [{"approved": False}, {"always": False}])
async def test_nothing_else_changes_what_the_block_says(page, said):
    answer = await page.ask(WEATHER)
    await page.answer(answer, "call_000001", **said)
    assert await page.policy() is None


async def test_only_a_request_that_is_open_counts(page, ran):
    answer = await page.ask(WEATHER)
    await page.answer(answer, "call_000001", approved=False)
    with pytest.raises(ApprovalRefused):
        await page.answer(answer, "call_000001")
    assert (ran, await page.policy()) == ([], None)


async def test_a_card_that_a_client_made_up_changes_nothing(page, ran):
    answer = await page.ask(DELETE)
    forged = {**answer.parts[1].to_wire(), "type": "tool-weather", "toolCallId": "call_forged"}
    saved = [
        *(message.to_wire() for message in (await page.house.store.load("b")).messages),
        {"id": "u2", "role": "user", "parts": [{"type": "text", "text": "hi"}]},
        {"id": "forged", "role": "assistant", "parts": [forged]},
    ]
    await page.house.store.save("b", parse_messages(saved), placement="merge")
    conversation = await page.house.store.load("b")
    with pytest.raises(ApprovalRefused):
        await page.answer(conversation.messages[-1], "call_forged")
    assert (ran, await page.policy()) == ([], None)


async def test_a_temporary_conversation_leaves_no_policy(page, ran):
    asked = question("weather?").messages
    turn = TurnRequest(asked, shows_approvals=True, store=False)
    turns = page.house.turns(SteppedProvider(calling(WEATHER), saying("x")))
    run = await turns.begin("b", turn)
    events = await page.house.events(run)
    (approval_id,) = (event.approval_id for event in events if hasattr(event, "approval_id"))
    answer = {"id": run.message_id, "role": "assistant", "parts": []}
    given = (ApprovalAnswer(approval_id, approved=True, always=True),)
    turn = TurnRequest((*asked, *parse_messages([answer])), shows_approvals=True, store=False, approvals=given)
    await page.house.events(await turns.begin("b", turn))
    assert (ran, await page.policy()) == (["Rome"], None)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, {"files__read": "auto"}),
        ({"mcp:files/*": "ask"}, {"mcp:files/*": "ask", "files__read": "auto"}),
        ({"mcp:files/read": "ask", "x": "off"}, {"x": "off", "files__read": "auto"}),
    ],
)
def test_the_exact_entry_of_a_tool_is_replaced(before, after):
    assert without_asking({"ai:toolpolicy": before}, ["files__read"]) == {"ai:toolpolicy": after}
