"""The numbered migrations `migrations/NNNN_name.sql`: each runs once, in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from importlib import resources

import aiosqlite

from app.core.errors import StorageUnavailable


async def migrate(connection: aiosqlite.Connection) -> None:
    """Bring the file to the newest schema. Several processes may do this at the same time.

    Raises:
        StorageUnavailable: the file is newer than this program.
    """
    migrations = dict(_migrations())
    await connection.execute_fetchall(
        "CREATE TABLE IF NOT EXISTS schema_migrations (number INTEGER PRIMARY KEY, applied_at TEXT NOT NULL)"
    )
    version, newest = await _version(connection), max(migrations)
    if version > newest:
        raise StorageUnavailable(
            f"The database has schema {version} and this program knows {newest}: a newer Palaver has written it. "
            "Start that version, or choose another data directory."
        )
    for number in sorted(number for number in migrations if number > version):
        await _apply(connection, number, migrations[number])


async def _apply(connection: aiosqlite.Connection, number: int, script: str) -> None:
    await connection.execute_fetchall("BEGIN IMMEDIATE")
    try:
        if number > await _version(connection):
            for statement in _statements(script):
                await connection.execute_fetchall(statement)
            await connection.execute_fetchall(
                "INSERT INTO schema_migrations VALUES (:number, strftime('%Y-%m-%dT%H:%M:%SZ'))", {"number": number}
            )
        await connection.execute_fetchall("COMMIT")
    except BaseException:
        await connection.rollback()
        raise


async def _version(connection: aiosqlite.Connection) -> int:
    [(version,)] = await connection.execute_fetchall("SELECT coalesce(max(number), 0) FROM schema_migrations")
    return int(version)


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
