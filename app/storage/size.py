"""How much room the data takes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def folder_size(folder: Path) -> int:
    """Bytes of all files in it; one that goes away meanwhile counts for nothing."""
    size = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            size += path.lstat().st_size if path.is_file() else 0
    return size
