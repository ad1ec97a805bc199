"""When things go wrong: crashes, locks, full disks, cancelled callers. Nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from sqlite3 import Connection

import pytest

from app.core.errors import StorageUnavailable
from app.storage.sqlite import SqliteStore
from tests.storage.messages import Opened, ids, save_and_load, user

pytestmark = pytest.mark.anyio

SAVE_FOR_EVER = """
import asyncio, sys
from itertools import count
from pathlib import Path
from app.storage.sqlite import open_store
from tests.storage.messages import Clock, user

async def write(store, name):
    for n in count():
        await store.save(f"b{n % 3}", [user(f"{name}{n}")], placement="merge")
        print(f"b{n % 3}", f"{name}{n}", flush=True)

async def main():
    store = await open_store(Path(sys.argv[1]), now=Clock())
    await asyncio.gather(*(write(store, name) for name in ("x", "y", "z")))

asyncio.run(main())
"""


async def test_no_acknowledged_message_is_lost_by_a_kill(path: Path, opened: Opened) -> None:
    acknowledged: dict[str, set[str]] = {"b0": set(), "b1": set(), "b2": set()}
    for _ in range(3):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SAVE_FOR_EVER, str(path), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        seen = 0
        async for line in process.stdout:
            block_id, message_id = line.decode().split()
            acknowledged[block_id].add(message_id)
            seen += 1
            if seen == 60:
                process.send_signal(signal.SIGKILL)
        assert await process.wait() == -signal.SIGKILL
    store = await opened()
    for block_id, message_ids in acknowledged.items():
        assert message_ids <= set(ids(await store.load(block_id)))
    await store.close()
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert file.execute("PRAGMA foreign_key_check").fetchall() == []


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def test_a_locked_file_refuses_writes_in_time_and_goes_on_reading(
    store: SqliteStore, path: Path, opened: Opened
) -> None:
    await store.save("b", [user("u1")], placement="merge")
    hasty = await opened(busy_timeout=0.3)
    with _locked(path):
        saves = [hasty.save("b", [user(f"n{n}")], placement="merge") for n in range(200)]
        async with asyncio.timeout(30):  # they wait together, not one after the other
            refusals = await asyncio.gather(*saves, return_exceptions=True)
        assert {type(refusal) for refusal in refusals} == {StorageUnavailable}
        assert {refusal.retry_after for refusal in refusals} == {2}
        with pytest.raises(StorageUnavailable):
            await hasty.delete("b")
        assert ids(await hasty.load("b")) == ["u1"]
        assert len((await hasty.page(query="this")).items) == 1
    assert ids(await hasty.save("b", [user("u2")], placement="merge")) == ["u1", "u2"]


async def test_a_save_waits_for_a_lock_that_is_let_go(store: SqliteStore, path: Path) -> None:
    with _locked(path):
        saving = asyncio.create_task(store.save("b", [user("u1")], placement="merge"))
        assert await store.load("b") is None
        assert not saving.done()
    assert ids(await saving) == ["u1"]


async def test_a_file_can_be_opened_while_another_process_holds_it(
    store: SqliteStore, path: Path, opened: Opened
) -> None:
    await store.save("b", [user("u1")], placement="merge")
    with _locked(path):
        other = await opened(busy_timeout=0.05)
        assert ids(await other.load("b")) == ["u1"]
        await other.close()


@pytest.mark.parametrize("kind", ["too many pages", "file too large"])
async def test_a_full_disk_refuses_writes_goes_on_reading_and_recovers(
    store: SqliteStore, path: Path, kind: str
) -> None:
    saved = await save_and_load(store, "b", [user("u1")], placement="merge")
    big = user("u2", "x" * 3_000_000)
    limited = _few_pages(store) if kind == "too many pages" else _small_files()
    async with limited:
        for _ in range(2):
            with pytest.raises(StorageUnavailable, match="disk") as raised:
                await store.save("b", [big], placement="merge")
            assert raised.value.status == 503
        assert await store.load("b") == saved
    assert ids(await store.save("b", [big], placement="merge")) == ["u1", "u2"]


@asynccontextmanager
async def _few_pages(store: SqliteStore) -> AsyncIterator[None]:
    await store.database.write(lambda connection: connection.execute("PRAGMA max_page_count = 20").close())
    yield
    await store.database.write(lambda connection: connection.execute("PRAGMA max_page_count = 1000000").close())


@asynccontextmanager
async def _small_files() -> AsyncIterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


async def test_a_save_that_was_begun_is_finished_though_its_caller_is_gone(store: SqliteStore) -> None:
    saving = asyncio.create_task(store.save("b", [user("u1")], placement="merge"))
    await asyncio.sleep(0)
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving
    saved = await save_and_load(store, "b", [user("u2")], placement="merge")
    assert ids(saved) == ["u1", "u2"]


async def test_writes_that_are_asked_for_together_are_one_transaction(store: SqliteStore) -> None:
    statements: list[str] = []
    await store.database.write(lambda connection: connection.set_trace_callback(statements.append))
    saves = [store.save(f"b{number}", [user("u1")], placement="merge") for number in range(5)]
    await asyncio.gather(*saves)
    assert statements.count("COMMIT") == 2, "that of the watch itself, and one for all of them"
    assert [ids(await store.load(f"b{number}")) for number in range(5)] == [["u1"]] * 5


async def test_what_comes_while_a_transaction_is_written_goes_into_the_next(store: SqliteStore) -> None:
    statements: list[str] = []
    goes_on = threading.Event()
    await store.database.write(lambda connection: connection.set_trace_callback(statements.append))
    slow = asyncio.create_task(store.database.write(lambda _: goes_on.wait(30)))
    while len(statements) < 2:  # the watch's own COMMIT, then that one's BEGIN
        await asyncio.sleep(0)
    saves = [asyncio.create_task(store.save(f"b{number}", [user("u1")], placement="merge")) for number in range(5)]
    await asyncio.sleep(0)
    goes_on.set()
    await asyncio.gather(slow, *saves)
    assert statements.count("COMMIT") == 3


async def test_a_write_that_fails_leaves_those_beside_it_standing(store: SqliteStore) -> None:
    def broken(connection: Connection) -> None:
        connection.execute("INSERT INTO prompt_templates VALUES ('lost', 1, '', '', '', '')")
        raise LookupError

    before, error, behind = await asyncio.gather(
        store.save("b1", [user("u1")], placement="merge"),
        store.database.write(broken),
        store.save("b2", [user("u2")], placement="merge"),
        return_exceptions=True,
    )
    assert isinstance(error, LookupError)
    assert (ids(before), ids(behind)) == (["u1"], ["u2"])
    assert await store.database.read("SELECT 1 FROM prompt_templates", {}) == []


async def test_closing_waits_for_what_is_being_written(opened: Opened) -> None:
    store = await opened()
    saving = asyncio.create_task(store.save("b", [user("u1")], placement="merge"))
    await asyncio.sleep(0)
    await store.close()
    assert ids(await saving) == ["u1"]


async def test_what_is_on_the_disk_is_synced_with_every_write(store: SqliteStore) -> None:
    names = ("journal_mode", "synchronous", "foreign_keys", "secure_delete")

    def read(connection: Connection) -> dict[str, object]:
        return {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names}

    pragmas = await store.database.write(read)
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
