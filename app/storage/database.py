"""The SQLite file: one connection that writes, one that reads, and the only place where SQLite's errors are named.

Each connection has a thread of its own, so the event loop never waits for the disk. In WAL mode reading
does not wait for writing, not even while another process holds the file.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, closing, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

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
        self._writer = _Thread(writer)
        self._reader = _Thread(reader)
        self._busy_timeout = busy_timeout
        self._tenths: int | None = None
        """The busy timeout as the writing connection has it, in tenths of a second."""
        self._waiting: list[_Write[Any]] = []
        """For the next transaction."""
        self._commit: asyncio.Task[None] | None = None
        """The next transaction, or the last one."""
        self._committing = asyncio.Lock()

    async def read(self, sql: str, values: Mapping[str, Any]) -> Sequence[Row]:
        """The rows of one statement: one statement sees one state of the file."""
        return await self.query(lambda connection: connection.execute(sql, values).fetchall())

    async def query(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """What `work`, which only reads, makes of the rows that it asks for, in the connection's thread."""
        return await self._reader.do(work)

    async def write(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Do `work`, all of it or nothing, in the connection's thread. Once asked for it goes on to its end, even if
        the caller is cancelled. It is on the disk when this returns.

        What is asked for while another transaction is written, or in the same step of the event loop, goes into one
        transaction: the disk is waited for once for all of it.

        Raises:
            StorageUnavailable: another process held the file for longer than the busy timeout.
        """
        self._writer.check_open()
        # The time in the queue counts: if the file is locked, it was spent waiting for the same thing.
        write = _Write(work, time.monotonic() + self._busy_timeout)
        self._waiting.append(write)
        if len(self._waiting) == 1:
            self._commit = asyncio.ensure_future(self._write_waiting())
        assert self._commit is not None
        await asyncio.shield(self._commit)
        with storage_errors():
            return write.result()

    async def _write_waiting(self) -> None:
        """Raises nothing: each of the writes knows how it went."""
        async with self._committing:
            writes, self._waiting = self._waiting, []
            try:
                await self._writer.do(partial(self._transaction, writes))
            except Exception as error:  # noqa: BLE001 - for those who wait
                for write in writes:
                    write.error = error

    def _transaction(self, writes: Sequence[_Write[Any]], connection: sqlite3.Connection) -> None:
        self._wait_for(connection, writes[-1].deadline - time.monotonic())
        connection.execute("BEGIN IMMEDIATE")
        try:
            for write in writes:
                write.do(connection, apart=len(writes) > 1)
            connection.execute("COMMIT")
        except BaseException:
            connection.rollback()
            raise

    def _wait_for(self, connection: sqlite3.Connection, seconds: float) -> None:
        """Set the busy timeout, where it is not nearly that already: in a short queue it stays what it is."""
        tenths = max(0, math.ceil(seconds * 10))
        if tenths != self._tenths:
            connection.execute(f"PRAGMA busy_timeout = {tenths * 100}")
            self._tenths = tenths

    async def checkpoint(self) -> None:
        """Move what was written from the log into the file and empty the log, so that deleted text is in neither."""

        def checkpoint(connection: sqlite3.Connection) -> None:
            self._wait_for(connection, self._busy_timeout)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

        await self._writer.do(checkpoint)

    async def close(self) -> None:
        """When everything that was asked for is done."""
        await self._reader.close()
        while self._commit is not None and not self._commit.done():
            await asyncio.wait([self._commit])
        await self._writer.close()


class _Write(Generic[Result]):
    """What somebody waits for, and how it went."""

    def __init__(self, work: Callable[[sqlite3.Connection], Result], deadline: float) -> None:
        self.deadline = deadline
        self.error: Exception | None = None
        self._work = work
        self._results: list[Result] = []

    def do(self, connection: sqlite3.Connection, *, apart: bool) -> None:
        """In a transaction; `apart` from others in it, which stand though this one fails."""
        if not apart:
            self._results.append(self._work(connection))
            return
        connection.execute("SAVEPOINT one")
        try:
            self._results.append(self._work(connection))
        except Exception as error:
            if not connection.in_transaction:  # SQLite has given up all of it
                raise
            connection.execute("ROLLBACK TO one")
            self.error = error
        connection.execute("RELEASE one")

    def result(self) -> Result:
        if self.error is not None:
            raise self.error
        return self._results[0]


class _Thread:
    """A connection of aiosqlite's, in a thread of its own. Work is handed over whole: changing threads costs more than
    most statements.
    """

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._closed = False

    async def do(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """What `work` returns or raises. It is done to its end also when nobody waits for it any more."""
        self.check_open()
        with storage_errors():
            # aiosqlite has no public name for this, which is what all its methods are made of.
            return await self._connection._execute(work, self._connection._conn)  # type: ignore[no-any-return,no-untyped-call]  # noqa: SLF001

    def check_open(self) -> None:
        if self._closed:
            raise StorageUnavailable("The database is closed: the server is going down.")

    async def close(self) -> None:
        """When everything that was asked for is done."""
        if not self._closed:
            self._closed = True
            await self._connection.close()


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
            connect = partial(_connect, path, busy_timeout)
            writer = await stack.enter_async_context(aiosqlite.Connection(partial(connect, _TO_WRITE), _NO_CHUNKS))
            reader = await stack.enter_async_context(aiosqlite.Connection(partial(connect, _TO_READ), _NO_CHUNKS))
            stack.pop_all()
    return Database(writer, reader, busy_timeout)


_TO_WRITE = ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON")
_TO_READ = ("query_only = ON",)
_NO_CHUNKS = 1
"""Rows are never fetched through aiosqlite's cursors."""


def _connect(path: Path, busy_timeout: float, pragmas: Sequence[str]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=busy_timeout, isolation_level=None)
    connection.create_function("spaced", 1, spaced, deterministic=True)  # as in `schema`
    for pragma in ("trusted_schema = ON", *pragmas):
        connection.execute(f"PRAGMA {pragma}")
    return connection


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
