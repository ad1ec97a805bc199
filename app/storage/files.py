"""Attachments on disk: `<first two characters of the id>/<id>`, one file each, named by the hash of its content.

A file is either whole or not there: it is written beside its place, forced to the disk and renamed. So what a crash
leaves behind is at worst a `.part` file that nobody asks for.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from app.core.errors import StorageUnavailable
from app.core.files import HEAD_BYTES, file_id_of, media_type_of
from app.core.ports import StoredFile

_FILE_ID = re.compile(r"[0-9a-f]{64}")


class FileFolder:
    """Implements `core.ports.Files`."""

    def __init__(self, folder: Path) -> None:
        """`folder` comes into being with its first file."""
        self._folder = folder

    async def put(self, content: bytes) -> str:
        return await asyncio.to_thread(self._put, content)

    async def find(self, file_id: str) -> StoredFile | None:
        return await asyncio.to_thread(self._find, file_id)

    async def read(self, file_id: str) -> bytes | None:
        return await asyncio.to_thread(self._read, file_id)

    async def remove(self, file_ids: Iterable[str]) -> None:
        await asyncio.to_thread(self._remove, [self._path(file_id) for file_id in file_ids])

    async def older_than(self, seconds: float) -> frozenset[str]:
        return await asyncio.to_thread(self._older_than, seconds)

    def _path(self, file_id: str) -> Path:
        assert _FILE_ID.fullmatch(file_id), "not an id of ours"
        return self._folder / file_id[:2] / file_id

    def _put(self, content: bytes) -> str:
        file_id = file_id_of(content)
        path = self._path(file_id)
        with _storage_errors():
            try:
                os.utime(path)  # as new as if it had been written now, for `older_than`
            except FileNotFoundError:
                self._write(path, content)
        return file_id

    def _write(self, path: Path, content: bytes) -> None:
        for folder in (self._folder, path.parent):
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700, parents=True)
                _sync_folder(folder.parent)
        part = path.with_name(f"{path.name}.{token_hex(8)}.part")
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)

    def _find(self, file_id: str) -> StoredFile | None:
        if _FILE_ID.fullmatch(file_id) is None:
            return None
        path = self._path(file_id)
        with _storage_errors():
            try:
                with path.open("rb") as file:
                    head, size = file.read(HEAD_BYTES), os.fstat(file.fileno()).st_size
            except FileNotFoundError:
                return None
        return StoredFile(str(path), size, media_type_of(head))

    def _read(self, file_id: str) -> bytes | None:
        if _FILE_ID.fullmatch(file_id) is None:
            return None
        with _storage_errors():
            try:
                return self._path(file_id).read_bytes()
            except FileNotFoundError:
                return None

    def _remove(self, paths: Iterable[Path]) -> None:
        with _storage_errors():
            for path in paths:
                path.unlink(missing_ok=True)

    def _older_than(self, seconds: float) -> frozenset[str]:
        limit = time.time() - seconds
        old: set[str] = set()
        with _storage_errors():
            for path in self._folder.glob("[0-9a-f][0-9a-f]/*"):
                try:
                    if path.stat().st_mtime > limit:
                        continue
                except FileNotFoundError:  # removed, or renamed to its place, since it was listed
                    continue
                if _FILE_ID.fullmatch(path.name):
                    old.add(path.name)
                elif path.suffix == ".part":
                    path.unlink(missing_ok=True)
        return frozenset(old)


def _sync_folder(folder: Path) -> None:
    """A name is on the disk once its folder is."""
    if sys.platform == "win32":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = "The disk is full: the file was not saved. Make room and try again."
        else:
            message = "The folder of the attached files cannot be used. Check that its disk is there and writable."
        raise StorageUnavailable(message) from error
