"""From one schema to the next: with a backup, in one piece or not at all."""

from __future__ import annotations

import asyncio
import re
import signal
import sqlite3
import subprocess
import sys
from asyncio import create_subprocess_exec, gather
from contextlib import closing
from pathlib import Path

import pytest

from app.core.errors import StorageUnavailable
from app.storage.schema import _apply, _migrations, _objects, _schemas, _transaction, migrate
from app.storage.sqlite import open_store
from tests.storage.messages import Clock, Opened, connect, ids, user

pytestmark = pytest.mark.anyio

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("*.sql"))
"""A file of every schema that was ever released, as a dump."""
NEWEST = max(number for number, _ in _migrations())


def _old_file(path: Path, fixture: Path = FIXTURES[0]) -> None:
    with closing(connect(path)) as file:
        file.execute("PRAGMA journal_mode = WAL")
        file.executescript(fixture.read_text())


def _backups(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.*before*"), key=lambda backup: backup.name[-16:])


def _rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """What was said and set; columns that schema 1 has."""
    with closing(connect(path)) as file:
        return {
            "conversations": file.execute(
                "SELECT block_id, head, version, title, automatic_title, pinned, metadata, created_at, updated_at"
                " FROM conversations ORDER BY block_id"
            ).fetchall(),
            "messages": file.execute(
                "SELECT row, block_id, id, parent, role, fingerprint, origin, status, created_at, updated_at, text,"
                " body FROM messages ORDER BY row"
            ).fetchall(),
        }


def _schema(path: Path) -> int:
    """Which schema the file has, whole; -1 for a mix."""
    with closing(connect(path)) as file:
        numbers = [n for (n,) in file.execute("SELECT number FROM schema_migrations ORDER BY number")]
        assert numbers == list(range(1, len(numbers) + 1))
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        schemas = _schemas(dict(_migrations()))
        return len(numbers) if _objects(file) & schemas[-1] == schemas[len(numbers)] else -1


# Old files


def test_every_released_schema_has_a_fixture() -> None:
    assert [int(fixture.stem) for fixture in FIXTURES] == list(range(1, NEWEST))


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.stem)
async def test_an_old_file_becomes_a_new_one_with_everything_in_it(path: Path, opened: Opened, fixture: Path) -> None:
    _old_file(path, fixture)
    before = _rows(path)
    with closing(connect(path)) as connection:
        migrate(connection, path, Clock())
    assert _schema(path) == NEWEST
    assert _rows(path) == before
    store = await opened()
    garden = await store.load("garden")
    assert garden is not None
    assert (garden.title, garden.version, ids(garden)) == ("Fruit trees", 4, ["u1", "a3"])
    assert [branch.preview for branch in (await store.branches("garden"))[0]] == [
        "Wann pflanze ich Äpfel?",
        "When do I plant cherries?",
    ]
    assert [item.block_id for item in (await store.page()).items] == ["garden", "crash", "weather"]
    for query, found in (("cherr", "garden"), ("fruit", "garden"), ("天气", "weather"), ("once upon", "crash")):
        assert [item.block_id for item in (await store.page(query=query)).items] == [found]
    [elsewhere] = (await store.page(query="apfel")).items  # on another branch
    assert elsewhere.block_id == "garden"
    assert (await store.block("later"))["title"] == "No message yet"
    assert ids(await store.save("later", [user("u1")], placement="merge")) == ["u1"]


async def test_a_backup_of_an_old_file_is_kept_beside_it(path: Path, opened: Opened) -> None:
    _old_file(path)
    before = _rows(path)
    await (await opened()).close()
    [backup] = _backups(path)
    assert re.fullmatch(r"palaver\.db\.before-0002-20261121T1200\d\dZ", backup.name)
    assert backup.stat().st_mode & 0o077 == 0
    assert _schema(backup) == 1
    assert _rows(backup) == before
    assert {file.name for file in path.parent.iterdir()} == {"palaver.db", backup.name}


async def test_what_was_in_the_log_only_is_in_the_backup(path: Path) -> None:
    with closing(connect(path)) as writing:
        writing.execute("PRAGMA journal_mode = WAL")
        writing.executescript(FIXTURES[0].read_text())
        assert path.stat().st_size < path.with_name("palaver.db-wal").stat().st_size
        with closing(connect(path)) as connection:
            migrate(connection, path, Clock())
    [backup] = _backups(path)
    assert len(_rows(backup)["messages"]) == 10


async def test_a_new_file_and_one_of_this_schema_need_no_backup(path: Path, opened: Opened) -> None:
    for _ in range(2):
        await (await opened()).close()
    assert _backups(path) == []
    with closing(connect(path)) as file:
        assert [n for (n,) in file.execute("SELECT number FROM schema_migrations")] == list(range(1, NEWEST + 1))


