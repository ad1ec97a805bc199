"""The numbered migrations `migrations/NNNN_name.sql`: each runs once, all that are missing in one transaction, after a
backup.

A process that is killed at any point leaves the old schema or the new one. A file that has neither is refused.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from importlib import resources
from pathlib import Path

from app.core.errors import StorageUnavailable
from app.storage.backups import is_sound, keep_backup, remove_old_backups, way_back
from app.storage.words import spaced

log = logging.getLogger(__name__)


def migrate(connection: sqlite3.Connection, path: Path, now: Callable[[], datetime]) -> None:
    """Bring the file to the newest schema. Several processes may do this at the same time.

    Args:
        connection: to the file, with `isolation_level=None`.
        path: of the file; the backup goes beside it.
        now: the time of day, for the name of the backup.

    Raises:
        StorageUnavailable: the file is from a newer program, half migrated or damaged, or no backup can be made.
        sqlite3.Error: it is no database, is locked, or the disk is full. In any case the file is as it was.
    """
    _add_functions(connection)
    migrations = dict(_migrations())
    newest = max(migrations)
    with _transaction(connection, "BEGIN"):
        if _read_version(connection, path, migrations) == newest:
            return
    backup = None
    with _transaction(connection, "BEGIN IMMEDIATE"):
        version = _read_version(connection, path, migrations)
        if version == newest:  # another process was faster
            return
        if version > 0:
            backup = _keep_backup(path, version + 1, now())
        for number in range(version + 1, newest + 1):
            _apply(connection, number, migrations[number])
    log.info("database migrated", extra={"schema": newest, "backup": backup or "none"})
    if backup is not None:
        remove_old_backups(path)


def _add_functions(connection: sqlite3.Connection) -> None:
    """What triggers and views call; `database` gives it to its own connections in the same way."""
    connection.create_function("spaced", 1, spaced, deterministic=True)
    connection.execute("PRAGMA trusted_schema = ON")  # some builds of SQLite would not let a trigger call it


def _keep_backup(path: Path, number: int, now: datetime) -> str:
    try:
        return keep_backup(path, number, now)
    except OSError as error:
        raise StorageUnavailable(
            f"The database must be brought to schema {number}, and no backup can be made beside it: nothing was "
            "changed. Make its folder writable, or make room."
        ) from error


def _apply(connection: sqlite3.Connection, number: int, script: str) -> None:
    """Raises StorageUnavailable where the result is not sound, or rows are missing."""
    before = _count_rows(connection)
    for statement in _statements(script):
        connection.execute(statement)
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations (number INTEGER PRIMARY KEY, applied_at TEXT NOT NULL)"
    )
    connection.execute("INSERT INTO schema_migrations VALUES (?, strftime('%Y-%m-%dT%H:%M:%SZ'))", (number,))
    after = _count_rows(connection)
    lost = any(after.get(table, count) != count for table, count in before.items())
    if lost or not is_sound(connection):
        raise StorageUnavailable(
            f"The database cannot be brought to schema {number} without a loss: nothing was changed. Please report "
            "this, and go on with the Palaver that wrote it."
        )


def _read_version(connection: sqlite3.Connection, path: Path, migrations: Mapping[int, str]) -> int:
    """The file's schema, 0 for a new file.

    Raises:
        StorageUnavailable: it is one that this program does not know, or none at all.
    """
    applied: list[int] = []
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_migrations'").fetchone():
        applied = [number for (number,) in connection.execute("SELECT number FROM schema_migrations ORDER BY number")]
    version, newest = max(applied, default=0), max(migrations)
    if version > newest:
        raise StorageUnavailable(
            f"The database has schema {version} and this program knows {newest}: a newer Palaver has written it. "
            f"Start that version. {way_back(path, newest)}"
        )
    schemas = _schemas(migrations)
    known = set[str]().union(*schemas)
    if applied != list(range(1, version + 1)) or _objects(connection) & known != schemas[version]:
        raise StorageUnavailable(
            f"The database is half migrated: it says that it has schema {version} and has not. {way_back(path, newest)}"
        )
    return version


def _schemas(migrations: Mapping[int, str]) -> list[set[str]]:
    """What each schema consists of, from 0 on."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        _add_functions(connection)
        schemas = [_objects(connection)]
        for number in sorted(migrations):
            for statement in _statements(migrations[number]):
                connection.execute(statement)
            schemas.append(_objects(connection))
    return schemas


_OBJECTS = """
WITH ours AS (
  SELECT type, name FROM sqlite_master
  WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!' AND name <> 'schema_migrations'
    AND NOT EXISTS ( -- what a virtual table keeps is its own affair
      SELECT 1 FROM sqlite_master AS virtual
      WHERE virtual.sql LIKE 'CREATE VIRTUAL TABLE%' AND sqlite_master.name GLOB virtual.name || '_*')
)
SELECT type || ' ' || name FROM ours
UNION ALL
SELECT 'column ' || ours.name || '.' || columns.name
FROM ours JOIN pragma_table_info(ours.name) AS columns WHERE ours.type = 'table'
"""


def _objects(connection: sqlite3.Connection) -> set[str]:
    """The names of all tables, columns, indexes, views and triggers."""
    return {name for (name,) in connection.execute(_OBJECTS)}


def _count_rows(connection: sqlite3.Connection) -> dict[str, int]:
    tables = [name.removeprefix("table ") for name in _objects(connection) if name.startswith("table ")]
    return {table: connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in tables}  # noqa: S608  # its own names


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def _migrations() -> Iterator[tuple[int, str]]:
    for file in resources.files("app.storage").joinpath("migrations").iterdir():
        if file.name.endswith(".sql"):
            yield int(file.name.partition("_")[0]), file.read_text(encoding="utf-8")


def _statements(script: str) -> Iterator[str]:
    """One by one: sqlite3's `executescript` would commit first and end the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
