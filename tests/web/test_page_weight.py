"""What a browser has to load, counted."""

from __future__ import annotations

import gzip
from pathlib import Path

from starlette.testclient import TestClient

STATIC = Path(__file__).parents[2] / "static"


def test_all_styles_and_scripts_together_are_small() -> None:
    files = [file for ending in ("css", "js") for file in STATIC.rglob(f"*.{ending}")]
    sizes = {file.name: len(gzip.compress(file.read_bytes(), mtime=0)) for file in files}
    assert sum(sizes.values()) < 90_000, sizes


def test_an_empty_chat_is_a_small_page(client: TestClient) -> None:
    assert len(client.get("/").content) < 40_000
