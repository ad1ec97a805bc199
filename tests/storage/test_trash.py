"""What is in the trash is nowhere, comes back whole, and is gone for good when its time is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.errors import NotFound
from app.storage.sqlite import SqliteStore
from tests.storage.messages import Opened, assistant, ids, user

pytestmark = pytest.mark.anyio

FILE = "a" * 64


async def written(store: SqliteStore, block_id: str = "one", text: str = "plans for a submarine") -> None:
    await store.save(block_id, [user("m1", text), assistant("m2")], placement="branch")


async def test_what_is_in_the_trash_is_nowhere(store: SqliteStore) -> None:
    await written(store)
    await store.patch_block("one", {"pinned": True})
    assert await store.trash("one")
    assert await store.load("one") is None
    assert await store.is_in_trash("one")
    assert await store.outline("one") == []
    assert (await store.page(archived=None)).items == ()
    assert (await store.page(query="submarine")).items == ()
    assert await store.block("one") == {}
    for asked in (store.branches("one"), store.fork("one", "copy"), store.choose("one", "1")):
        with pytest.raises(NotFound):
            await asked


async def test_what_is_restored_is_as_it_was(store: SqliteStore) -> None:
    await written(store)
    await store.patch_block("one", {"title": "Down below", "pinned": True})
    before = await store.load("one")
    await store.trash("one")
    assert await store.restore("one")
    assert not await store.is_in_trash("one")
    assert await store.load("one") == before
    [found] = (await store.page(query="submarine")).items
    assert (found.title, found.pinned, found.message_count) == ("Down below", True, 2)


async def test_only_a_conversation_goes_to_the_trash_and_only_once(store: SqliteStore) -> None:
    await store.patch_block("settings", {"ai:model": "tiny"})
    await written(store)
    assert not await store.trash("settings")
    assert not await store.trash("unknown")
    assert await store.trash("one")
    assert not await store.trash("one")
    assert not await store.restore("unknown")


async def test_an_answer_that_is_still_being_saved_does_not_bring_it_back(store: SqliteStore) -> None:
    await written(store)
    await store.trash("one")
    await store.put_answer("one", "m1", assistant("late"), "complete")
    assert await store.load("one") is None


async def test_whoever_writes_to_its_id_begins_anew(store: SqliteStore) -> None:
    await written(store)
    await store.patch_block("one", {"pinned": True})
    await store.trash("one")
    await store.save("one", [user("m9", "something else")], placement="merge")
    assert ids(await store.load("one")) == ["m9"]
    assert await store.block("one") == {}
    assert not await store.restore("one")


async def test_a_fork_and_settings_take_its_place_too(store: SqliteStore) -> None:
    await written(store)
    await written(store, "other", "about gardens")
    await store.trash("one")
    await store.fork("other", "one")
    assert ids(await store.load("one")) == ["m1", "m2"]
    await store.trash("one")
    assert await store.patch_block("one", {"ai:model": "tiny"}) == {"ai:model": "tiny"}
    assert not await store.restore("one")


async def test_it_is_emptied_of_what_has_been_there_long_enough(store: SqliteStore, path: Path) -> None:
    await written(store, "one", f"![](/files/{FILE}) the word is xylophone")
    await written(store, "kept", "about gardens")
    await store.trash("one")
    assert await store.empty_trash(3600) == frozenset()
    assert await store.file_ids() == {FILE}
    assert await store.empty_trash(-3600) == {FILE}
    assert not await store.restore("one")
    assert await store.load("kept") is not None
    assert b"xylophone" not in b"".join(file.read_bytes() for file in path.parent.iterdir())


async def test_the_trash_outlives_a_restart(opened: Opened) -> None:
    first = await opened()
    await written(first)
    await first.trash("one")
    await first.close()
    second = await opened()
    assert await second.load("one") is None
    assert await second.restore("one")
    assert ids(await second.load("one")) == ["m1", "m2"]


async def test_deleting_for_good_does_not_stop_at_the_trash(store: SqliteStore) -> None:
    await written(store)
    await store.trash("one")
    await store.delete("one")
    assert not await store.restore("one")
