"""The composition root: the only module that knows every other. Nothing here is global; tests build it like `serve`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_urlsafe

from starlette.applications import Starlette
from starlette.types import ASGIApp

from app.chat.answerers import Answerers
from app.chat.attachments import Attachments
from app.chat.completions import Completions
from app.chat.embedding import Embeddings
from app.chat.gateway_keys import GatewayKeys
from app.chat.live import LiveRuns
from app.chat.messages import Messages
from app.chat.prompts import Prompts
from app.chat.run import Clock
from app.chat.search import Search
from app.chat.search_index import SearchIndex
from app.chat.shares import Shares
from app.chat.titles import Titles
from app.chat.trash import Trash
from app.chat.turns import Turns
from app.chat.usage import UsageBook
from app.providers.checkup import ConfiguredServices
from app.providers.discover import find_local_server
from app.providers.prices import prices_of
from app.providers.registry import Registry
from app.settings.errors import ConfigurationError
from app.settings.server import ServerSettings
from app.settings.watch import ConfigurationFile, load_configuration
from app.storage.feedback import SqliteFeedbackStore
from app.storage.files import FileFolder
from app.storage.gateway_keys import SqliteGatewayKeys
from app.storage.lock import locked
from app.storage.prompt_templates import SqliteTemplateStore
from app.storage.shares import SqliteShareStore
from app.storage.single_messages import SqliteSingleMessages
from app.storage.size import folder_size
from app.storage.sqlite import SqliteStore, open_store
from app.storage.tools import SqliteToolLedger
from app.storage.usage import SqliteUsageLedger
from app.storage.vectors import SqliteVectors
from app.streams.memory import MemoryStreamLog
from app.tools.toolbox import ConfiguredTools, open_toolbox
from app.web.deps import Deps, State
from app.web.errors import exception_handlers
from app.web.handover import worker_of
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
        secure=server.certificate is not None,
        token=server.token,
        max_body_bytes=server.max_body_bytes,
    )
    return Guard(app, policy)


@asynccontextmanager
async def open_deps(
    server: ServerSettings, environ: Mapping[str, str], *, port: int, worker: int | None = None
) -> AsyncGenerator[Deps, None]:
    """Open everything in order, close it in reverse.

    Args:
        server: where data lies, and what the configuration is.
        environ: where the keys of model services come from.
        port: our own, which must not be taken for a local model server.
        worker: which of several this is; their parent has prepared the data folder, and holds it.

    Raises:
        ConfigurationError, StorageUnavailable: a sentence for whoever starts the server.
    """
    async with _open_adapters(server, environ, port, worker) as adapters, AsyncExitStack() as stack:
        configuration, clock, store = adapters.configuration, adapters.clock, adapters.store
        files, tasks = adapters.files, adapters.tasks
        attachments = Attachments(files, store)
        usage_ledger = SqliteUsageLedger(store.database)
        usage = UsageBook(usage_ledger, prices_of, clock.now)
        answerers = Answerers(adapters.providers, usage, clock=clock.monotonic)
        await answerers.remember(usage_ledger, clock.now())
        gateway_keys = _gateway_keys(adapters)
        embeddings, search, index = _search(adapters, usage, gateway_keys)
        prompts = Prompts(SqliteTemplateStore(store.database, clock.now), store, new_id)
        completions = _completions(adapters, answerers, prompts, usage, gateway_keys)
        runs = await stack.enter_async_context(_open_runs(adapters, completions, index))
        turns = _turns(adapters, answerers, attachments, usage, runs, prompts)
        trash = Trash(store, attachments, turns, runs)
        if not worker:  # of several, one is enough
            _keep_tidy(stack, tasks, attachments, trash, index)
        yield Deps(
            turns=turns,
            runs=runs,
            answerers=answerers,
            completions=completions,
            embeddings=embeddings,
            search=search,
            search_index=index,
            gateway_keys=gateway_keys,
            trash=trash,
            store=store,
            messages=Messages(SqliteSingleMessages(store.database, clock.now), attachments, turns, runs),
            feedback=SqliteFeedbackStore(store.database, clock.now),
            prompts=prompts,
            shares=Shares(SqliteShareStore(store.database), store, clock.now),
            files=files,
            attachments=attachments,
            toolbox=adapters.toolbox,
            usage_ledger=usage_ledger,
            services=adapters.services,
            public_url=server.public_url,
            configuration=configuration.current,
            configuration_problem=lambda: configuration.problem,
            configuration_file=server.config.resolve().name if server.config is not None else None,
            data_size=lambda: folder_size(server.data),
            templates=create_templates(_folder("templates"), _folder("static")),
            new_id=new_id,
        )


def _completions(
    adapters: _Adapters, answerers: Answerers, prompts: Prompts, usage: UsageBook, keys: GatewayKeys
) -> Completions:
    return Completions(
        configuration=adapters.configuration.current,
        providers=adapters.providers,
        answerers=answerers,
        prompts=prompts,
        usage=usage,
        keys=keys,
    )


def _search(adapters: _Adapters, usage: UsageBook, keys: GatewayKeys) -> tuple[Embeddings, Search, SearchIndex]:
    embeddings = Embeddings(
        configuration=adapters.configuration.current, providers=adapters.providers, usage=usage, keys=keys
    )
    vectors = SqliteVectors(adapters.store.database)
    search = Search(adapters.store, vectors, embeddings)
    return embeddings, search, SearchIndex(vectors, embeddings, adapters.tasks)


def _gateway_keys(adapters: _Adapters) -> GatewayKeys:
    clock = adapters.clock
    store = SqliteGatewayKeys(adapters.store.database)
    return GatewayKeys(store, adapters.configuration.current, clock.now, clock.monotonic)


def _turns(
    adapters: _Adapters,
    answerers: Answerers,
    attachments: Attachments,
    usage: UsageBook,
    runs: LiveRuns,
    prompts: Prompts,
) -> Turns:
    return Turns(
        configuration=adapters.configuration.current,
        answerers=answerers,
        conversations=adapters.store,
        attachments=attachments,
        tools=adapters.toolbox,
        calls=SqliteToolLedger(adapters.store.database),
        usage=usage,
        runs=runs,
        prompts=prompts,
        new_id=new_id,
    )


def _keep_tidy(
    stack: AsyncExitStack, tasks: asyncio.TaskGroup, attachments: Attachments, trash: Trash, index: SearchIndex
) -> None:
    stack.callback(tasks.create_task(attachments.keep_clean(), name="remove left files").cancel)
    stack.callback(tasks.create_task(trash.keep_empty(), name="empty the trash").cancel)
    stack.callback(tasks.create_task(index.keep(), name="keep the search index").cancel)


@dataclass(frozen=True, slots=True)
class _Adapters:
    """What reaches the outside and must be closed in the end, and what it needs."""

    configuration: ConfigurationFile
    clock: Clock
    store: SqliteStore
    providers: Registry
    services: ConfiguredServices
    tasks: asyncio.TaskGroup
    """The application's: what runs in it still uses the store and the providers while it ends."""
    files: FileFolder
    toolbox: ConfiguredTools


