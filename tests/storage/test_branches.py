"""Other questions and other answers: listed, chosen, copied."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from app.core.conversations import Branch
from app.core.errors import AlreadyExists, InvalidRequest, NotFound
from app.storage.sqlite import SqliteStore
from tests.storage.messages import assistant, ids, save_and_load, user

pytestmark = pytest.mark.anyio


async def _tree(store: SqliteStore) -> None:
    """Two questions; the first has two answers, and one of those goes on."""
    await store.save("b", [user("u1", "first"), assistant("a1"), user("u2"), assistant("a2")], placement="merge")
    await store.save("b", [user("u1", "first"), assistant("a3")], placement="branch")
    await store.save("b", [user("u1", "second"), assistant("a4")], placement="branch")


def _shown(places: Sequence[Sequence[Branch]]) -> list[list[str]]:
    return [[("*" if branch.active else "") + branch.preview for branch in place] for place in places]


async def _handles(store: SqliteStore) -> dict[str, str]:
    return {branch.preview: branch.handle for place in await store.branches("b") for branch in place}


async def _choose(store: SqliteStore, preview: str) -> list[str]:
    return ids(await store.choose("b", (await _handles(store))[preview]))


# Listing


async def test_the_places_with_a_choice_are_listed_from_the_root_on(store: SqliteStore) -> None:
    await _tree(store)
    assert _shown(await store.branches("b")) == [["first", "*second"]]
    await _choose(store, "first")
    assert _shown(await store.branches("b")) == [["*first", "second"], ["This is a1.", "*This is a3."]]


async def test_a_branch_is_named_by_a_handle_since_an_edit_keeps_the_id(store: SqliteStore) -> None:
    await _tree(store)
    [[first, second]] = await store.branches("b")
    assert (first.message_id, second.message_id) == ("u1", "u1")
    assert first.handle != second.handle
    assert (first.role, first.created_at) == ("user", "2026-11-21T12:00:01.000000Z")


async def test_a_preview_is_one_short_line(store: SqliteStore) -> None:
    await store.save("b", [user("u1", " one\n\ttwo ")], placement="merge")
    await store.save("b", [user("u1", "word " * 1000)], placement="branch")
    [[short, long]] = await store.branches("b")
    assert short.preview == "one two"
    assert long.preview.endswith("word…")
    assert len(long.preview) <= 80


async def test_an_answer_in_flight_is_no_choice_yet(store: SqliteStore) -> None:
    await store.save("b", [user("u1"), assistant("a1")], placement="merge")
    await store.save("b", [user("u1")], placement="branch")
    await store.put_answer("b", "u1", assistant("a2"), "streaming")
    assert await store.branches("b") == []
    await store.put_answer("b", "u1", assistant("a2"), "complete")
    assert _shown(await store.branches("b")) == [["This is a1.", "*This is a2."]]


async def test_other_conversations_are_no_alternatives(store: SqliteStore) -> None:
    for block_id in ("a", "b"):
        await store.save(block_id, [user("u1")], placement="merge")
    assert await store.branches("b") == []


# Choosing


async def test_choosing_a_branch_shows_the_newest_below_it_and_loses_nothing(store: SqliteStore) -> None:
    await _tree(store)
    assert await _choose(store, "first") == ["u1", "a3"]
    assert await _choose(store, "This is a1.") == ["u1", "a1", "u2", "a2"]
    assert await _choose(store, "This is a3.") == ["u1", "a3"]
    assert await _choose(store, "second") == ["u1", "a4"]


async def test_choosing_is_a_change_but_does_not_make_a_conversation_the_newest(store: SqliteStore) -> None:
    await _tree(store)
    before = await store.load("b")
    assert before is not None
    chosen = await store.choose("b", (await _handles(store))["first"])
    assert (chosen.version, chosen.updated_at) == (before.version + 1, before.updated_at)
    assert await store.load("b") == chosen


async def test_choosing_what_is_active_changes_nothing(store: SqliteStore) -> None:
    await _tree(store)
    await store.save("b", [user("u1", "second")], placement="branch")  # the head stands before an answer
    before = await store.load("b")
    assert await store.choose("b", (await _handles(store))["second"]) == before


async def test_a_turn_goes_on_where_it_was_chosen_to(store: SqliteStore) -> None:
    await _tree(store)
    await _choose(store, "first")
    await _choose(store, "This is a1.")
    await store.save("b", [assistant("a2"), user("u5")], placement="branch")
    assert ids(await store.load("b")) == ["u1", "a1", "u2", "a2", "u5"]


async def test_an_answer_of_a_turn_stays_with_its_question(store: SqliteStore) -> None:
    """Somebody chose another branch between the question and the first word of the answer."""
    await _tree(store)
    await store.save("b", [user("u1", "second"), assistant("a4"), user("u6")], placement="branch")
    await _choose(store, "first")
    await store.put_answer("b", "u6", assistant("a6"), "complete")
    assert ids(await store.load("b")) == ["u1", "a3"]
    assert await _choose(store, "second") == ["u1", "a4", "u6", "a6"]


@pytest.mark.parametrize("branch", ["", "x", "-1", "1 ", "٣", "999999", "9" * 30])
async def test_a_handle_that_is_none_is_not_found(store: SqliteStore, branch: str) -> None:
    await _tree(store)
    before = await store.load("b")
    with pytest.raises(NotFound):
        await store.choose("b", branch)
    assert await store.load("b") == before


async def test_a_branch_of_another_conversation_is_not_found(store: SqliteStore) -> None:
    await _tree(store)
    await store.save("other", [user("u1")], placement="merge")
    with pytest.raises(NotFound):
        await store.choose("other", (await _handles(store))["first"])


async def test_what_is_no_conversation_has_no_branches(store: SqliteStore) -> None:
    await store.patch_block("metadata", {"title": "Soon"})
    for block_id in ("nothing", "metadata"):
        with pytest.raises(NotFound):
            await store.branches(block_id)
        with pytest.raises(NotFound):
            await store.choose(block_id, "1")
        with pytest.raises(NotFound):
            await store.fork(block_id, "copy")


# Forks


async def test_a_fork_is_the_active_branch_in_a_conversation_of_its_own(store: SqliteStore) -> None:
    await _tree(store)
    before = await store.load("b")
    assert before is not None
    fork = await store.fork("b", "copy")
    assert (fork.block_id, fork.title, fork.version) == ("copy", "first (copy)", 1)
    assert fork.messages == before.messages
    assert fork.created_at == fork.updated_at > before.updated_at
    assert await store.branches("copy") == []
    assert await store.load("b") == before
    await store.save("copy", [user("u9")], placement="merge")
    assert await store.load("b") == before
    await store.delete("b")
    assert ids(await store.load("copy")) == ["u1", "a4", "u9"]


async def test_a_fork_ends_with_the_message_that_is_named(store: SqliteStore) -> None:
    await store.save("b", [user("u1"), assistant("a1"), user("u2")], placement="merge")
    assert ids(await store.fork("b", "copy", until="a1")) == ["u1", "a1"]
    assert [item.message_count for item in (await store.page()).items] == [2, 3]


async def test_a_message_of_another_branch_is_none_to_fork_from(store: SqliteStore) -> None:
    await _tree(store)
    with pytest.raises(InvalidRequest) as raised:
        await store.fork("b", "copy", until="a1")
    assert raised.value.param == "messageId"
    assert await store.load("copy") is None


async def test_a_fork_has_the_model_settings_and_nothing_else_of_the_block(store: SqliteStore) -> None:
    await store.save("b", [user("u1")], placement="merge")
    await store.patch_block("b", {"ai:model": "m", "title": "Named", "pinned": True, "archived": True, "app:x": 1})
    assert (await store.fork("b", "copy")).title == "Named (copy)"
    assert await store.block("copy") == {"ai:model": "m"}


async def test_what_was_set_for_the_new_block_holds(store: SqliteStore) -> None:
    await store.save("b", [user("u1")], placement="merge")
    await store.patch_block("b", {"ai:model": "m", "ai:topp": 0.5})
    await store.patch_block("copy", {"ai:model": "mine", "title": "Mine"})
    assert (await store.fork("b", "copy")).title == "Mine"
    assert await store.block("copy") == {"ai:model": "mine", "ai:topp": 0.5, "title": "Mine"}


async def test_a_fork_overwrites_nothing(store: SqliteStore) -> None:
    for block_id in ("a", "b"):
        await store.save(block_id, [user("u1", block_id)], placement="merge")
    before = await store.load("a")
    with pytest.raises(AlreadyExists):
        await store.fork("b", "a")
    assert await store.load("a") == before


async def test_a_fork_leaves_out_the_answer_in_flight_and_keeps_ours_ours(store: SqliteStore) -> None:
    await store.save("b", [user("u1")], placement="merge")
    await store.put_answer("b", "u1", assistant("a1", "ours"), "complete")
    await store.save("b", [user("u2")], placement="merge")
    await store.put_answer("b", "u2", assistant("a2"), "streaming")
    assert ids(await store.fork("b", "copy")) == ["u1", "a1", "u2"]
    kept = await save_and_load(store, "copy", [user("u1"), assistant("a1", "a copy"), user("u2")], placement="branch")
    assert (kept.version, kept.messages[1].text) == (1, "ours")
