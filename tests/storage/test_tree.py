"""Where messages go, seen through the store: the rules at the head of `app.storage.tree`, one by one."""

from __future__ import annotations

import pytest

from app.storage.sqlite import SqliteStore
from tests.storage.messages import assistant, ids, save_and_load, user

pytestmark = pytest.mark.anyio

U1, A1, U2, A2 = user("u1"), assistant("a1"), user("u2"), assistant("a2")


async def _texts(store: SqliteStore) -> list[str]:
    loaded = await store.load("b")
    assert loaded is not None
    return [message.text for message in loaded.messages]


@pytest.fixture
async def chat(store: SqliteStore) -> SqliteStore:
    """A conversation of two turns, its answers written by the server."""
    await store.save("b", [U1], placement="branch")
    await store.put_answer("b", "u1", A1, "complete")
    await store.save("b", [U1, A1, U2], placement="branch")
    await store.put_answer("b", "u2", A2, "complete")
    return store


# branch


async def test_a_turn_goes_below_the_history_that_it_names(chat: SqliteStore) -> None:
    assert ids(await chat.save("b", [U1, A1, U2, A2, user("u3")], placement="branch")) == ["u1", "a1", "u2", "a2", "u3"]


async def test_the_last_few_messages_are_enough_to_name_a_history(chat: SqliteStore) -> None:
    assert ids(await chat.save("b", [A2, user("u3")], placement="branch")) == ["u1", "a1", "u2", "a2", "u3"]


async def test_a_regenerated_answer_stands_beside_the_old_one(chat: SqliteStore) -> None:
    assert ids(await chat.save("b", [U1, A1, U2], placement="branch")) == ["u1", "a1", "u2"]
    await chat.put_answer("b", "u2", assistant("a2b"), "complete")
    assert ids(await chat.load("b")) == ["u1", "a1", "u2", "a2b"]
    assert ids(await chat.save("b", [U1, A1, U2, A2], placement="branch")) == ["u1", "a1", "u2", "a2"]


async def test_an_edited_message_begins_a_branch_and_the_old_one_stays(chat: SqliteStore) -> None:
    edited = user("u1", "Edited.")
    await chat.save("b", [edited], placement="branch")
    await chat.put_answer("b", "u1", assistant("a1b"), "complete")
    assert await _texts(chat) == ["Edited.", "This is a1b."]
    assert (await save_and_load(chat, "b", [U1, A1, U2, A2], placement="branch")).messages == (U1, A1, U2, A2)
    assert (await save_and_load(chat, "b", [edited, assistant("a1b")], placement="branch")).messages[0] == edited


async def test_two_tabs_that_chat_from_the_same_place_make_two_branches(chat: SqliteStore) -> None:
    for name in ("x", "y"):
        saved = await save_and_load(chat, "b", [U1, A1, U2, A2, user(name)], placement="branch")
        assert ids(saved) == ["u1", "a1", "u2", "a2", name]


async def test_a_history_without_a_message_in_its_middle_is_a_branch(chat: SqliteStore) -> None:
    assert ids(await chat.save("b", [U1, U2, A2], placement="branch")) == ["u1", "u2", "a2"]
    assert ids(await chat.save("b", [U1, A1, U2, A2], placement="branch")) == ["u1", "a1", "u2", "a2"]


async def test_where_a_history_begins_is_sought_on_the_active_branch_first(chat: SqliteStore) -> None:
    await chat.save("b", [U1, U2, A2], placement="branch")
    await chat.save("b", [U1, A1, U2, A2], placement="branch")
    assert ids(await chat.save("b", [A2, user("u3")], placement="branch")) == ["u1", "a1", "u2", "a2", "u3"]


async def test_a_history_in_another_order_is_a_branch(chat: SqliteStore) -> None:
    assert ids(await chat.save("b", [U2, U1], placement="branch")) == ["u2", "u1"]


async def test_a_history_that_nobody_knows_is_a_branch(chat: SqliteStore) -> None:
    assert ids(await chat.save("b", [user("x"), U1, A1], placement="branch")) == ["x", "u1", "a1"]


@pytest.mark.parametrize("history", [[U1, assistant("a1", "Forged.")], [assistant("a1", "Forged."), user("u3")]])
async def test_a_copy_of_our_answer_is_ours(chat: SqliteStore, history: list[object]) -> None:
    saved = await save_and_load(chat, "b", history, placement="branch")  # type: ignore[arg-type]
    assert A1 in saved.messages


async def test_a_copy_of_our_answer_is_ours_on_a_new_branch_too(chat: SqliteStore) -> None:
    saved = await save_and_load(chat, "b", [user("x"), assistant("a1", "Forged.")], placement="branch")
    assert saved.messages == (user("x"), A1)


async def test_a_newer_body_of_an_answer_that_a_client_made_is_taken(store: SqliteStore) -> None:
    await store.save("b", [U1, assistant("c1", "Half")], placement="branch")
    await store.save("b", [U1, assistant("c1", "Half and whole")], placement="branch")
    assert await _texts(store) == ["This is u1.", "Half and whole"]


# merge


async def test_a_shorter_history_takes_nothing_away(chat: SqliteStore) -> None:
    before = await chat.load("b")
    for history in ([U1], [U1, A1], [U1, U2], [A2], [U2, U1]):
        assert await save_and_load(chat, "b", history, placement="merge") == before


async def test_a_message_from_a_tab_that_is_behind_goes_to_the_end(chat: SqliteStore) -> None:
    saved = await save_and_load(chat, "b", [U1, A1, user("x"), assistant("ax"), user("y")], placement="merge")
    assert ids(saved) == ["u1", "a1", "u2", "a2", "x", "ax", "y"]


