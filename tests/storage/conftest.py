from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.storage.sqlite import SqliteStore, open_store
from tests.storage.messages import Clock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "palaver.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = await open_store(path, now=Clock())
    yield store
    await store.close()
