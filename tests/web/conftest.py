"""A small application behind the guard, in process or on a real socket."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from app.core.errors import ProviderRateLimited, StorageUnavailable
from app.main import create_app, open_deps
from app.settings.server import ServerSettings
from app.web import auth
from app.web.body import read_object
from app.web.errors import exception_handlers
from app.web.protocol import HttpProtocol
from app.web.security import Guard, SecurityPolicy
from app.web.templates import create_templates

ROOT = Path(__file__).parents[2]


@dataclass
class House:
    """The application, and what got through to it."""

    policy: SecurityPolicy
    calls: list[str] = field(default_factory=list)

    def app(self) -> ASGIApp:
        inside = Starlette(
            routes=[
                Route("/api/ai/chat/{block_id}", self.stream, methods=["POST", "GET"]),
                Route("/api/ai/chat/{block_id}/stop", self.stop, methods=["POST"]),
                Route("/api/ai/conversations/{block_id}", self.load, methods=["GET"]),
                Route("/api/ai/conversations/{block_id}", self.save, methods=["POST", "DELETE"]),
                Route("/api/ai/blocks/{block_id}", self.save, methods=["PATCH"]),
                Route("/v1/messages", self.save, methods=["POST"]),
                Route("/api/unread", self.stop, methods=["POST"]),
                Route("/api/bug", self.bug, methods=["GET", "POST"]),
                Route("/api/late-bug", self.late_bug),
                Route("/api/endless", self.endless),
                Route("/api/busy", self.busy),
                Route("/health", self.health),
                Route("/login", auth.get_login, methods=["GET"]),
                Route("/login", auth.post_login, methods=["POST"]),
                Route("/logout", auth.post_logout, methods=["POST"]),
                Route("/", self.page),
                Route("/bug", self.bug),
                Route("/busy", self.busy),
                Route("/c/{block_id}", self.page, methods=["GET"]),
                Route("/c/{block_id}", self.save_form, methods=["POST"]),
                Mount("/static", StaticFiles(directory=ROOT / "static")),
            ],
            exception_handlers=exception_handlers,
            lifespan=_lifespan,
        )
        return Guard(inside, self.policy)

    async def stream(self, request: Request) -> Response:
        """What the model would be asked: every call counts."""
        value = await read_object(request) if request.method == "POST" else {}
        self.calls.append(request.method)

        async def chunks() -> AsyncGenerator[bytes, None]:
            yield b'data: {"type":"start"}\n\n'
            yield b"data: %d\n\n" % len(value)

        return StreamingResponse(chunks(), media_type="text/event-stream", headers={"cache-control": "no-cache"})

    async def stop(self, request: Request) -> Response:
        """Does not look at the body."""
        self.calls.append("stop")
        return JSONResponse({"stopped": True})

    async def load(self, request: Request) -> Response:
        self.calls.append("load")
        return JSONResponse({"messages": ["private"]}, headers={"etag": '"1"'})

    async def save(self, request: Request) -> Response:
        value = await read_object(request) if request.method != "DELETE" else {}
        self.calls.append("save")
        return JSONResponse({"keys": sorted(value)})

    async def save_form(self, request: Request) -> Response:
        async with request.form() as form:
            self.calls.append("form")
            return HTMLResponse(f"<p>{len(form)}</p>")

    async def page(self, request: Request) -> Response:
        return HTMLResponse("<p>private</p>")

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def bug(self, request: Request) -> Response:
        raise RuntimeError("sk-secret-in-an-exception")

    async def late_bug(self, request: Request) -> Response:
        async def chunks() -> AsyncGenerator[bytes, None]:
            yield b"first"
            raise RuntimeError("in mid stream")

        return StreamingResponse(chunks())

    async def endless(self, request: Request) -> Response:
        async def chunks() -> AsyncGenerator[bytes, None]:
            while True:
                yield b"data: " + b"x" * 1_000_000 + b"\n\n"

        return EventSourceResponse(chunks(), send_timeout=0.2)

    async def busy(self, request: Request) -> Response:
        if "storage" in request.query_params:
            raise StorageUnavailable("The database is locked. Try again.", retry_after=0.2)
        raise ProviderRateLimited("The model service is busy.", retry_after=6.1)


@asynccontextmanager
async def _lifespan(_: Starlette) -> AsyncGenerator[dict[str, Any], None]:
    yield {"deps": SimpleNamespace(templates=create_templates(ROOT / "templates", ROOT / "static"))}


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class RunningServer:
    port: int

    @property
    def host(self) -> bytes:
        return b"Host: 127.0.0.1:%d\r\n" % self.port

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def exchange(self, raw: bytes) -> list[Reply]:
        """Send `raw`, then read until the server ends the connection or goes quiet."""
        with self.connect() as connection:
            connection.sendall(raw)
            return self.replies(connection)

    def get(self, target: bytes, headers: bytes = b"") -> Reply:
        head = b"GET " + target + b" HTTP/1.1\r\n" + self.host + headers + b"Connection: close\r\n\r\n"
        (reply,) = self.exchange(head)
        return reply

    def replies(self, connection: socket.socket, *, quiet: float = 3.0) -> list[Reply]:
        connection.settimeout(quiet)
        received = b""
        try:
            while data := connection.recv(65536):
                received += data
        except (TimeoutError, ConnectionResetError):
            pass
        return list(_parse(received))


def _parse(received: bytes) -> Iterator[Reply]:
    while received.startswith(b"HTTP/1.1 "):
        head, _, rest = received.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if "content-length" in headers:
            length = int(headers["content-length"])
        else:
            length = match.end() if (match := re.search(rb"(?:^|\r\n)0\r\n\r\n", rest)) else len(rest)
        yield Reply(int(status.split()[1]), headers, rest[:length])
        received = rest[length:]


@pytest.fixture
def serve() -> Iterator[Callable[[ASGIApp], RunningServer]]:
    """Run an application on a real uvicorn on a free port, until the test is over."""
    running: list[tuple[uvicorn.Server, threading.Thread, socket.socket]] = []

    def start(app: ASGIApp) -> RunningServer:
        listening = socket.create_server(("127.0.0.1", 0))  # connections wait in its queue until the server is up
        config = uvicorn.Config(
            app, http=HttpProtocol, ws="none", loop="auto", lifespan="on", log_config=None, access_log=False,
            server_header=False, proxy_headers=False, timeout_graceful_shutdown=1, timeout_keep_alive=1,
        )  # fmt: skip
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        running.append((server, thread, listening))
        return RunningServer(listening.getsockname()[1])

    yield start
    for server, thread, listening in running:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture
def house() -> Callable[..., House]:
    return lambda **policy: House(SecurityPolicy(**policy))


@pytest.fixture
def open_client() -> Iterator[Callable[..., TestClient]]:
    """A client of the house as a program on this machine would be; the server's own port is 8000."""
    clients: list[TestClient] = []

    def start(house: House, base_url: str = "http://localhost:8000") -> TestClient:
        client = TestClient(house.app(), base_url, raise_server_exceptions=True, follow_redirects=False)
        client.headers = {"user-agent": "test"}
        clients.append(client.__enter__())
        return client

    yield start
    for client in clients:
        client.__exit__(None, None, None)


CONFIGURATION = """
[presets.default]
provider = "echo"

[presets.other]
provider = "echo"
title = "The other"
"""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """A program on this machine, talking to the whole application with the built-in demo behind it."""
    config = tmp_path / "palaver.toml"
    config.write_text(CONFIGURATION)
    settings = ServerSettings(data=tmp_path / "data", config=config)
    app = create_app(settings, lambda: open_deps(settings, {}, port=8000))
    with TestClient(app, "http://127.0.0.1:8000", follow_redirects=False) as client:
        client.headers = {"user-agent": "test"}
        yield client
