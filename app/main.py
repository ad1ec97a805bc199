"""The composition root: the only module that knows every other. Nothing here is global; tests build it like `serve`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_urlsafe

from starlette.applications import Starlette
from starlette.types import ASGIApp

from app.chat.attachments import Attachments
from app.chat.live import LiveRuns
from app.chat.run import Clock
from app.chat.titles import Titles
from app.chat.turns import Turns
from app.chat.usage import UsageBook
from app.providers.discover import find_local_server
from app.providers.prices import prices_of
from app.providers.registry import Registry
from app.settings.errors import ConfigurationError
from app.settings.server import ServerSettings
from app.settings.watch import load_configuration
from app.storage.files import FileFolder
from app.storage.lock import locked
from app.storage.sqlite import open_store
from app.storage.tools import SqliteToolLedger
from app.storage.usage import SqliteUsageLedger
from app.streams.memory import MemoryStreamLog
from app.tools.toolbox import open_toolbox
from app.web.deps import Deps, State
from app.web.errors import exception_handlers
from app.web.routes import routes
from app.web.security import Guard, SecurityPolicy
from app.web.templates import create_templates

_HERE = Path(__file__).parent


def create_app(server: ServerSettings, opened: Callable[[], AbstractAsyncContextManager[Deps]]) -> ASGIApp:
    """The whole application behind its guard; `opened` gives it what its endpoints use while it runs."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[State, None]:
        async with opened() as deps:
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
    """Open everything in order, close it in reverse.

    Args:
        server: where data lies, and what the configuration is.
        environ: where the keys of model services come from.
        port: our own, which must not be taken for a local model server.

    Raises:
        ConfigurationError, StorageUnavailable: a sentence for whoever starts the server.
    """
    async with AsyncExitStack() as stack:
        configuration = load_configuration(server, environ, await find_local_server(exclude_port=port))
        clock = Clock(now=lambda: datetime.now(UTC), monotonic=time.monotonic)
        _make_folder(server.data)
        stack.enter_context(locked(server.data))
        store = await open_store(server.data / "palaver.db", now=clock.now)
        stack.push_async_callback(store.close)
        providers = Registry(environ)
        stack.push_async_callback(providers.close)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        files = FileFolder(server.data / "files")
        attachments = Attachments(files, store)
        tasks.create_task(attachments.remove_orphans(), name="remove orphans")
        toolbox = await stack.enter_async_context(open_toolbox(configuration.current, environ, clock.now, store, files))
        usage_ledger = SqliteUsageLedger(store.database)
        usage = UsageBook(usage_ledger, prices_of, clock.now)
        titles = Titles(
            configuration=configuration.current, providers=providers, conversations=store, usage=usage, tasks=tasks
        )
        stack.push_async_callback(titles.drain)
        runs = LiveRuns(MemoryStreamLog(), store, tasks, clock, titles.after_turn)
        stack.push_async_callback(runs.drain, 0)
        turns = Turns(
            configuration=configuration.current,
            providers=providers,
            conversations=store,
            attachments=attachments,
            tools=toolbox,
            calls=SqliteToolLedger(store.database),
            usage=usage,
            runs=runs,
            new_id=new_id,
        )
        yield Deps(
            turns=turns,
            runs=runs,
            store=store,
            files=files,
            attachments=attachments,
            toolbox=toolbox,
            usage_ledger=usage_ledger,
            public_url=server.public_url,
            configuration=configuration.current,
            configuration_problem=lambda: configuration.problem,
            templates=create_templates(_folder("templates"), _folder("static")),
            new_id=new_id,
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or "it cannot be made"
        raise ConfigurationError(f"The data folder cannot be used: {reason}. Choose another with --data.") from None


def new_id() -> str:
    """16 characters that nobody guesses, in the alphabet of the AI SDK's own ids plus `-` and `_`."""
    return token_urlsafe(12)


def _folder(name: str) -> Path:
    """A folder of the product: inside the package in a wheel, beside it in a checkout."""
    inside = _HERE / name
    return inside if inside.is_dir() else _HERE.parent / name
