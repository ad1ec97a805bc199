from __future__ import annotations

import base64

import pytest

from app.core.conversations import ConversationPage
from app.core.errors import InvalidRequest
from app.storage.sqlite import SqliteStore
from tests.storage.messages import assistant, user

pytestmark = pytest.mark.anyio


def _ids(page: ConversationPage) -> list[str]:
    return [item.block_id for item in page.items]


async def _say(store: SqliteStore, **texts: str) -> None:
    for block_id, text in texts.items():
        await store.save(block_id, [user("u1", text)], placement="merge")


async def test_the_list_shows_what_a_conversation_is_about(store: SqliteStore) -> None:
    await store.save("b", [user("u1", "First words"), assistant("a1")], placement="merge")
    [item] = (await store.page()).items
    assert (item.block_id, item.title, item.message_count, item.pinned) == ("b", "First words", 2, False)
    assert item.created_at == item.updated_at == "2026-11-21T12:00:01.000000Z"


async def test_only_the_active_branch_is_counted(store: SqliteStore) -> None:
    await store.save("b", [user("u1"), assistant("a1"), user("u2")], placement="merge")
    await store.save("b", [user("u1")], placement="branch")
    assert (await store.page()).items[0].message_count == 1


async def test_the_newest_comes_first_and_pinned_ones_before_all(store: SqliteStore) -> None:
    await _say(store, a="a", b="b", c="c")
    await store.save("a", [user("u2")], placement="merge")
    assert _ids(await store.page()) == ["a", "c", "b"]
    await store.patch_block("b", {"pinned": True})
    assert _ids(await store.page()) == ["b", "a", "c"]
    await store.patch_block("b", {"pinned": None})
    assert _ids(await store.page()) == ["a", "c", "b"]


async def test_pages_follow_each_other_without_gap_or_repetition(store: SqliteStore) -> None:
    await _say(store, **{f"b{n}": "x" for n in range(7)})
    await store.patch_block("b3", {"pinned": True})
    seen: list[str] = []
    cursor = None
    for _ in range(4):
        page = await store.page(cursor=cursor, limit=2)
        seen += _ids(page)
        cursor = page.next_cursor
    assert seen == ["b3", "b6", "b5", "b4", "b2", "b1", "b0"]
    assert cursor is None


async def test_a_full_last_page_has_no_next(store: SqliteStore) -> None:
    await _say(store, a="a", b="b")
    assert (await store.page(limit=2)).next_cursor is None


async def test_a_page_stays_right_while_conversations_come_and_go(store: SqliteStore) -> None:
    await _say(store, a="a", b="b", c="c", d="d")
    first = await store.page(limit=2)
    await store.delete(first.items[-1].block_id)
    await _say(store, e="e")
    assert _ids(await store.page(limit=2, cursor=first.next_cursor)) == ["b", "a"]


async def test_archived_conversations_are_listed_when_asked_for(store: SqliteStore) -> None:
    await _say(store, a="apple", b="apple", c="apple")
    await store.patch_block("b", {"archived": True})
    for query in ("", "apple"):
        assert _ids(await store.page(query=query)) == ["c", "a"]
        archived = await store.page(query=query, archived=True)
        assert [(item.block_id, item.archived) for item in archived.items] == [("b", True)]
        assert _ids(await store.page(query=query, archived=None)) == ["c", "b", "a"]
    await store.patch_block("b", {"archived": None})
    assert _ids(await store.page()) == ["c", "b", "a"]


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize("cursor", ["", "x", "!!!!", "ÄÖÜ", "_w", _encoded("2 a b"), _encoded("[1]"), _encoded("0 a")])
async def test_a_cursor_that_is_none_of_ours_is_refused(store: SqliteStore, cursor: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await store.page(cursor=cursor)
    assert raised.value.param == "cursor"


@pytest.mark.parametrize("limit", [0, -1, 201])
async def test_a_limit_out_of_range_is_refused(store: SqliteStore, limit: int) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await store.page(limit=limit)
    assert raised.value.param == "limit"