async def test_the_last_three_backups_are_kept(path: Path) -> None:
    others = [f"palaver.db.before-{n:04d}-2025010{n}T000000Z" for n in (5, 2, 1, 4)]
    foreign = ["palaver.db.before-christmas", "notes.txt", "other.db.before-0001-20250101T000000Z"]
    for name in (*others, *foreign):
        path.with_name(name).write_text("")
    _old_file(path)
    with closing(connect(path)) as connection:
        migrate(connection, path, Clock())
    left = {file.name for file in path.parent.iterdir()}
    assert others[0] in left
    assert others[3] in left
    assert others[1] not in left
    assert others[2] not in left
    assert len([name for name in left if re.search(r"palaver\.db\.before-\d", name)]) == 3
    assert set(foreign) <= left


async def test_the_command_for_the_way_back_leads_back(path: Path, opened: Opened) -> None:
    _old_file(path)
    before = _rows(path)
    store = await opened()
    await store.save("new", [user("u1")], placement="merge")
    await store.close()
    with closing(connect(path)) as file:
        file.execute("DROP INDEX conversations_number")
    with pytest.raises(StorageUnavailable, match="half migrated") as raised:
        await opened()
    assert str(path.parent) not in raised.value.message
    command = raised.value.message.partition("in the data directory: ")[2]
    subprocess.run(["sh", "-c", command], cwd=path.parent, check=True)
    assert _schema(path) == 1
    assert _rows(path) == before
    assert ids(await (await opened()).load("weather")) == ["u1", "a1"]


# Refusals


async def _refused(path: Path, opened: Opened, match: str) -> str:
    before = path.read_bytes()
    with pytest.raises(StorageUnavailable, match=match) as raised:
        await opened()
    assert path.read_bytes() == before
    assert str(path.parent) not in raised.value.message
    return raised.value.message


async def test_a_file_of_a_newer_version_is_refused_and_left_alone(path: Path, opened: Opened) -> None:
    await (await opened()).close()
    with closing(connect(path)) as file:
        file.execute("INSERT INTO schema_migrations VALUES (999, '2030-01-01')")
    path.with_name("palaver.db.before-0999-20300101T000000Z").write_text("of a schema that is not known either")
    assert "cp" not in await _refused(path, opened, "newer")
    usable = f"palaver.db.before-{NEWEST + 1:04d}-20290101T000000Z"
    path.with_name(usable).write_text("")
    assert f"cp {usable} palaver.db" in await _refused(path, opened, "newer")


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE conversations ADD COLUMN number INTEGER",
        "CREATE VIEW searchable AS SELECT 1",
        "DROP INDEX messages_id",
        "ALTER TABLE messages DROP COLUMN text",
        "DELETE FROM schema_migrations",
        "UPDATE schema_migrations SET number = 2",
        "DROP TABLE schema_migrations",
        "INSERT INTO schema_migrations VALUES (0, '')",
    ],
)
async def test_a_half_migrated_file_is_refused_and_left_alone(path: Path, opened: Opened, change: str) -> None:
    _old_file(path)
    with closing(connect(path)) as file:
        file.execute(change)
    assert "Restore a backup of your own" in await _refused(path, opened, "half migrated")
    assert _backups(path) == []


async def test_what_somebody_added_to_the_file_does_not_matter(path: Path, opened: Opened) -> None:
    _old_file(path)
    with closing(connect(path)) as file:
        file.executescript("CREATE TABLE notes (text); CREATE INDEX mine ON messages (created_at); ANALYZE;")
    for _ in range(2):
        await (await opened()).close()


async def test_a_damaged_file_is_not_migrated(path: Path, opened: Opened) -> None:
    _old_file(path)
    with closing(connect(path)) as file:
        file.execute("PRAGMA foreign_keys = OFF")
        file.execute("UPDATE messages SET parent = 4711 WHERE row = 2")
    await _refused(path, opened, "damaged")
    assert _schema(path) == 1
    assert {file.name for file in path.parent.iterdir()} == {"palaver.db"}


async def test_without_room_for_a_backup_nothing_is_migrated(path: Path, opened: Opened) -> None:
    _old_file(path)
    path.with_name("palaver.db.unfinished-backup").mkdir()
    with pytest.raises(StorageUnavailable, match="backup"):
        await opened()
    assert _schema(path) == 1


async def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path, opened: Opened) -> None:
    path.write_bytes(b"Dear diary, " * 1000)
    await _refused(path, opened, "damaged")


async def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="folder") as raised:
        await open_store(tmp_path / "nowhere" / "palaver.db", now=Clock())
    assert str(tmp_path) not in raised.value.message


