"""What a search finds, shows and forgets."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.conversations import ConversationPage, Match
from app.storage.sqlite import SqliteStore
from app.storage.words import match_expression
from tests.storage.messages import Opened, assistant, connect, user

pytestmark = pytest.mark.anyio


def _ids(page: ConversationPage) -> list[str]:
    return [item.block_id for item in page.items]


async def _found(store: SqliteStore, query: str) -> list[str]:
    return _ids(await store.page(query=query))


async def _match(store: SqliteStore, query: str) -> Match:
    [item] = (await store.page(query=query)).items
    assert item.match is not None
    return item.match


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("APPLE", ["c", "a"]),  # the last word may be only begun
        ("apple day", []),  # in two messages
        ("appl day", []),
        ("an apple", ["a"]),
        ("apple an", ["a"]),
        ("appl an", []),  # a word that is not the last is whole
        (" pear ", ["b"]),
        ("pear hidden", ["b"]),
        ("ol", ["c"]),
        ("ÖL", ["c"]),
        ("o\u0308l", ["c"]),
        ("50", ["d"]),
        ("50%", ["d"]),
        ("50%  off", ["d"]),
        ("5", []),  # one letter or digit is a word, and no beginning of others
        ("5%", []),  # with what follows it is no beginning any more
        ("%", []),
        ("\\", []),
        ("🎉", []),
        ("type", []),  # of the parts: not what is said
        ("named", ["d"]),
        ("named off", []),
        ("天气", ["e"]),
        ("很好", ["e"]),
        ("気", []),
        ("アーメ", []),
        ("ラーメ", ["e"]),
        ("อากาศ", ["e"]),
        ("", ["e", "d", "c", "b", "a"]),
        ("  ", ["e", "d", "c", "b", "a"]),
    ],
)
async def test_a_search_finds_titles_and_texts(store: SqliteStore, query: str, found: list[str]) -> None:
    await store.save("a", [user("u1", "An apple"), assistant("a1", "a day")], placement="merge")
    await store.save("b", [user("u1", "Nothing"), assistant("a1", "but a hidden Pear")], placement="merge")
    await store.save("c", [user("u1", "Apples in ÖL")], placement="merge")
    await store.save("d", [user("u1", "50% off")], placement="merge")
    await store.patch_block("d", {"title": "Named"})
    await store.save("e", [user("u1", "今天天气很好"), user("u2", "ラーメン วันนี้อากาศดี")], placement="merge")
    assert await _found(store, query) == found


@pytest.mark.parametrize(
    "query",
    [
        '"', '""', "'", "apple OR pear", "apple NOT pear", "NEAR(apple pear)", "text:apple", "apple*", "^apple",
        "(apple", "apple AND", "-apple", "+", "{text}: apple", "apple\0pear", "\0", "'; DROP TABLE messages;",
        "a " * 100, "\ud800", "apple\udfffpear", "x" * 100_000, "(" * 1000 + "a",
    ],
)  # fmt: skip
async def test_nothing_that_a_user_types_is_syntax(store: SqliteStore, query: str) -> None:
    await store.save("a", [user("u1", "apple")], placement="merge")
    await store.save("b", [user("u1", "pear")], placement="merge")
    assert len(await _found(store, query)) <= 1


@given(st.text())
def test_every_query_is_an_expression(query: str) -> None:
    with closing(connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE search USING fts5 (text)")
        words = match_expression(query)
        assert not words or connection.execute("SELECT * FROM search WHERE search MATCH ?", (words,)).fetchall() == []


async def test_a_search_is_paged_too(store: SqliteStore) -> None:
    for block_id, text in (("a", "apple"), ("b", "pear"), ("c", "apple"), ("d", "apple")):
        await store.save(block_id, [user("u1", text)], placement="merge")
    await store.patch_block("a", {"pinned": True})
    first = await store.page(query="apple", limit=1)
    second = await store.page(query="apple", limit=1, cursor=first.next_cursor)
    last = await store.page(query="apple", limit=1, cursor=second.next_cursor)
    assert [_ids(first), _ids(second), _ids(last)] == [["a"], ["d"], ["c"]]
    assert last.next_cursor is None


# Where it was found


async def test_a_match_names_the_newest_message_and_shows_its_words(store: SqliteStore) -> None:
    messages = [user("u1", "Where do apples grow?"), assistant("a1", "Apples grow on <b>trees</b>."), user("u2", "Ah")]
    await store.save("b", messages, placement="merge")
    assert await _match(store, "grow app") == Match(
        "a1", (("Apples", True), (" ", False), ("grow", True), (" on <b>trees</b>.", False))
    )


async def test_a_title_is_a_match_without_a_message(store: SqliteStore) -> None:
    await store.save("b", [user("u1", "hello")], placement="merge")
    await store.patch_block("b", {"title": "Trees & more"})
    assert await _match(store, "tree") == Match(None, (("Trees", True), (" & more", False)))


async def test_a_snippet_is_short_and_whole_characters(store: SqliteStore) -> None:
    await store.save("b", [user("u1", "lorem " * 5000 + "今天天气很好 " + "ipsum " * 5000)], placement="merge")
    snippet = (await _match(store, "天气")).snippet
    assert ("天气", True) in snippet
    text = "".join(piece for piece, _ in snippet)
    assert text.startswith("…")
    assert text.endswith("…")
    assert len(text) < 300
    assert "\u200b" not in text


async def test_a_snippet_of_a_long_page_is_made_once_for_each_conversation(store: SqliteStore) -> None:
    for n in range(5):
        await store.save(f"b{n}", [user("u1", f"apple {n}"), assistant("a1", f"apple pie {n}")], placement="merge")
    items = (await store.page(query="apple")).items
    assert [(item.block_id, item.message_count, item.match and item.match.message_id) for item in items] == [
        (f"b{n}", 2, "a1") for n in reversed(range(5))
    ]


# What counts


async def test_every_branch_is_searched_the_active_one_first(store: SqliteStore) -> None:
    await store.save("b", [user("u1", "apple tart"), assistant("a1", "cherry")], placement="merge")
    await store.patch_block("b", {"title": "Fruit"})
    await store.save("b", [user("u1", "pear tart")], placement="branch")
    [[first, second]] = await store.branches("b")
    found = await _match(store, "apple")
    assert (found.message_id, found.branch) == ("u1", first.handle)
    assert (await _match(store, "pear")).branch is None
    assert (await _match(store, "tart")).snippet == (("pear ", False), ("tart", True))
    cherry = (await _match(store, "cherry")).branch
    assert cherry is not None
    await store.choose("b", cherry)
    assert (await _match(store, "cherry")).branch is (await _match(store, "apple")).branch is None
    assert (await _match(store, "pear")).branch == second.handle


async def test_a_title_comes_before_what_is_said_on_another_branch(store: SqliteStore) -> None:
    await store.save("b", [user("u1", "apple tart")], placement="merge")
    await store.save("b", [user("u1", "pear")], placement="branch")
    await store.patch_block("b", {"title": "Apples"})
    assert await _match(store, "apple") == Match(None, (("Apples", True),))


async def test_an_answer_is_found_when_it_is_whole(store: SqliteStore, opened: Opened) -> None:
    await store.save("b", [user("u1", "question")], placement="merge")
    for text in ("app", "apple", "apple pi"):
        await store.put_answer("b", "u1", assistant("a1", text), "streaming")
        assert await _found(store, "apple") == []
    await store.put_answer("b", "u1", assistant("a1", "apple pie"), "complete")
    assert await _found(store, "pie") == ["b"]
    await store.put_answer("b", "u1", assistant("a1", "apple pie and cherry"), "streaming")
    assert await _found(store, "pie") == []
    await store.close()
    assert await _found(await opened(), "cherry") == ["b"]  # marked as interrupted: there is no more to come


async def test_what_is_not_said_any_more_is_not_found(store: SqliteStore) -> None:
    await store.save("b", [user("u1", "apple")], placement="merge")
    await store.put_answer("b", "u1", assistant("a1", "pear"), "complete")
    await store.put_answer("b", "u1", assistant("a1", "cherry"), "complete")
    await store.patch_block("b", {"title": "Quince"})
    await store.patch_block("b", {"title": "Medlar"})
    for query, found in (("pear", []), ("cherry", ["b"]), ("quince", []), ("medlar", ["b"]), ("apple", ["b"])):
        assert await _found(store, query) == found


async def test_a_block_without_messages_is_not_found(store: SqliteStore) -> None:
    await store.patch_block("b", {"title": "Soon"})
    assert await _found(store, "soon") == []
    await store.save("b", [user("u1")], placement="merge")
    assert await _found(store, "soon") == ["b"]


async def test_the_index_holds_what_the_tables_hold(store: SqliteStore, path: Path) -> None:
    """Whatever way it came in or went out."""
    await store.save("a", [user("u1"), assistant("a1", "one"), user("u2")], placement="merge")
    await store.save("a", [user("u1"), assistant("a1", "two"), user("u3")], placement="branch")
    await store.save("a", [user("u9"), assistant("a1", "three")], placement="merge")
    await store.put_answer("a", "u3", assistant("a4", "half"), "streaming")
    await store.save("a", [user("u1"), assistant("a4", "copy")], placement="branch")
    await store.patch_block("c", {"title": "Named"})
    await store.fork("a", "d", until="u1")
    await store.fork("a", "e")
    await store.delete("d")
    await store.delete("c")
    with closing(connect(path)) as file:
        file.execute("INSERT INTO search (search, rank) VALUES ('integrity-check', 1)")
        indexed = {row for (row,) in file.execute("SELECT rowid FROM search WHERE search MATCH 'u1 OR one OR this'")}
        assert indexed <= {row for (row,) in file.execute("SELECT number FROM searchable")}


# Forgetting


async def test_the_words_of_a_deleted_conversation_are_nowhere_in_the_file(store: SqliteStore, path: Path) -> None:
    words = [f"zyzzyva{n}x" for n in range(300)]
    for n, word in enumerate(words):
        await store.save(f"other{n % 20}", [user(f"u{n}", f"Some words {n}")], placement="merge")
        await store.save("b", [user(f"u{n}", f"secret {word} swordfish")], placement="merge")
    await store.put_answer("b", "u299", assistant("a1", "swordfish flounder"), "complete")
    await store.put_answer("b", "u299", assistant("a1", "swordfish flounder halibut"), "complete")
    await store.patch_block("b", {"title": "Swordfish"})
    for word in (b"swordfish", b"zyzzyva", b"halibut"):
        assert word in _bytes(path)
    assert await store.delete("b")
    for word in (b"swordfish", b"ordfish", b"zyzzyva", b"halibut", b"flounder"):
        assert word not in _bytes(path).lower()
    assert await _found(store, "swordfish") == []
    assert len((await store.page(query="some words")).items) == 20


def _bytes(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.iterdir())
