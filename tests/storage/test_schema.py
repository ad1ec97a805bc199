from __future__ import annotations

import sqlite3
import sys
from asyncio import create_subprocess_exec, gather
from contextlib import closing
from pathlib import Path

import pytest

from app.core.errors import StorageUnavailable
from app.storage.schema import _apply
from app.storage.sqlite import SqliteStore, open_store
from tests.storage.messages import Clock, Opened, ids, user

pytestmark = pytest.mark.anyio


async def test_every_migration_is_recorded_once(path: Path, opened: Opened) -> None:
    for _ in range(2):
        await (await opened()).close()
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT number FROM schema_migrations").fetchall() == [(1,)]


async def test_a_migration_that_fails_leaves_no_trace(store: SqliteStore) -> None:
    writer = store._database._writer
    with pytest.raises(sqlite3.OperationalError):
        await _apply(writer, 2, "-- Half of it works.\nCREATE TABLE half (x);\nINSERT INTO nowhere VALUES (';');\n")
    tables = await writer.execute_fetchall("SELECT name FROM sqlite_master WHERE name = 'half'")
    assert list(tables) == []
    assert ids(await store.save("b", [user("u1")], placement="merge")) == ["u1"]


async def test_a_file_of_a_newer_version_is_refused_and_left_alone(path: Path, opened: Opened) -> None:
    await (await opened()).close()
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("INSERT INTO schema_migrations VALUES (999, '2030-01-01')")
    before = path.read_bytes()
    with pytest.raises(StorageUnavailable, match="newer"):
        await opened()
    assert path.read_bytes() == before


async def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path, opened: Opened) -> None:
    path.write_bytes(b"Dear diary, " * 1000)
    with pytest.raises(StorageUnavailable, match="damaged"):
        await opened()
    assert path.read_bytes() == b"Dear diary, " * 1000


async def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="folder") as raised:
        await open_store(tmp_path / "nowhere" / "palaver.db", now=Clock())
    assert str(tmp_path) not in raised.value.message


OPEN_AND_SAVE = """
import asyncio, sys
from pathlib import Path
from app.storage.sqlite import open_store
from tests.storage.messages import Clock, user

async def main():
    store = await open_store(Path(sys.argv[1]), now=Clock())
    await store.save("b", [user(sys.argv[2])], placement="merge")
    await store.close()

asyncio.run(main())
"""


async def test_several_processes_may_make_the_file_at_once(path: Path, opened: Opened) -> None:
    processes = [
        await create_subprocess_exec(sys.executable, "-c", OPEN_AND_SAVE, str(path), f"u{n}") for n in range(4)
    ]
    assert await gather(*(process.wait() for process in processes)) == [0, 0, 0, 0]
    store = await opened()
    assert sorted(ids(await store.load("b"))) == ["u0", "u1", "u2", "u3"]
    await store.close()
