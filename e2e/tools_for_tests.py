"""Tools of one's own, for the end-to-end tests: one that takes as long as a test wants, and one that asks first."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import httpx2

TOOL_POLICY = {"delete_file": "ask"}


async def ask_service() -> AsyncIterator[str]:
    """Ask the service that the tests have in their hands."""
    yield "asking"
    async with httpx2.AsyncClient() as client:
        answer = await client.post(f"{os.environ['UPSTREAM_URL']}/ask")
    yield answer.text


def delete_file(path: str) -> dict[str, str]:
    """Delete a file, so to speak."""
    return {"deleted": path}
