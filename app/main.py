"""The composition root: the only module that knows every other. Nothing here is global; tests build it like `serve`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_urlsafe

from starlette.applications import Starlette
from starlette.types import ASGIApp

from app.chat.live import LiveRuns
from app.chat.run import Clock
from app.chat.turns import Turns
from app.providers.discover import find_local_server
from app.providers.registry import Registry
from app.settings.server import ServerSettings
from app.settings.watch import load_configuration
from app.storage.sqlite import open_store
from app.streams.memory import MemoryStreamLog
from app.web.deps import Deps, State
from app.web.errors import exception_handlers
from app.web.pages import create_templates
from app.web.routes import routes
from app.web.security import Guard, SecurityPolicy

_HERE = Path(__file__).parent


def create_app(
    server: ServerSettings,
    environ: Mapping[str, str],
    *,
    port: int,
    on_start: Callable[[Deps], None] = lambda deps: None,
) -> ASGIApp:
    """The whole application behind its guard.

    Args:
        server: where to listen, what to let in, where data lies.
        environ: where the keys of model services come from.
        port: the one it listens on: part of its own origin, and not taken for a local model server.
        on_start: called once everything is open.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[State, None]:
        async with open_deps(server, environ, port=port) as deps:
            on_start(deps)
            yield {"deps": deps}

    app = Starlette(routes=routes(_folder("static")), lifespan=lifespan, exception_handlers=exception_handlers)
    policy = SecurityPolicy(
        allowed_hosts=server.allowed_hosts,
        allowed_origins=server.allowed_origins,
        public_url=server.public_url,
        token=server.token,
        max_body_bytes=server.max_body_bytes,
    )
    return Guard(app, policy)


@asynccontextmanager
async def open_deps(server: ServerSettings, environ: Mapping[str, str], *, port: int) -> AsyncGenerator[Deps, None]:
    """Open everything in order, close it in reverse."""
    async with AsyncExitStack() as stack:
        local = await find_local_server(exclude_port=port)
        configuration = load_configuration(server, environ, local)
        clock = Clock(now=lambda: datetime.now(UTC), monotonic=time.monotonic)
        server.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        store = await open_store(server.data / "palaver.db", now=clock.now)
        stack.push_async_callback(store.close)
        providers = Registry(environ)
        stack.push_async_callback(providers.close)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        runs = LiveRuns(MemoryStreamLog(), store, tasks, clock)
        stack.push_async_callback(runs.drain, 0)
        turns = Turns(
            configuration=configuration.current,
            providers=providers,
            conversations=store,
            runs=runs,
            new_id=new_id,
        )
        yield Deps(
            turns=turns,
            runs=runs,
            store=store,
            configuration=configuration.current,
            templates=create_templates(_folder("templates"), _folder("static")),
            new_id=new_id,
        )


def new_id() -> str:
    """16 characters that nobody guesses, in the alphabet of the AI SDK's own ids plus `-` and `_`."""
    return token_urlsafe(12)


def _folder(name: str) -> Path:
    """A folder of the product: inside the package in a wheel, beside it in a checkout."""
    inside = _HERE / name
    return inside if inside.is_dir() else _HERE.parent / name
