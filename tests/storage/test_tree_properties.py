"""What holds for any sequence of saves and answers: nothing vanishes, a merge takes nothing away."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.messages import UIMessage
from app.storage.sqlite import SqliteStore
from tests.storage.messages import message

pytestmark = pytest.mark.anyio

ROLES = {"u": "user", "a": "assistant", "r": "assistant"}
IDS = [f"{kind}{n}" for kind in ROLES for n in range(4)]
"""Users' messages, answers that clients make, answers of the server."""

messages = st.builds(
    lambda message_id, text: message(ROLES[message_id[0]], message_id, text),
    st.sampled_from(IDS),
    st.sampled_from("xy"),
)
histories = st.lists(messages, min_size=1, max_size=6, unique_by=lambda message: message.id)
saves = st.tuples(st.sampled_from(["merge", "branch"]), histories)
answers = st.tuples(
    st.sampled_from(["streaming", "complete"]),
    st.sampled_from([None, *IDS]),
    st.builds(lambda n, text: message("assistant", f"r{n}", text), st.integers(0, 3), st.sampled_from("xyz")),
)
choices = st.tuples(st.integers(0, 20))
blocks = count()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(saves, answers, choices), min_size=1, max_size=10))
async def test_nothing_vanishes(store: SqliteStore, steps: list[tuple]) -> None:
    block_id = f"b{next(blocks)}"
    said: set[tuple[str, str]] = set()
    for step in steps:
        before, known = await _shown(store, block_id), await _stored(store, block_id)
        if len(step) == 1:
            if branches := [branch for place in await store.branches(block_id) for branch in place] if before else []:
                branch = branches[step[0] % len(branches)]
                chosen = [each.id for each in (await store.choose(block_id, branch.handle)).messages]
                assert branch.message_id in chosen
                assert await _stored(store, block_id) == known
        elif len(step) == 2:
            placement, history = step
            saved = await store.save(block_id, history, placement=placement)
            assert await store.save(block_id, history, placement=placement) == saved
            said |= {(each.id, each.text) for each in history if each.id[0] != "r"}
            check = _check_merge if placement == "merge" else _check_branch
            check(history, before, await _shown(store, block_id), {message_id for message_id, _ in known})
        else:
            status, parent_id, answer = step
            await store.put_answer(block_id, parent_id, answer, status)
            assert set(before) - {answer.id} <= set(await _shown(store, block_id))
        stored, shown = await _stored(store, block_id), await _shown(store, block_id)
        assert said <= stored
        assert {message_id for message_id, _ in known} <= {message_id for message_id, _ in stored}
        assert len(shown) == len(set(shown))


def _check_merge(history: list[UIMessage], before: list[str], after: list[str], known: set[str]) -> None:
    unknown = [each for each in history if each.id not in known]
    gone = set(before) - set(after)
    assert {each.id for each in unknown} <= set(after)
    assert all(message_id[0] in "ar" for message_id in gone)
    assert len(gone) <= sum(each.role == "assistant" for each in unknown)
    assert [message_id for message_id in before if message_id not in gone] == [
        message_id for message_id in after if message_id in before
    ]


def _check_branch(history: list[UIMessage], before: list[str], after: list[str], known: set[str]) -> None:
    named = [each.id for each in history]
    shown = [message_id for message_id in named if message_id in after]
    assert all(message_id[0] == "r" for message_id in set(named) - set(shown))  # in flight
    assert after[len(after) - len(shown) :] == shown
    if named[0] not in known:
        assert after == shown


async def _shown(store: SqliteStore, block_id: str) -> list[str]:
    loaded = await store.load(block_id)
    return [each.id for each in loaded.messages] if loaded is not None else []


async def _stored(store: SqliteStore, block_id: str) -> set[tuple[str, str]]:
    rows = await store._database.read(
        "SELECT id, text FROM messages WHERE block_id = :block_id", {"block_id": block_id}
    )
    return {(row[0], row[1]) for row in rows}
