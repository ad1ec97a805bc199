"""The contract of `core.conversations.ConversationStore`, except for where messages go: that is `test_tree.py`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.core.errors import VersionConflict
from app.core.messages import UIMessage, parse_messages
from app.storage.sqlite import SqliteStore
from tests.storage.messages import Opened, assistant, ids, save_and_load, user

pytestmark = pytest.mark.anyio

STRANGE = parse_messages(
    [
        {
            "parts": [
                {"type": "text", "text": "Grüße \U0001f600", "state": None, "unknown": [1, None, {"b": 1, "a": 2}]},
                {"type": "data-weather", "id": None, "data": {"celsius": 21.5}},
                {"type": "reasoning-file", "url": "data:,x", "providerMetadata": None},
            ],
            "role": "user",
            "id": "u1",
            "metadata": None,
            "createdAt": "2026-11-21T12:00:00Z",
        },
        {
            "id": "a1",
            "role": "assistant",
            "parts": [
                {"type": "step-start"},
                {"type": "tool-search", "toolCallId": "c1", "state": "output-error", "input": None, "errorText": "no"},
                {"type": "custom", "kind": "x.y"},
            ],
            "metadata": {"usage": {"inputTokens": 1}, "deep": {"null": None}},
        },
    ]
)


async def test_what_was_saved_is_loaded(store: SqliteStore) -> None:
    saved = await save_and_load(store, "b", STRANGE, placement="merge")
    loaded = await store.load("b")
    assert loaded == saved
    assert loaded is not None
    assert [message.to_wire() for message in loaded.messages] == [message.to_wire() for message in STRANGE]


async def test_it_is_still_there_when_the_file_is_opened_again(store: SqliteStore, opened: Opened) -> None:
    saved = await save_and_load(store, "b", STRANGE, placement="merge")
    again = await opened()
    assert await again.load("b") == saved


async def test_half_a_character_is_no_reason_to_lose_a_message(store: SqliteStore) -> None:
    await store.save("b", [user("u1", "half \ud83d and whole \ud83d\ude00")], placement="merge")
    loaded = await store.load("b")
    assert loaded is not None
    assert loaded.messages[0].text == "half \ufffd and whole \U0001f600"


async def test_an_unknown_conversation_is_none(store: SqliteStore) -> None:
    assert await store.load("b") is None


async def test_a_save_of_nothing_changes_nothing(store: SqliteStore) -> None:
    assert (await store.save("b", [], placement="merge")).version == 0
    assert await store.load("b") is None
    saved = await save_and_load(store, "b", [user("u1")], placement="merge")
    for placement in ("merge", "branch"):
        assert await save_and_load(store, "b", [], placement=placement) == saved


@pytest.mark.parametrize("placement", ["merge", "branch"])
async def test_a_save_repeated_changes_nothing(store: SqliteStore, placement: str) -> None:
    history = [user("u1"), assistant("a1"), user("u2")]
    first = await save_and_load(store, "b", history, placement=placement)
    assert await save_and_load(store, "b", history, placement=placement) == first
    assert await store.load("b") == first


async def test_the_order_of_keys_is_no_change(store: SqliteStore) -> None:
    saved = await save_and_load(store, "b", STRANGE, placement="merge")
    turned = parse_messages([_turned(message.to_wire()) for message in STRANGE])
    assert await save_and_load(store, "b", turned, placement="branch") == saved


def _turned(value: object) -> object:
    if isinstance(value, dict):
        return {key: _turned(item) for key, item in reversed(value.items())}
    return [_turned(item) for item in value] if isinstance(value, list) else value


async def test_two_thousand_messages_are_all_there(store: SqliteStore) -> None:
    history = [user(f"m{n}") if n % 2 == 0 else assistant(f"m{n}") for n in range(2000)]
    saved = await save_and_load(store, "b", history, placement="merge")
    assert saved.messages == tuple(history)
    assert await store.load("b") == saved
    assert (await store.page()).items[0].message_count == 2000
    assert await store.delete("b")


# Versions


async def test_the_version_goes_up_with_every_change(store: SqliteStore) -> None:
    assert (await store.save("b", [user("u1")], placement="merge")).version == 1
    assert (await store.save("b", [user("u1"), assistant("a1")], placement="merge")).version == 2


async def test_the_times_are_those_of_the_first_and_the_last_change(store: SqliteStore) -> None:
    first = await save_and_load(store, "b", [user("u1")], placement="merge")
    assert first.created_at == first.updated_at == "2026-11-21T12:00:01.000000Z"
    second = await save_and_load(store, "b", [user("u1"), user("u2")], placement="merge")
    assert (second.created_at, second.updated_at) == (first.created_at, "2026-11-21T12:00:02.000000Z")


async def test_a_stale_version_is_refused_and_nothing_is_saved(store: SqliteStore) -> None:
    await store.save("b", [user("u1")], placement="merge")
    current = await save_and_load(store, "b", [user("u1"), user("u2")], placement="merge")
    for stale in (0, 1, 3):
        with pytest.raises(VersionConflict):
            await store.save("b", [user("other")], placement="branch", if_version=stale)
    assert await store.load("b") == current


async def test_the_current_version_is_accepted_and_may_remove_messages(store: SqliteStore) -> None:
    current = await save_and_load(store, "b", [user("u1"), user("u2")], placement="merge")
    shorter = await save_and_load(store, "b", [user("u1")], placement="branch", if_version=current.version)
    assert ids(shorter) == ["u1"]


async def test_version_0_means_that_it_must_not_exist(store: SqliteStore) -> None:
    await store.patch_block("b", {"ai:preset": "echo"})
    assert (await store.save("b", [user("u1")], placement="branch", if_version=0)).version == 1
    with pytest.raises(VersionConflict):
        await store.save("b", [user("u1")], placement="branch", if_version=0)
    with pytest.raises(VersionConflict):
        await store.save("new", [user("u1")], placement="branch", if_version=1)


# Answers


async def test_an_answer_goes_below_its_question(store: SqliteStore) -> None:
    await store.save("b", [user("u1")], placement="branch")
    answer = assistant("a1", "Yes.", metadata={"model": "m"})
    await store.put_answer("b", "u1", answer, "complete")
    loaded = await store.load("b")
    assert loaded is not None
    assert loaded.messages == (user("u1"), answer)


async def test_an_answer_in_flight_is_not_loaded_and_not_counted(store: SqliteStore) -> None:
    saved = await save_and_load(store, "b", [user("u1")], placement="branch")
    for text in ("Y", "Ye", "Yes"):
        await store.put_answer("b", "u1", assistant("a1", text), "streaming")
        loaded = await store.load("b")
        assert loaded is not None
        assert (loaded.messages, loaded.version) == (saved.messages, saved.version)
        assert (await store.page()).items[0].message_count == 1
    await store.put_answer("b", "u1", assistant("a1", "Yes."), "stopped")
    loaded = await store.load("b")
    assert loaded is not None
    assert [message.text for message in loaded.messages] == ["This is u1.", "Yes."]
    assert loaded.version == saved.version + 1


async def test_an_answer_put_twice_changes_nothing(store: SqliteStore) -> None:
    await store.save("b", [user("u1")], placement="branch")
    await store.put_answer("b", "u1", assistant("a1"), "complete")
    loaded = await store.load("b")
    await store.put_answer("b", "u1", assistant("a1"), "complete")
    assert await store.load("b") == loaded


async def test_an_answer_that_goes_on_is_in_flight_again(store: SqliteStore) -> None:
    await store.save("b", [user("u1")], placement="branch")
    await store.put_answer("b", "u1", assistant("a1", "Half"), "complete")
    await store.save("b", [user("u1"), assistant("a1", "Half")], placement="branch")
    await store.put_answer("b", "u1", assistant("a1", "Half and"), "streaming")
    assert ids(await store.load("b")) == ["u1"]
    await store.put_answer("b", "u1", assistant("a1", "Half and whole"), "complete")
    loaded = await store.load("b")
    assert loaded is not None
    assert [message.text for message in loaded.messages] == ["This is u1.", "Half and whole"]


async def test_a_deleted_conversation_does_not_come_back_with_its_answer(store: SqliteStore) -> None:
    await store.save("b", [user("u1")], placement="branch")
    await store.put_answer("b", "u1", assistant("a1"), "streaming")
    await store.delete("b")
    await store.patch_block("b", {"ai:model": "m"})
    await store.put_answer("b", "u1", assistant("a1"), "complete")
    assert await store.load("b") is None


async def test_an_answer_that_a_crash_cut_off_is_interrupted(store: SqliteStore, opened: Opened) -> None:
    saved = await save_and_load(store, "b", [user("u1")], placement="branch")
    partial = assistant("a1", "So far", metadata={"model": "m"})
    await store.put_answer("b", "u1", partial, "streaming")
    restarted = await opened()
    loaded = await restarted.load("b")
    assert loaded is not None
    assert loaded.messages[1].to_wire() == {**partial.to_wire(), "metadata": {"model": "m", "status": "interrupted"}}
    assert loaded.version > saved.version


async def test_an_answer_that_another_process_still_writes_is_not_spoilt(store: SqliteStore, opened: Opened) -> None:
    await store.save("b", [user("u1")], placement="branch")
    await store.put_answer("b", "u1", assistant("a1", "So far"), "streaming")
    await (await opened()).close()
    await store.put_answer("b", "u1", assistant("a1", "So far so good"), "complete")
    loaded = await store.load("b")
    assert loaded is not None
    assert loaded.messages[1] == assistant("a1", "So far so good")


# Blocks


async def test_the_metadata_of_an_unknown_block_is_empty(store: SqliteStore) -> None:
    assert await store.block("b") == {}


async def test_metadata_is_set_key_by_key_and_removed_with_none(store: SqliteStore) -> None:
    await store.patch_block("b", {"ai:model": "m", "ai:stop": ["a", "b"], "pinned": True})
    assert await store.patch_block("b", {"ai:model": None, "ai:topp": 0.5}) == {
        "ai:stop": ["a", "b"],
        "pinned": True,
        "ai:topp": 0.5,
    }
    assert await store.block("b") == {"ai:stop": ["a", "b"], "pinned": True, "ai:topp": 0.5}


async def test_a_block_without_messages_is_no_conversation(store: SqliteStore) -> None:
    await store.patch_block("b", {"title": "Soon"})
    assert await store.load("b") is None
    assert (await store.page()).items == ()
    assert not await store.delete("b")
    assert await store.block("b") == {}


async def test_metadata_that_was_there_first_holds_for_the_conversation(store: SqliteStore) -> None:
    await store.patch_block("b", {"title": "Mine", "pinned": True})
    saved = await save_and_load(store, "b", [user("u1")], placement="branch")
    assert (saved.title, saved.version, saved.created_at) == ("Mine", 1, saved.updated_at)
    assert (await store.page()).items[0].pinned
    assert await store.block("b") == {"title": "Mine", "pinned": True}


async def test_the_title_is_what_the_user_said_first_until_it_is_named(store: SqliteStore) -> None:
    first = await save_and_load(
        store, "b", [assistant("a0"), user("u1", " How \n do  I? "), user("u2")], placement="merge"
    )
    assert first.title == "How do I?"
    await store.patch_block("b", {"title": "Named"})
    named = await store.load("b")
    assert named is not None
    assert (named.title, named.version, named.updated_at) == ("Named", first.version + 1, first.updated_at)
    await store.patch_block("b", {"title": None})
    assert (await store.page()).items[0].title == "How do I?"


async def test_other_metadata_is_no_change_of_the_conversation(store: SqliteStore) -> None:
    saved = await save_and_load(store, "b", [user("u1")], placement="merge")
    await store.patch_block("b", {"ai:model": "m", "pinned": True})
    assert await store.load("b") == saved


# Deleting


async def test_deleting_leaves_nothing_in_the_file(store: SqliteStore, path: Path) -> None:
    secret = "swordfish" * 2000
    await store.save("b", [user("u1", secret), user("u1x", secret + "!")], placement="merge")
    await store.save("other", [user("u1")], placement="merge")
    await store.patch_block("b", {"title": "swordfish"})
    assert b"swordfish" in _bytes(path)
    assert await store.delete("b")
    assert b"swordfish" not in _bytes(path)
    assert await store.load("b") is None
    assert await store.block("b") == {}
    assert ids(await store.load("other")) == ["u1"]
    assert not await store.delete("b")


def _bytes(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.iterdir())


async def test_the_file_is_for_its_owner_alone(store: SqliteStore, path: Path) -> None:
    await store.save("b", [user("u1")], placement="merge")
    assert {file.stat().st_mode & 0o077 for file in path.parent.iterdir()} == {0}


# Together


async def test_twenty_saves_at_once_are_all_shown(store: SqliteStore) -> None:
    base: list[UIMessage] = [user("u0"), assistant("a0")]
    await store.save("b", base, placement="merge")
    new = [user(f"n{n}") for n in range(20)]
    await asyncio.gather(*(store.save("b", [*base, each], placement="merge") for each in new))
    loaded = ids(await store.load("b"))
    assert loaded[:2] == ["u0", "a0"]
    assert sorted(loaded[2:]) == sorted(each.id for each in new)


async def test_two_stores_on_one_file_lose_nothing(store: SqliteStore, opened: Opened) -> None:
    other = await opened()
    await store.save("b", [user("u0")], placement="merge")
    await asyncio.gather(
        *(each.save("b", [user("u0"), user(f"{name}{n}")], placement="merge")
          for name, each in (("x", store), ("y", other)) for n in range(10))
    )  # fmt: skip
    assert len(ids(await store.load("b"))) == 21
    assert await other.load("b") == await store.load("b")
