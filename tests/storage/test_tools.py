"""The ledger of tool calls: what was written is what is read, once changed it stays changed, and it goes with its
conversation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from app.chat.ledger import MOST_CALLS, MOST_CHARACTERS, TemporaryLedger
from app.core.ports import ToolLedger
from app.core.tools import ToolRecord
from app.storage.sqlite import SqliteStore
from app.storage.tools import SqliteToolLedger
from tests.storage.messages import assistant, user

pytestmark = pytest.mark.anyio

RECORD = ToolRecord(
    tool_call_id="c1",
    message_id="a1",
    tool_name="weather",
    input={"city": "Zürich \ud83d", "n": [1, 2.5, None, True]},
    runs="server",
    state="asking",
    approval_id="p1",
    dynamic=True,
    call_metadata={"openai": {"itemId": "x"}},
)


@pytest.fixture
async def saved(store: SqliteStore) -> SqliteStore:
    await store.save("b", [user("u1"), assistant("a1"), user("u2"), assistant("a2")], placement="branch")
    return store


@pytest.fixture(params=[SqliteToolLedger, TemporaryLedger])
async def ledger(request: pytest.FixtureRequest, saved: SqliteStore) -> ToolLedger:
    kind: Callable[..., ToolLedger] = request.param
    return kind(saved.database) if kind is SqliteToolLedger else kind()


async def test_a_record_comes_back_as_it_was(ledger: ToolLedger) -> None:
    assert await ledger.records("b") == {}
    done = replace(
        RECORD, tool_call_id="c2", state="done", output={"x": [1]}, error_text=None, result_metadata={"a": {"b": 1}}
    )
    await ledger.put("b", [RECORD, done])
    assert await ledger.records("b") == {"c1": RECORD, "c2": done}
    assert await ledger.records("other") == {}


async def test_what_became_of_a_call_replaces_what_was(ledger: ToolLedger) -> None:
    await ledger.put("b", [RECORD])
    await ledger.put("b", [RECORD.settled("done", output="x")])
    assert await ledger.records("b") == {"c1": RECORD.settled("done", output="x")}


async def test_of_several_who_change_a_call_at_once_one_succeeds(ledger: ToolLedger) -> None:
    await ledger.put("b", [RECORD])
    changes = [replace(RECORD, state="approved"), RECORD.settled("denied", error_text="No.")]
    succeeded = await asyncio.gather(*(ledger.change("b", change, when="asking") for change in changes * 3))
    assert succeeded.count(True) == 1
    record = (await ledger.records("b"))["c1"]
    assert record == changes[succeeded.index(True) % 2]


async def test_a_call_that_is_not_there_is_not_changed(ledger: ToolLedger) -> None:
    assert not await ledger.change("b", RECORD, when="asking")
    assert not await ledger.change("nowhere", RECORD, when="asking")


async def test_the_same_id_in_another_conversation_is_another_call(saved: SqliteStore) -> None:
    ledger = SqliteToolLedger(saved.database)
    await saved.save("other", [user("u1")], placement="branch")
    await ledger.put("b", [RECORD])
    await ledger.put("other", [RECORD.settled("done", output=1)])
    assert not await ledger.change("other", RECORD, when="asking")
    assert (await ledger.records("b"))["c1"].state == "asking"


async def test_calls_go_with_their_conversation_and_do_not_bring_it_back(saved: SqliteStore) -> None:
    ledger = SqliteToolLedger(saved.database)
    await ledger.put("b", [RECORD])
    await saved.delete("b")
    assert await ledger.records("b") == {}
    await ledger.put("b", [RECORD])
    assert await ledger.records("b") == {}
    assert not await ledger.change("b", RECORD, when="asking")
    assert await saved.load("b") is None


async def test_a_fork_has_the_calls_of_the_messages_that_it_has(saved: SqliteStore) -> None:
    ledger = SqliteToolLedger(saved.database)
    later = replace(RECORD, tool_call_id="c2", message_id="a2")
    await ledger.put("b", [RECORD, later])
    await saved.fork("b", "whole")
    await saved.fork("b", "part", until="a1")
    assert await ledger.records("whole") == {"c1": RECORD, "c2": later}
    assert await ledger.records("part") == {"c1": RECORD}


async def test_temporary_conversations_are_forgotten_in_time() -> None:
    ledger = TemporaryLedger()
    for number in range(MOST_CALLS + 10):
        await ledger.put("b", [replace(RECORD, tool_call_id=str(number))])
    known = await ledger.records("b")
    assert len(known) == MOST_CALLS
    assert "0" not in known
    for number in range(600):
        await ledger.put(str(number), [RECORD])
    assert await ledger.records("b") == {}


async def test_temporary_conversations_remember_only_so_much() -> None:
    ledger = TemporaryLedger()
    long = replace(RECORD, state="done", output="x" * (MOST_CHARACTERS // 4))
    for _ in range(10):
        await ledger.put("a", [RECORD])
        await ledger.put("a", [long])
    assert (await ledger.records("a"))["c1"] == long, "what replaces it counts, not both"
    for block in "bcde":
        await ledger.put(block, [long])
    assert [block for block in "abcde" if await ledger.records(block)] == ["c", "d", "e"]