# Failures


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("-- Half of it works.\nCREATE TABLE half (x);\nINSERT INTO nowhere VALUES (';');\n", sqlite3.OperationalError),
        ("CREATE TABLE half (x);\nDELETE FROM messages WHERE row = 4;\n", StorageUnavailable),
        ("CREATE TABLE half (x);\nUPDATE messages SET parent = 4711 WHERE row = 2;\n", StorageUnavailable),
    ],
    ids=["an error", "a lost row", "a reference to nothing"],
)
async def test_a_migration_that_fails_leaves_no_trace(
    path: Path, opened: Opened, script: str, expected: type[Exception]
) -> None:
    _old_file(path)
    before = _rows(path)
    with closing(connect(path)) as connection, pytest.raises(expected), _transaction(connection, "BEGIN"):
        _apply(connection, 2, script)
    assert _schema(path) == 1
    assert _rows(path) == before
    assert ids(await (await opened()).load("weather")) == ["u1", "a1"]


MIGRATE_AND_DIE = """
import os, shutil, signal, sys
from itertools import count
from pathlib import Path
from app.storage.schema import migrate
from tests.storage.messages import Clock, connect

def migrate_and_die(path, statements):
    connection = connect(path)
    left = iter(range(statements))
    connection.set_trace_callback(lambda _: next(left, None) is None and os.kill(os.getpid(), signal.SIGKILL))
    migrate(connection, path, Clock())

old = Path(sys.argv[1])
for statements in count(0, 4):
    path = old.with_name(str(statements)) / old.name
    path.parent.mkdir()
    shutil.copy(old, path)
    child = os.fork()
    if child == 0:
        migrate_and_die(path, statements)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status == 0:
        break
"""


async def test_a_kill_at_any_statement_leaves_the_old_schema_or_the_new(path: Path) -> None:
    _old_file(path)
    before = _rows(path)
    process = await create_subprocess_exec(sys.executable, "-c", MIGRATE_AND_DIE, str(path))
    assert await process.wait() == 0
    killed = sorted((int(file.parent.name), file) for file in path.parent.glob("*/palaver.db"))
    schemas = [_schema(file) for _, file in killed]
    assert len(schemas) > 20
    assert schemas == sorted(schemas)
    assert set(schemas) == {1, NEWEST}
    for schema, (_, file) in zip(schemas, killed, strict=True):
        assert _rows(file) == before
        assert all(_schema(backup) == 1 for backup in _backups(file))
        assert schema == 1 or _backups(file)
    for _, file in killed[::8]:
        store = await open_store(file, now=Clock())
        assert ids(await store.load("garden")) == ["u1", "a3"]
        await store.close()
        assert _schema(file) == NEWEST


OPEN = """
import asyncio, sys
from pathlib import Path
from app.storage.sqlite import open_store
from tests.storage.messages import Clock

async def main():
    await (await open_store(Path(sys.argv[1]), now=Clock())).close()

asyncio.run(main())
"""


KILLED_WITH_ITS_BACKUP = """
import os, signal, sys

def no_further(event, arguments):
    if event == "os.rename" and str(arguments[0]).endswith("unfinished-backup"):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(no_further)
"""
"""On a busy machine the backup may be complete before anybody has seen that it has begun."""


async def test_a_kill_in_the_middle_of_the_backup_leaves_no_half_of_one(path: Path, opened: Opened) -> None:
    _old_file(path)
    with closing(connect(path)) as file:
        file.execute("CREATE TABLE big AS SELECT zeroblob(30000000) AS content")
    unfinished = path.with_name("palaver.db.unfinished-backup")
    process = await create_subprocess_exec(sys.executable, "-c", KILLED_WITH_ITS_BACKUP + OPEN, str(path))
    waiting = asyncio.create_task(process.wait())
    while not unfinished.exists() and not waiting.done():
        await asyncio.sleep(0)
    if not waiting.done():
        process.kill()
    assert await waiting == -signal.SIGKILL
    assert _schema(path) == 1
    assert _backups(path) == []
    await (await opened()).close()
    assert not unfinished.exists()
    assert [_schema(backup) for backup in _backups(path)] == [1]


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


@pytest.mark.parametrize("age", ["new", "old"])
async def test_several_processes_may_open_the_file_at_once(path: Path, opened: Opened, age: str) -> None:
    if age == "old":
        _old_file(path)
    processes = [
        await create_subprocess_exec(sys.executable, "-c", OPEN_AND_SAVE, str(path), f"u{n}") for n in range(4)
    ]
    assert await gather(*(process.wait() for process in processes)) == [0, 0, 0, 0]
    store = await opened()
    assert sorted(ids(await store.load("b"))) == ["u0", "u1", "u2", "u3"]
    assert len(_backups(path)) == (age == "old")
    await store.close()
