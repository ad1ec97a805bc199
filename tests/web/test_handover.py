from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from starlette.routing import Route

from app.web.handover import block_of, path_of, worker_of
from app.web.routes import routes

WITH_BLOCK = {route.path for route in routes(Path("static")) if isinstance(route, Route) and "{block_id}" in route.path}


@pytest.mark.parametrize("path", sorted(WITH_BLOCK))
def test_every_address_with_a_block_belongs_to_its_worker(path: str) -> None:
    """An address that is not recognised would be answered by a process that knows nothing of the block's run."""
    assert block_of(path.replace("{block_id}", "b:1")) == "b:1"


@pytest.mark.parametrize("path", ["/", "/health", "/api/ai/conversations", "/api/ai/presets", "/c/", "/static/c/x"])
def test_other_addresses_are_anybodys(path: str) -> None:
    assert block_of(path) is None


def test_a_block_keeps_its_worker() -> None:
    """From one version to the next as well: a restart must find whom an interrupted answer belongs to."""
    assert [worker_of(block, 4) for block in ("b1", "b2", "a:b", "Jx4_-0")] == [0, 2, 0, 3]
    shares = Counter(worker_of(f"block-{number}", 4) for number in range(4000))
    assert all(800 < share < 1200 for share in shares.values())


@pytest.mark.parametrize(
    ("request_bytes", "path"),
    [
        (b"GET /c/b1 HTTP/1.1\r\n", "/c/b1"),
        (b"\r\n\r\nPOST /api/ai/chat/b1?preset=x HTTP/1.1\r\nhost: a\r\n", "/api/ai/chat/b1"),
        (b"GET http://127.0.0.1:8000/c/b1 HTTP/1.1\r\n", "/c/b1"),
        (b"GET /c/b%31 HTTP/1.1\r\n", "/c/b1"),
        (b"GET /%63/b1 HTTP/1.0\r\n", "/c/b1"),
        (b"OPTIONS * HTTP/1.1\r\n", "*"),
        (b"CONNECT a:1 HTTP/1.1\r\n", None),
        (b"GET /c/\xff HTTP/1.1\r\n", None),
        (b"\x16\x03\x01 tls", None),
        (b"GET  /c/b1 HTTP/1.1\r\n", None),
    ],
    ids=range(10),
)
def test_the_first_line_tells_the_path(request_bytes: bytes, path: str | None) -> None:
    assert path_of(request_bytes) == path
