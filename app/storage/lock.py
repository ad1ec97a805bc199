"""One server for one data folder: a second one would take the running answers of the first for what a crash left."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.core.errors import StorageUnavailable

if sys.platform != "win32":  # which has no such locks: there, it is for people to see to it
    import fcntl

NAME = "palaver.lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder as long as this lasts. The system lets go of it when the process ends, however it ends.

    Raises:
        StorageUnavailable: another process, or another server of this one, has it; or it cannot be written.
    """
    if sys.platform == "win32":
        yield
        return
    try:
        file = (folder / NAME).open("a+")
    except OSError as error:
        raise StorageUnavailable(
            f"The data folder cannot be used: {error.strerror}. Make it writable, or choose another with --data."
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            who = file.read(20).strip()
            process = f" (process {who})" if who.isdigit() else ""
            raise StorageUnavailable(
                f"Another Palaver{process} uses this data folder. Stop it first, or choose another folder with --data."
            ) from None
        with suppress(OSError):  # the disk may be full; who has the folder is a courtesy
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), str(os.getpid()).encode())
        yield
