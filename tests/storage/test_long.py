"""Long conversations: a turn writes what is new, a page reads what it shows. Counted, not timed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from sqlite3 import Connection

import pytest

from app.core.errors import InvalidRequest
from app.core.messages import UIMessage
from app.storage.sqlite import SqliteStore
from tests.storage.messages import assistant, ids, user

pytestmark = pytest.mark.anyio

LENGTH = 2_000


def history(length: int = LENGTH) -> list[UIMessage]:
    return [(user, assistant)[number % 2](f"m{number:04}") for number in range(length)]


@asynccontextmanager
async def counted(store: SqliteStore) -> AsyncIterator[Counts]:
    """What happens inside to the writing connection."""
    counts = Counts()

    def change(connection: Connection) -> int:
        connection.set_trace_callback(counts.note)
        return connection.total_changes

    before = await store.database.write(change)
    yield counts

    def restore(connection: Connection) -> int:
        connection.set_trace_callback(None)
        return connection.total_changes

    counts.rows = await store.database.write(restore) - before


class Counts:
    def __init__(self) -> None:
        self.statements: list[str] = []
        self.rows = 0
        """That were written, those of the search index included."""

    def note(self, statement: str) -> None:
        statement = " ".join(statement.split())
        if self.statements[-1:] != [statement]:  # it is told again by each trigger
            self.statements.append(statement)

    def of(self, beginning: str) -> int:
        return sum(statement.startswith(beginning) for statement in self.statements)


@pytest.fixture
async def long(store: SqliteStore) -> SqliteStore:
    """A conversation whose answers are the server's own, as a chat makes it."""
    await store.save("b", history(), placement="branch")

    def own(connection: Connection) -> None:
        connection.execute("UPDATE messages SET origin = 'server' WHERE role = 'assistant'")

    await store.database.write(own)
    return store


async def test_a_turn_writes_what_is_new_and_reads_no_message_twice(long: SqliteStore) -> None:
    async with counted(long) as counts:
        await long.save("b", [*history(), user("new")], placement="branch")
    assert counts.of("INSERT INTO messages") == 1
    assert counts.rows < 20
    assert not any("body FROM" in statement or "messages.body" in statement for statement in counts.statements)


async def test_saving_what_is_stored_already_writes_nothing(long: SqliteStore) -> None:
    async with counted(long) as counts:
        await long.save("b", history(), placement="branch")
    assert (counts.rows, counts.of("INSERT"), counts.of("UPDATE")) == (0, 0, 0)


async def test_a_checkpoint_writes_one_row_and_does_not_look_at_the_others(long: SqliteStore) -> None:
    await long.save("b", [*history(), user("new")], placement="branch")
    async with counted(long) as counts:
        await long.put_answer("b", "new", assistant("answer", "It is"), "streaming")
    assert counts.rows == 2  # it is made, it is the head
    assert not any(statement.endswith("ORDER BY row") for statement in counts.statements)
    async with counted(long) as counts:
        await long.put_answer("b", "new", assistant("answer", "It is going on"), "streaming")
    assert counts.rows == 1
    assert not any(statement.endswith("ORDER BY row") for statement in counts.statements)


async def test_an_answer_that_was_written_to_another_branch_still_finds_its_place(store: SqliteStore) -> None:
    await store.save("b", [user("u1"), assistant("a1"), user("u2")], placement="branch")
    await store.put_answer("b", "u1", assistant("a2"), "complete")
    assert ids(await store.load("b")) == ["u1", "a2", "a1", "u2"]


async def test_only_messages_that_nobody_knows_are_compared_by_what_they_say(long: SqliteStore) -> None:
    asked: list[str] = []

    class Watched(UIMessage):
        def to_wire(self) -> dict[str, object]:
            asked.append(self.id)
            return super().to_wire()

    said = [Watched.model_validate(message.to_wire()) for message in history()]
    await long.save("b", said, placement="branch")
    assert sorted(asked) == [message.id for message in said if message.role == "user"]


async def test_the_last_messages_come_first_and_the_others_page_by_page(long: SqliteStore) -> None:
    pages: list[list[str]] = []
    before: str | None = None
    while True:
        page = await long.load("b", limit=300, before=before)
        pages.insert(0, ids(page))
        assert page is not None
        if page.earlier is None:
            break
        before = page.earlier
    assert [len(page) for page in pages] == [200, 300, 300, 300, 300, 300, 300]
    assert [message_id for page in pages for message_id in page] == [message.id for message in history()]


@pytest.mark.parametrize("limit", [1, 3, 4, 5])
async def test_a_page_says_whether_something_stands_above_it(store: SqliteStore, limit: int) -> None:
    await store.save("b", history(4), placement="branch")
    page = await store.load("b", limit=limit)
    assert page is not None
    assert (len(page.messages), page.earlier is None) == (min(limit, 4), limit >= 4)


async def test_an_answer_in_flight_takes_no_place_on_a_page(store: SqliteStore) -> None:
    await store.save("b", history(4), placement="branch")
    await store.put_answer("b", "m0003", assistant("answer", "It"), "streaming")
    assert ids(await store.load("b", limit=2)) == ["m0002", "m0003"]


async def test_the_page_above_stays_the_same_when_another_branch_is_chosen(store: SqliteStore) -> None:
    await store.save("b", history(6), placement="branch")
    page = await store.load("b", limit=2)
    assert page is not None
    await store.save("b", [user("other")], placement="merge")
    await store.save("b", [user("m0000", "Asked differently.")], placement="branch")
    assert ids(await store.load("b", limit=2, before=page.earlier)) == ["m0002", "m0003"]


async def test_places_with_a_choice_are_those_of_the_page(store: SqliteStore) -> None:
    await store.save("b", history(6), placement="branch")
    for number in (1, 5):
        await store.save("b", [*history(number), assistant(f"again{number}")], placement="branch")
        await store.save("b", history(6), placement="branch")
    assert len(await store.branches("b")) == 2
    page = await store.load("b", limit=2)
    assert page is not None
    assert [place[0].message_id for place in await store.branches("b", limit=2)] == ["m0005"]
    above = await store.branches("b", limit=4, before=page.earlier)
    assert [place[0].message_id for place in above] == ["m0001"]


@pytest.mark.parametrize("before", ["", "x", "-1", "999999", "9" * 30])
async def test_a_place_that_is_none_is_refused(store: SqliteStore, before: str) -> None:
    await store.save("b", history(4), placement="branch")
    with pytest.raises(InvalidRequest):
        await store.load("b", before=before)


async def test_a_place_in_another_conversation_is_refused(store: SqliteStore) -> None:
    await store.save("other", [user("o1"), assistant("o2")], placement="branch")
    page = await store.load("other", limit=1)
    assert page is not None
    await store.save("b", history(4), placement="branch")
    with pytest.raises(InvalidRequest):
        await store.load("b", before=page.earlier)


async def test_a_page_reads_its_rows_and_not_the_conversation(long: SqliteStore) -> None:
    """SQLite counts its own steps: ten times the conversation costs a page nothing."""
    assert await _steps(long, "b") < 2 * await _steps(long, "short")


async def _steps(store: SqliteStore, block_id: str) -> int:
    if block_id == "short":
        await store.save("short", history(200), placement="branch")
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    await store.database.query(lambda connection: connection.set_progress_handler(count, 10))
    await store.load(block_id, limit=50)
    await store.branches(block_id, limit=50)
    await store.database.query(lambda connection: connection.set_progress_handler(None, 0))
    return steps