@asynccontextmanager
async def _open_adapters(
    server: ServerSettings, environ: Mapping[str, str], port: int, worker: int | None
) -> AsyncGenerator[_Adapters, None]:
    async with AsyncExitStack() as stack:
        configuration = load_configuration(server, environ, await find_local_server(exclude_port=port))
        clock = Clock(now=lambda: datetime.now(UTC), monotonic=time.monotonic)
        store = await stack.enter_async_context(_data(server, clock.now, worker))
        providers = Registry(environ)
        stack.push_async_callback(providers.close)
        services = ConfiguredServices(environ, own_port=port)
        stack.push_async_callback(services.close)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        files = FileFolder(server.data / "files")
        toolbox = await stack.enter_async_context(open_toolbox(configuration.current, environ, clock.now, store, files))
        yield _Adapters(configuration, clock, store, providers, services, tasks, files, toolbox)


@asynccontextmanager
async def _open_runs(
    adapters: _Adapters, completions: Completions, index: SearchIndex
) -> AsyncGenerator[LiveRuns, None]:
    """Running turns, and what comes after them: the title of a conversation, its vectors for the search."""
    titles = Titles(
        configuration=adapters.configuration.current,
        completions=completions,
        conversations=adapters.store,
        tasks=adapters.tasks,
    )

    def after_turn(block_id: str) -> None:
        titles.after_turn(block_id)
        index.after_turn(block_id)

    runs = LiveRuns(MemoryStreamLog(), adapters.store, adapters.tasks, adapters.clock, after_turn)
    try:
        yield runs
    finally:
        await runs.drain(0)
        await titles.drain()
        await index.drain()


async def prepare(server: ServerSettings, environ: Mapping[str, str], *, port: int) -> str:
    """What is done once, before there are several workers: the schema, and the answers that a crash has cut off.

    Returns:
        where the configuration comes from.

    Raises:
        as `open_deps`: here it is said once.
    """
    configuration = load_configuration(server, environ, await find_local_server(exclude_port=port))
    store = await open_store(server.data / "palaver.db", now=lambda: datetime.now(UTC))
    try:
        await SqliteGatewayKeys(store.database).release_all()
    finally:
        await store.close()
    return configuration.current().origin


@asynccontextmanager
async def _data(
    server: ServerSettings, now: Callable[[], datetime], worker: int | None
) -> AsyncGenerator[SqliteStore, None]:
    with nullcontext() if worker is not None else held_folder(server.data):
        store = await open_store(
            server.data / "palaver.db",
            now=now,
            ours=lambda block_id: worker is None or worker_of(block_id, server.workers) == worker,
        )
        try:
            if worker is None:
                await SqliteGatewayKeys(store.database).release_all()
            yield store
        finally:
            await store.close()


@contextmanager
def held_folder(folder: Path) -> Iterator[None]:
    """The data folder, made if need be, and nobody else's as long as this lasts."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or "it cannot be made"
        raise ConfigurationError(f"The data folder cannot be used: {reason}. Choose another with --data.") from None
    with locked(folder):
        yield


def new_id() -> str:
    """16 characters that nobody guesses, in the alphabet of the AI SDK's own ids plus `-` and `_`."""
    return token_urlsafe(12)


def _folder(name: str) -> Path:
    """A folder of the product: inside the package in a wheel, beside it in a checkout."""
    inside = _HERE / name
    return inside if inside.is_dir() else _HERE.parent / name
