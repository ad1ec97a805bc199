"""The SQLite file: one connection that writes, one that reads, and the only place where SQLite's errors are named.

Each connection has a thread of its own (aiosqlite), so the event loop never waits for the disk. In WAL mode reading
does not wait for writing, not even while another process holds the file.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from app.core.errors import StorageUnavailable
from app.storage.schema import migrate
from app.storage.words import spaced

Result = TypeVar("Result")
Row = sqlite3.Row

RETRY_AFTER = 2.0
"""Seconds after which another try makes sense when the file was locked."""


class Database:
    def __init__(self, writer: aiosqlite.Connection, reader: aiosqlite.Connection, busy_timeout: float) -> None:
        self._writer = writer
        self._reader = reader
        self._busy_timeout = busy_timeout
        self._lock = asyncio.Lock()
        self._writing: set[asyncio.Task[Any]] = set()

    async def read(self, sql: str, values: Mapping[str, Any]) -> Sequence[Row]:
        """The rows of one statement: one statement sees one state of the file."""
        with storage_errors():
            return list(await self._reader.execute_fetchall(sql, values))

    async def write(self, work: Callable[[aiosqlite.Connection], Awaitable[Result]]) -> Result:
        """Do `work` in one transaction. Once begun it goes on to its end, even if the caller is cancelled.

        Raises:
            StorageUnavailable: another process held the file for longer than the busy timeout.
        """
        task = asyncio.create_task(self._transaction(work))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return await asyncio.shield(task)

    async def checkpoint(self) -> None:
        """Move what was written from the log into the file and empty the log, so that deleted text is in neither."""
        with storage_errors():
            async with self._lock:
                await set_busy_timeout(self._writer, self._busy_timeout)
                await self._writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")

    async def close(self) -> None:
        if self._writing:
            await asyncio.wait(self._writing)
        await self._reader.close()
        await self._writer.close()

    async def _transaction(self, work: Callable[[aiosqlite.Connection], Awaitable[Result]]) -> Result:
        now = asyncio.get_running_loop().time
        deadline = now() + self._busy_timeout
        async with self._lock:
            with storage_errors():
                # The time in the queue counts: if the file is locked, it was spent waiting for the same thing.
                await set_busy_timeout(self._writer, deadline - now())
                await self._writer.execute_fetchall("BEGIN IMMEDIATE")
                try:
                    result = await work(self._writer)
                    await self._writer.execute_fetchall("COMMIT")
                except BaseException:
                    await self._writer.rollback()
                    raise
                return result


async def open_database(path: Path, busy_timeout: float, now: Callable[[], datetime]) -> Database:
    """Open the file, made if need be, and bring it to the newest schema.

    Args:
        path: in a folder that exists.
        busy_timeout: seconds that a write waits for another process.
        now: the time of day, for the name of a backup.

    Raises:
        StorageUnavailable: it cannot be opened, is no database, or has a schema that this program does not know.
    """
    with storage_errors():
        await asyncio.to_thread(_prepare, path, busy_timeout, now)
        async with AsyncExitStack() as stack:
            writer = await stack.enter_async_context(aiosqlite.connect(path, isolation_level=None))
            await set_busy_timeout(writer, busy_timeout)
            for pragma in ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
                await writer.execute_fetchall(f"PRAGMA {pragma}")
            reader = await stack.enter_async_context(aiosqlite.connect(path, isolation_level=None))
            await set_busy_timeout(reader, busy_timeout)
            await reader.execute_fetchall("PRAGMA query_only = ON")
            for connection in (writer, reader):
                await connection.create_function("spaced", 1, spaced, deterministic=True)  # as in `schema`
                await connection.execute_fetchall("PRAGMA trusted_schema = ON")
            stack.pop_all()
        return Database(writer, reader, busy_timeout)


def _prepare(path: Path, busy_timeout: float, now: Callable[[], datetime]) -> None:
    """Make the file, which nobody else may read (what SQLite puts beside it gets the same rights), and its schema."""
    try:
        path.touch(mode=0o600)
    except OSError as error:
        raise StorageUnavailable("The database cannot be opened. Its folder must exist and be writable.") from error
    with closing(sqlite3.connect(path, timeout=busy_timeout, isolation_level=None)) as connection:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
            connection.execute(f"PRAGMA {pragma}")
        migrate(connection, path, now)


async def set_busy_timeout(connection: aiosqlite.Connection, seconds: float) -> None:
    await connection.execute_fetchall(f"PRAGMA busy_timeout = {max(0, round(seconds * 1000))}")


@contextmanager
def storage_errors() -> Iterator[None]:
    """SQLite's errors as StorageUnavailable, where waiting or making room helps; the rest are bugs and stay."""
    try:
        yield
    except sqlite3.Error as error:
        match getattr(error, "sqlite_errorcode", 0) & 0xFF:  # the low byte; the rest is detail
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                raise StorageUnavailable(
                    "The database is busy: nothing was saved. Try again in a moment.", retry_after=RETRY_AFTER
                ) from error
            case sqlite3.SQLITE_FULL:
                raise StorageUnavailable("The disk is full: nothing was saved. Make room and try again.") from error
            case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
                raise StorageUnavailable(
                    "The database cannot be written: nothing was saved. Check that its disk has room and is writable."
                ) from error
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                raise StorageUnavailable(
                    "The database file is damaged, or is none. Restore a backup or choose another data directory."
                ) from error
            case _:
                raise
