from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.storage.files import FileFolder
from app.storage.sqlite import SqliteStore, open_store
from tests.tools.moment import NOW


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = await open_store(tmp_path / "palaver.db", now=lambda: NOW)
    yield opened
    await opened.close()


@pytest.fixture
def files(tmp_path: Path) -> FileFolder:
    return FileFolder(tmp_path / "files")