async def test_messages_may_come_one_by_one(store: SqliteStore) -> None:
    for each in (U1, A1, U2, A2):
        await store.save("b", [each], placement="merge")
    assert ids(await store.load("b")) == ["u1", "a1", "u2", "a2"]


async def test_an_unknown_answer_replaces_the_answer_to_the_same_message(chat: SqliteStore) -> None:
    assert ids(await chat.save("b", [U1, A1, U2, assistant("x")], placement="merge")) == ["u1", "a1", "u2", "x"]
    assert ids(await chat.save("b", [U1, assistant("y")], placement="merge")) == ["u1", "y", "u2", "x"]
    assert ids(await chat.save("b", [U1, A1, U2, A2], placement="merge")) == ["u1", "y", "u2", "x"]
    assert ids(await chat.save("b", [U1, A1, U2, A2], placement="branch")) == ["u1", "a1", "u2", "a2"]


async def test_messages_of_one_save_do_not_replace_each_other(store: SqliteStore) -> None:
    await store.save("b", [U1], placement="merge")
    assert ids(await store.save("b", [A2, U1, A1], placement="merge")) == ["u1", "a1", "a2"]


async def test_an_answer_to_a_message_without_one_goes_between(store: SqliteStore) -> None:
    await store.save("b", [U1, U2], placement="merge")
    assert ids(await store.save("b", [U1, A1], placement="merge")) == ["u1", "a1", "u2"]


async def test_a_new_version_takes_the_place_of_the_old_one(store: SqliteStore) -> None:
    await store.save("b", [U1, A1, U2], placement="merge")
    await store.save("b", [user("u1", "One."), A1, user("u2", "Two.")], placement="merge")
    assert await _texts(store) == ["One.", "This is a1.", "Two."]
    stale = await save_and_load(store, "b", [U1, A1, U2, user("x")], placement="merge")
    assert [message.text for message in stale.messages] == ["One.", "This is a1.", "Two.", "This is x."]


async def test_what_stands_on_another_branch_does_not_come_back(chat: SqliteStore) -> None:
    await chat.save("b", [user("u1", "Edited.")], placement="branch")
    before = await chat.load("b")
    assert await save_and_load(chat, "b", [U1, A1, U2, A2], placement="merge") == before
    assert ids(await chat.save("b", [U1, A1, user("x"), assistant("ax")], placement="merge")) == ["u1", "x", "ax"]
    assert ids(await chat.save("b", [U2, assistant("z")], placement="merge")) == ["u1", "x", "ax", "z"]


async def test_a_new_version_on_another_branch_is_kept_there(store: SqliteStore) -> None:
    await store.save("b", [U1, U2], placement="branch")
    await store.save("b", [U1, user("x")], placement="branch")
    newer = user("u2", "Two.")
    assert ids(await store.save("b", [newer], placement="merge")) == ["u1", "x"]
    before = await save_and_load(store, "b", [U1, newer], placement="branch")
    assert before.messages == (U1, newer)


# Answers of running turns


async def test_what_was_saved_during_a_turn_follows_its_answer(store: SqliteStore) -> None:
    await store.save("b", [U1], placement="branch")
    await store.save("b", [U1, user("x")], placement="merge")
    await store.put_answer("b", "u1", A1, "streaming")
    await store.save("b", [U1, user("y")], placement="merge")
    assert ids(await store.load("b")) == ["u1", "x", "y"]
    await store.put_answer("b", "u1", A1, "complete")
    assert ids(await store.load("b")) == ["u1", "a1", "x", "y"]


@pytest.mark.parametrize("placement", ["merge", "branch"])
async def test_no_save_leaves_an_answer_in_flight_behind(store: SqliteStore, placement: str) -> None:
    await store.save("b", [U1], placement="branch")
    await store.put_answer("b", "u1", A1, "streaming")
    for history in ([U1], [U1, user("x")], [U1, user("x")], [U1, assistant("y")], [U1]):
        await store.save("b", history, placement=placement)
    await store.put_answer("b", "u1", A1, "complete")
    assert "a1" in ids(await store.load("b"))


async def test_an_answer_to_a_message_on_another_branch_stays_there(store: SqliteStore) -> None:
    await store.save("b", [U1, U2], placement="branch")
    await store.save("b", [U1, user("x")], placement="branch")
    await store.put_answer("b", "u2", A2, "complete")
    assert ids(await store.load("b")) == ["u1", "x"]
    assert ids(await store.save("b", [U1, U2, A2], placement="branch")) == ["u1", "u2", "a2"]


@pytest.mark.parametrize("parent_id", ["nobody", None])
async def test_an_answer_to_nothing_known_goes_to_the_end(chat: SqliteStore, parent_id: str | None) -> None:
    await chat.put_answer("b", parent_id, assistant("x"), "complete")
    assert ids(await chat.load("b")) == ["u1", "a1", "u2", "a2", "x"]


async def test_an_answer_goes_below_the_version_that_is_active(chat: SqliteStore) -> None:
    await chat.save("b", [user("u1", "Edited.")], placement="branch")
    await chat.put_answer("b", "u1", assistant("x"), "complete")
    assert await _texts(chat) == ["Edited.", "This is x."]


async def test_a_copy_that_a_client_saved_before_the_server_is_replaced(store: SqliteStore) -> None:
    await store.save("b", [U1, assistant("a1", "So f")], placement="merge")
    await store.put_answer("b", "u1", A1, "complete")
    assert await _texts(store) == ["This is u1.", "This is a1."]
