"""The pictures of the page, which `make screenshots` makes."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PICTURES = list((ROOT / "docs" / "screenshots").glob("*.png"))


def test_pictures_are_small() -> None:
    sizes = {picture.name: picture.stat().st_size for picture in PICTURES}
    assert max(sizes.values()) < 150_000, sizes
    assert sum(sizes.values()) < 1_200_000, sizes


def test_the_readme_shows_the_chat_in_both_themes() -> None:
    named = re.findall(r"docs/screenshots/([\w-]+\.png)", (ROOT / "README.md").read_text())
    assert {"chat-light.png", "chat-dark.png"} <= set(named) <= {picture.name for picture in PICTURES}
