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
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from app.core.errors import StorageUnavailable
from app.storage.schema import migrate
from app.storage.words import spaced

Result = TypeVar("Result")
Row = sqlite3.Row

RETRY_AFTER = 2.0
"""Seconds after which another try makes sense when the file was locked."""


class Database:
    def __init__(self, writer: sqlite3.Connection, reader: sqlite3.Connection, busy_timeout: float) -> None:
        self._writer = _Thread(writer)
        self._reader = _Thread(reader)
        self._busy_timeout = busy_timeout
        self._tenths: int | None = None
        """The busy timeout as the writing connection has it, in tenths of a second."""

    async def read(self, sql: str, values: Mapping[str, Any]) -> Sequence[Row]:
        """The rows of one statement: one statement sees one state of the file."""
        return await self.query(lambda connection: connection.execute(sql, values).fetchall())

    async def query(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """What `work`, which only reads, makes of one statement's rows, in the connection's thread."""
        return await self._reader.do(work)

    async def write(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Do `work` in one transaction, one after the other, in the connection's thread. Once asked for it goes on to
        its end, even if the caller is cancelled.

        Raises:
            StorageUnavailable: another process held the file for longer than the busy timeout.
        """
        # The time in the queue counts: if the file is locked, it was spent waiting for the same thing.
        deadline = time.monotonic() + self._busy_timeout

        def transaction(connection: sqlite3.Connection) -> Result:
            self._wait_for(connection, deadline - time.monotonic())
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                connection.rollback()
                raise
            return result

        return await self._writer.do(transaction)

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
        await self._writer.close()


class _Thread:
    """A connection and the thread that it is used in. Work is handed over whole: changing threads costs more than most
    statements.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._closed = False
        Thread(target=self._serve, name="sqlite", daemon=True).start()

    async def do(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """What `work` returns or raises. It is done to its end also when nobody waits for it any more."""
        with storage_errors():
            return await self._hand_over(work)

    async def close(self) -> None:
        """When everything that was asked for is done."""
        if not self._closed:
            closed = self._hand_over(sqlite3.Connection.close)
            self._closed = True
            self._queue.put(None)
            await closed

    def _hand_over(self, work: Callable[[sqlite3.Connection], Result]) -> asyncio.Future[Result]:
        if self._closed:
            raise StorageUnavailable("The database is closed: the server is going down.")
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Result] = loop.create_future()

        def do() -> None:
            try:
                tell = partial(_tell, outcome, work(self._connection), None)
            except BaseException as error:  # noqa: BLE001 - it is raised again where somebody waits for it
                tell = partial(_tell, outcome, None, error)
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(tell)

        self._queue.put(do)
        return outcome

    def _serve(self) -> None:
        while (do := self._queue.get()) is not None:
            do()


def _tell(outcome: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if outcome.done():
        return
    if error is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(result)


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
        writer, reader = await asyncio.to_thread(_open, path, busy_timeout, now)
    return Database(writer, reader, busy_timeout)


def _open(
    path: Path, busy_timeout: float, now: Callable[[], datetime]
) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """One connection to write and one to read."""
    _prepare(path, busy_timeout, now)
    with ExitStack() as stack:
        writer = stack.enter_context(closing(_connect(path, busy_timeout)))
        for pragma in ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
            writer.execute(f"PRAGMA {pragma}")
        reader = stack.enter_context(closing(_connect(path, busy_timeout)))
        reader.execute("PRAGMA query_only = ON")
        stack.pop_all()
    return writer, reader


def _connect(path: Path, busy_timeout: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=busy_timeout, isolation_level=None, check_same_thread=False)
    connection.create_function("spaced", 1, spaced, deterministic=True)  # as in `schema`
    connection.execute("PRAGMA trusted_schema = ON")
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
