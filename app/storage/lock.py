"""One server for one data folder: a second one would take the running answers of the first for what a crash left."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.core.errors import StorageUnavailable

if sys.platform != "win32":  # which has no such locks: there, it is for people to see to it
    import fcntl

NAME = "palaver.lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder as long as this lasts. The system lets go of it when the process ends, however it ends.

    Raises:
        StorageUnavailable: another process, or another server of this one, has it.
    """
    if sys.platform == "win32":
        yield
        return
    with (folder / NAME).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            who = file.read(20).strip()
            process = f" (process {who})" if who.isdigit() else ""
            raise StorageUnavailable(
                f"Another Palaver{process} uses this data folder. Stop it first, or choose another folder with --data."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
