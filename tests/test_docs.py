"""The documentation knows every URL and every error code that the code knows."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from starlette.routing import Route

from app.core.errors import AppError
from app.web.routes import routes
from tests.server_process import ROOT

DOCS = "\n".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))


def endpoints() -> Iterator[tuple[str, str]]:
    """Method and path, such as `POST` and `/api/ai/chat/{blockId}`."""
    for route in routes(ROOT / "static"):
        if isinstance(route, Route):
            path = route.path.replace("{block_id}", "{blockId}").replace("{chat_id:path}", "{chatId}")
            path = path.replace("{message_id:path}", "{messageId}").replace("{path:path}", "{path}")
            path = path.replace("{model:path}", "{model}")
            yield from ((method, path) for method in sorted((route.methods or set()) - {"HEAD"}))


def codes(error: type[AppError]) -> Iterator[str]:
    yield error.code
    for kind in error.__subclasses__():
        yield from codes(kind)


def refusals() -> Iterator[str]:
    """The codes that the web layer gives without a class of their own."""
    for path in (ROOT / "app/web").glob("*.py"):
        yield from re.findall(r'Refusal\(\s*\d+,\s*"(\w+)"', path.read_text())


@pytest.mark.parametrize(("method", "path"), list(endpoints()))
def test_every_endpoint_is_documented(method: str, path: str) -> None:
    """As `GET /path`, or as `/path` where the method goes without saying; a query may follow."""
    assert re.search(rf"`({method} )?{re.escape(path)}[`?]", DOCS)


@pytest.mark.parametrize("code", sorted({*codes(AppError), *refusals()}))
def test_every_error_code_is_documented(code: str) -> None:
    assert f"`{code}`" in DOCS
