"""What every test gets: asyncio, and an environment without anybody's keys."""

from __future__ import annotations

import os

import pytest

from app.providers.catalog import CATALOG


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reaches a real service by accident, and none depends on the settings of whoever runs it."""
    keys = {service.key_env for service in CATALOG.values() if service.key_env}
    for name in list(os.environ):
        if name in keys or name.startswith(("PALAVER_", "ANTHROPIC_", "OPENAI_")):
            monkeypatch.delenv(name)
