"""`/api/ai/search/index`: how far the vectors for the search by meaning have come, and making them anew."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app.web.body import read_object
from app.web.deps import State
from app.web.requests import deps_of
from app.web.responses import JSONAnswer


async def get_index(request: Request[State]) -> Response:
    state = await deps_of(request).search_index.state()
    said = {"preset": state.preset, "model": state.model, "problem": state.problem}
    return JSONAnswer(
        {
            "enabled": state.preset is not None,
            "done": state.progress.done,
            "total": state.progress.total,
            **{name: text for name, text in said.items() if text is not None},
        }
    )


async def post_index(request: Request[State]) -> Response:
    """Make all vectors anew."""
    await read_object(request)
    await deps_of(request).search_index.restart()
    answer = await get_index(request)
    answer.status_code = 202
    return answer
