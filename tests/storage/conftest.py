from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from app.storage.sqlite import SqliteStore, open_store
from tests.storage.messages import Clock, Opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "palaver.db"


@pytest.fixture
async def opened(path: Path) -> AsyncIterator[Opened]:
    """Opens the file once more; what it opened is closed at the end, also after a failure."""
    async with AsyncExitStack() as stack:

        async def open_another(**options: Any) -> SqliteStore:
            store = await open_store(path, now=Clock(), **options)
            stack.push_async_callback(store.close)
            return store

        yield open_another


@pytest.fixture
async def store(opened: Opened) -> SqliteStore:
    return await opened()
