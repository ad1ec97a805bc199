"""One message: found with what goes with it, and deleted so that nothing of it is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.errors import NotFound, VersionConflict
from app.core.feedback import Feedback
from app.core.shares import Share
from app.core.tools import ToolRecord
from app.storage.feedback import SqliteFeedbackStore
from app.storage.shares import SqliteShareStore
from app.storage.single_messages import SqliteSingleMessages
from app.storage.sqlite import SqliteStore
from app.storage.tools import SqliteToolLedger
from tests.storage.messages import Clock, assistant, ids, user

pytestmark = pytest.mark.anyio

FILE = "a" * 64


@pytest.fixture
async def tree(store: SqliteStore) -> SqliteStore:
    """u1 - a1 - u2 - a2 is active; beside a1 stands a9, and below u2 another answer."""
    await store.save("b", [user("u1", "A question of lemons"), assistant("a9")], placement="branch")
    await store.save("b", [user("u1", "A question of lemons"), assistant("a1"), user("u2")], placement="branch")
    for answer in ("a3", "a2"):
        await store.save("b", [user("u2"), assistant(answer)], placement="branch")
    return store


@pytest.fixture
def messages(tree: SqliteStore) -> SqliteSingleMessages:
    return SqliteSingleMessages(tree.database, Clock())


async def test_a_message_is_found_with_how_many_go_with_it(messages: SqliteSingleMessages) -> None:
    found = await messages.find("b", "u2")
    assert found is not None
    assert (found.message, found.count) == (user("u2"), 3)
    first = await messages.find("b", "u1")
    assert first is not None
    assert first.count == 6


@pytest.mark.parametrize("message_id", ["a9", "a3", "nobody"])
async def test_only_what_is_shown_is_found(messages: SqliteSingleMessages, message_id: str) -> None:
    assert await messages.find("b", message_id) is None
    with pytest.raises(NotFound):
        await messages.remove("b", message_id)


async def test_an_unknown_conversation_has_no_messages(messages: SqliteSingleMessages) -> None:
    assert await messages.find("x", "u1") is None
    with pytest.raises(NotFound):
        await messages.remove("x", "u1")


async def test_what_is_being_written_is_neither_found_nor_deleted(
    tree: SqliteStore, messages: SqliteSingleMessages
) -> None:
    await tree.put_answer("b", "a2", assistant("a4"), "streaming")
    assert await messages.find("b", "a4") is None


async def test_everything_below_goes_and_the_version_beside_is_shown(
    tree: SqliteStore, messages: SqliteSingleMessages
) -> None:
    before = await tree.load("b")
    assert before is not None
    removed = await messages.remove("b", "a1")
    assert (removed.count, removed.version) == (4, before.version + 1)
    after = await tree.load("b")
    assert after is not None
    assert (ids(after), after.version) == (["u1", "a9"], before.version + 1)
    assert await tree.branches("b") == []


async def test_the_version_before_is_nearer_than_the_one_behind(store: SqliteStore) -> None:
    for answer in ("a1", "a2", "a3"):
        await store.save("b", [user("u1"), assistant(answer), user(f"after-{answer}")], placement="branch")
    places = await store.branches("b")
    await store.choose("b", next(branch.handle for branch in places[0] if branch.message_id == "a2"))
    messages = SqliteSingleMessages(store.database, Clock())
    await messages.remove("b", "a2")
    assert ids(await store.load("b")) == ["u1", "a1", "after-a1"]
    await messages.remove("b", "a1")
    assert ids(await store.load("b")) == ["u1", "a3", "after-a3"]


async def test_without_another_version_the_conversation_ends_above(
    tree: SqliteStore, messages: SqliteSingleMessages
) -> None:
    await messages.remove("b", "u2")
    assert ids(await tree.load("b")) == ["u1", "a1"]
    assert ids(await tree.save("b", [user("u5")], placement="merge")) == ["u1", "a1", "u5"]


async def test_with_the_last_message_the_conversation_goes(tree: SqliteStore, messages: SqliteSingleMessages) -> None:
    removed = await messages.remove("b", "u1")
    assert (removed.count, removed.version) == (6, None)
    assert await tree.load("b") is None
    assert (await tree.page()).items == ()


async def test_a_title_that_was_the_beginning_of_what_is_deleted_goes_too(
    tree: SqliteStore, messages: SqliteSingleMessages
) -> None:
    await tree.save("b", [user("u1", "A question of limes")], placement="branch")
    [[lemons, _]] = await tree.branches("b")
    await tree.choose("b", lemons.handle)
    await messages.remove("b", "u1")
    conversation = await tree.load("b")
    assert conversation is not None
    assert (conversation.title, ids(conversation)) == ("A question of limes", ["u1"])


async def test_another_version_than_the_one_that_was_seen_is_not_deleted(
    tree: SqliteStore, messages: SqliteSingleMessages
) -> None:
    found = await messages.find("b", "u2")
    assert found is not None
    await tree.save("b", [user("u7")], placement="merge")
    with pytest.raises(VersionConflict):
        await messages.remove("b", "u2", if_version=found.version)
    assert ids(await tree.load("b"))[-1] == "u7"
    assert (await messages.remove("b", "u2", if_version=found.version + 1)).count == 4


async def test_nothing_of_it_is_left_in_the_file(tree: SqliteStore, messages: SqliteSingleMessages, path: Path) -> None:
    ledger, feedback = SqliteToolLedger(tree.database), SqliteFeedbackStore(tree.database, Clock())
    await tree.save("b", [user("u8", f"a xylophone ![](/files/{FILE})"), assistant("a8")], placement="merge")
    call = ToolRecord("c1", "a8", "weather", {"city": "xylophone"}, runs="server", state="done", output="xylophone")
    kept = ToolRecord("c2", "a1", "weather", {}, runs="server", state="done")
    await ledger.put("b", [call, kept])
    await feedback.put("b", "a8", Feedback("down", "not a xylophone"))
    await feedback.put("b", "a1", Feedback("up"))
    removed = await messages.remove("b", "u8")
    assert removed.file_ids == {FILE}
    assert list(await ledger.records("b")) == ["c2"]
    assert list(await feedback.of("b")) == ["a1"]
    assert (await tree.page(query="xylophone")).items == ()
    assert b"xylophone" not in b"".join(file.read_bytes() for file in path.parent.iterdir())


async def test_what_was_shared_keeps_its_files(tree: SqliteStore) -> None:
    share = Share("t" * 32, "b", "A title", with_details=False, created_at="2026-11-21", message_count=1)
    await SqliteShareStore(tree.database).create(share, [user("u8", f"![](/files/{FILE})")])
    assert await tree.file_ids() == await tree.file_ids("b") == {FILE}


async def test_a_fork_asks_again_before_a_tool_runs(tree: SqliteStore) -> None:
    policies = {"weather": "auto", "delete_*": "ask", "search": "off"}
    await tree.patch_block("b", {"ai:model": "tiny", "ai:toolpolicy": policies})
    await tree.fork("b", "copy")
    assert await tree.block("copy") == {"ai:model": "tiny", "ai:toolpolicy": {"delete_*": "ask", "search": "off"}}
    await tree.patch_block("b", {"ai:toolpolicy": {"weather": "auto"}})
    await tree.fork("b", "another")
    assert await tree.block("another") == {"ai:model": "tiny"}


# Brought back


async def test_what_was_deleted_a_moment_ago_comes_back_where_it_was(
    tree: SqliteStore, messages: SqliteSingleMessages
) -> None:
    ledger, feedback = SqliteToolLedger(tree.database), SqliteFeedbackStore(tree.database, Clock())
    await ledger.put("b", [ToolRecord("c1", "a2", "weather", {}, runs="server", state="done")])
    await feedback.put("b", "a2", Feedback("up"))
    before = await tree.load("b")
    assert before is not None
    trashed = await messages.trash("b", "a1", if_version=before.version)
    assert (trashed.count, trashed.version) == (4, before.version + 1)
    assert trashed.key is not None
    assert ids(await tree.load("b")) == ["u1", "a9"]
    assert (await tree.page(query="a2")).items == ()
    assert await ledger.records("b") == {}
    assert await feedback.of("b") == {}
    assert await messages.restore("b", trashed.key) == before.version + 2
    after = await tree.load("b")
    assert after is not None
    assert after.messages == before.messages
    assert [len(place) for place in await tree.branches("b")] == [2, 2]
    assert list(await ledger.records("b")) == ["c1"]
    assert list(await feedback.of("b")) == ["a2"]
    with pytest.raises(NotFound):
        await messages.restore("b", trashed.key)


async def test_with_the_last_message_the_conversation_goes_to_the_trash(
    tree: SqliteStore, messages: SqliteSingleMessages
) -> None:
    trashed = await messages.trash("b", "u1")
    assert (trashed.count, trashed.version, trashed.key) == (6, None, None)
    assert await tree.load("b") is None
    assert await tree.restore("b")
    assert ids(await tree.load("b"))[0] == "u1"


async def test_a_first_message_comes_back_beside_its_other_version(
    tree: SqliteStore, messages: SqliteSingleMessages
) -> None:
    await tree.save("b", [user("u1", "A question of limes")], placement="branch")
    trashed = await messages.trash("b", "u1")
    assert trashed.key is not None
    await messages.restore("b", trashed.key)
    conversation = await tree.load("b")
    assert conversation is not None
    assert conversation.messages[0].text == "A question of limes"


async def test_it_does_not_come_back_elsewhere_nor_below_what_is_gone(
    tree: SqliteStore, messages: SqliteSingleMessages
) -> None:
    await tree.save("other", [user("u1")], placement="merge")
    trashed = await messages.trash("b", "a2")
    assert trashed.key is not None
    for block in ("other", "nobody", trashed.key):
        with pytest.raises(NotFound):
            await messages.restore(block, trashed.key)
    with pytest.raises(NotFound):
        await messages.restore("b", "other")
    assert not await tree.restore(trashed.key)
    await messages.remove("b", "u2")
    with pytest.raises(NotFound):
        await messages.restore("b", trashed.key)
    assert ids(await tree.load("b")) == ["u1", "a1"]


async def test_after_a_while_nothing_of_it_is_left(
    tree: SqliteStore, messages: SqliteSingleMessages, path: Path
) -> None:
    await tree.save("b", [user("u8", f"a xylophone ![](/files/{FILE})"), assistant("a8")], placement="merge")
    trashed = await messages.trash("b", "u8")
    assert trashed.key is not None
    assert await tree.empty_trash(0) == {FILE}
    assert b"xylophone" not in b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert trashed.key.encode() not in path.read_bytes()
    with pytest.raises(NotFound):
        await messages.restore("b", trashed.key)


async def test_a_conversation_is_deleted_though_something_of_it_is_in_the_trash(
    tree: SqliteStore, messages: SqliteSingleMessages
) -> None:
    trashed = await messages.trash("b", "a2")
    assert trashed.key is not None
    assert await tree.delete("b") is not None
    with pytest.raises(NotFound):
        await messages.restore("b", trashed.key)
    await tree.empty_trash(0)
