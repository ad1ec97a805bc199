"""Copies of the database from before a migration: `palaver.db.before-0002-20261121T120000Z` beside it.

A copy is whole or not there: it is written under another name, checked, forced to the disk and renamed.
"""

from __future__ import annotations

import os
import re
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from app.core.errors import StorageUnavailable

KEPT = 3


def keep_backup(path: Path, number: int, now: datetime) -> str:
    """Copy the database as it was last committed, for the time before migration `number`.

    Returns:
        The name of the copy.

    Raises:
        StorageUnavailable: the database is damaged.
        sqlite3.Error: it cannot be read, or the copy not be written.
        OSError: the folder cannot be written.
    """
    backup = path.with_name(f"{path.name}.before-{number:04d}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}")
    unfinished = path.with_name(f"{path.name}.unfinished-backup")
    unfinished.unlink(missing_ok=True)
    try:
        unfinished.touch(mode=0o600)
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(unfinished)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # then it is whole without a log beside it
            if not is_sound(copy):
                raise StorageUnavailable(
                    "The database file is damaged: nothing was changed. "
                    "Restore a backup, or choose another data directory."
                )
        _sync(unfinished)
        unfinished.replace(backup)
        _sync(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)
    return backup.name


def remove_old_backups(path: Path) -> None:
    for _, _, backup in _backups(path)[:-KEPT]:
        backup.unlink(missing_ok=True)


def way_back(path: Path, newest: int) -> str:
    """A sentence that says how to go back to the last backup that a program with schema `newest` can use."""
    usable = [backup.name for _, number, backup in _backups(path) if number <= newest + 1]
    if not usable:
        return "Restore a backup of your own, or choose another data directory."
    return (
        "To go back to the last backup, without what was saved since, run this in the data directory: "
        f"rm -f {path.name}-wal {path.name}-shm && cp {usable[-1]} {path.name}"
    )


def is_sound(connection: sqlite3.Connection) -> bool:
    """Whether SQLite finds nothing wrong, and every row is there that another one refers to."""
    problems = connection.execute("PRAGMA integrity_check(1)").fetchall()
    return problems == [("ok",)] and connection.execute("PRAGMA foreign_key_check").fetchone() is None


def _backups(path: Path) -> list[tuple[str, int, Path]]:
    """The backups of the database with their times and migrations, oldest first."""
    name = re.compile(re.escape(path.name) + r"\.before-(\d{4})-(\d{8}T\d{6}Z)")
    found = ((name.fullmatch(file.name), file) for file in path.parent.iterdir())
    return sorted((match[2], int(match[1]), file) for match, file in found if match is not None)


def _sync(path: Path) -> None:
    """Force a file's content or a folder's names to the disk."""
    if sys.platform == "win32" and path.is_dir():  # folders cannot be opened there
        return
    descriptor = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
