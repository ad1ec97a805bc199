"""Is the process alive, and can it do its work."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app.web.deps import State
from app.web.requests import deps_of
from app.web.responses import JSONAnswer


async def get_health(_: Request[State]) -> Response:
    """Alive. Touches nothing, so it answers while everything else is slow."""
    return JSONAnswer({"status": "ok"})


async def get_ready(request: Request[State]) -> Response:
    """Ready to take turns: the database answers. A 503 with the reason where it does not."""
    await deps_of(request).store.page(limit=1)
    return JSONAnswer({"status": "ready"})
