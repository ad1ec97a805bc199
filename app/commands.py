"""What the commands of the command line do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from socket import socket
from ssl import SSLContext
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from app.core.gateway_keys import KeyUsage
from app.core.model import Configuration, Preset
from app.core.services import check_of_router
from app.providers.discover import find_local_server
from app.settings.errors import ConfigurationError
from app.settings.fields import is_file
from app.settings.server import ServerSettings, read_server_settings
from app.settings.watch import load_configuration
from app.workers import Parent, Seat

Result = TypeVar("Result")
Command = Callable[[Mapping[str, Any], Mapping[str, str]], int]
"""From the command line and the environment to the exit status."""


def serve(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    """Run the server until it is told to end: in this process, or in several that this one starts."""
    from app.log import configure_logging
    from app.main import held_folder, prepare
    from app.server import listen, raise_file_limit, tls_context

    settings = read_server_settings(arguments, environ)
    configure_logging(settings.log_level, _secrets(settings, environ))
    raise_file_limit()
    listener = listen(settings.host, settings.port)
    if settings.workers == 1:
        tls = None if settings.certificate is None else tls_context(settings.certificate)
        return _run(_serve(settings, environ, listener, tls=tls))
    with held_folder(settings.data):
        origin = _run(prepare(settings, environ, port=listener.getsockname()[1]))
        return Parent(
            settings.workers,
            listener,
            run=lambda seat: _run(_serve(settings, environ, listener, seat=seat)),
            announce=lambda: _announce(settings, listener, origin),
        ).serve()


async def _serve(
    settings: ServerSettings,
    environ: Mapping[str, str],
    listener: socket,
    *,
    tls: SSLContext | None = None,
    seat: Seat | None = None,
) -> int:
    from app.log import configure_logging
    from app.main import create_app, open_deps
    from app.server import Server

    port = listener.getsockname()[1]
    async with open_deps(settings, environ, port=port, worker=None if seat is None else seat.number) as deps:
        configuration = deps.configuration()
        written_down = [preset.api_key for preset in configuration.presets.values() if preset.api_key]
        configure_logging(settings.log_level, [*_secrets(settings, environ), *written_down])
        server = Server(create_app(settings, lambda: nullcontext(deps)), deps.runs, tls=tls, seat=seat)
        if seat is None:
            _announce(settings, listener, configuration.origin)
        await server.serve([listener])
    return 0


async def presets(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    """List the presets, and say which one answers when nobody says otherwise."""
    configuration = load_configuration(
        read_server_settings(arguments, environ), environ, await find_local_server()
    ).current()
    chosen = configuration.preset or "default"
    width = max(len(name) for name in configuration.presets)
    for preset in configuration.presets.values():
        mark = "*" if preset.name == chosen else " "
        model = configuration.model_of(preset) or "-"
        print(f"{mark} {preset.name:<{width}}  {preset.provider}  {model}  {preset.title or ''}".rstrip())
    print(configuration.origin)
    return 0


async def doctor(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    """Check every preset, and the names of tools; 1 where a preset could not answer."""
    from app.providers.checkup import check

    configuration = load_configuration(
        read_server_settings(arguments, environ), environ, await find_local_server()
    ).current()
    print(configuration.origin)
    services = [preset for preset in configuration.presets.values() if preset.router is None]
    asked = [check(preset, environ, _model(configuration, preset)) for preset in services]
    found, notes = await asyncio.gather(asyncio.gather(*asked), _tool_problems(configuration, environ))
    checks = {preset.name: result for preset, result in zip(services, found, strict=True)}
    for preset in configuration.presets.values():
        if preset.router is not None:
            checks[preset.name] = check_of_router({name: checks[name] for name in preset.router.names})
    width = max(len(name) for name in configuration.presets)
    for name in configuration.presets:
        print(f"{'ok  ' if checks[name].ok else 'FAIL'}  {name:<{width}}  {checks[name].sentence}")
    for sentence in [*notes, *_search_problems(configuration)]:
        print(f"note  {sentence}")
    return 0 if all(result.ok for result in checks.values()) else 1


def _search_problems(configuration: Configuration) -> list[str]:
    """What the search by meaning lacks, where it is wanted."""
    from app.storage.matrix import numpy_problem

    problem = numpy_problem() if configuration.embed_preset is not None else None
    return [] if problem is None else [problem]


async def keys(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    """The keys of the gateway: list them, make one, remove one. The server may run meanwhile, and knows at once."""
    from app.chat.gateway_keys import GatewayKeys, Limits
    from app.storage.gateway_keys import SqliteGatewayKeys
    from app.storage.sqlite import open_store

    settings = read_server_settings(arguments, environ)
    if not is_file(settings.data / "palaver.db"):
        raise ConfigurationError("There is no database yet. Start the server once, or name its folder with --data.")
    store = await open_store(settings.data / "palaver.db", now=_now, ours=lambda _: False)
    try:
        configuration = load_configuration(settings, environ, await find_local_server())
        kept = GatewayKeys(SqliteGatewayKeys(store.database), configuration.current, _now, time.monotonic)
        if arguments["create"] is not None:
            presets = tuple(name.strip() for name in (arguments["presets"] or "").split(",") if name.strip())
            limits = Limits(presets, arguments["requests_per_minute"], arguments["spend_limit"])
            key, secret = await kept.create(arguments["create"], limits)
            print(f"{secret}\nThis is the key of {key.name!r}. It is shown this once; {key.id} names it in lists.")
        elif arguments["remove"] is not None:
            await kept.remove(arguments["remove"])
            print("The key opens nothing any more.")
        else:
            _list_keys(await kept.all())
    finally:
        await store.close()
    return 0


def _list_keys(kept: Sequence[KeyUsage]) -> None:
    for used in kept:
        key = used.key
        limits = [
            f"presets {', '.join(key.presets)}" if key.presets else "all presets",
            *([f"{key.requests_per_minute} requests a minute"] if key.requests_per_minute is not None else []),
            *([f"${key.spend_limit:g} a month"] if key.spend_limit is not None else []),
        ]
        print(f"{key.id}  …{key.ending}  {key.name}: {'; '.join(limits)}; {used.calls} calls, ${used.spent:.4f}")
    if not kept:
        print("There are no keys: whoever may use the server may use its gateway.")


def _now() -> datetime:
    return datetime.now(UTC)


async def _tool_problems(configuration: Configuration, environ: Mapping[str, str]) -> list[str]:
    """What is wrong with tools, MCP servers, and the names of both. Nothing runs, so an empty house will do."""
    from app.chat.tool_names import lost_names
    from app.storage.files import FileFolder
    from app.storage.sqlite import open_store
    from app.tools.toolbox import open_toolbox

    with TemporaryDirectory() as folder:
        store = await open_store(Path(folder) / "palaver.db", now=_now)
        try:
            async with open_toolbox(lambda: configuration, environ, _now, store, FileFolder(Path(folder))) as toolbox:
                overview = await toolbox.overview()
        finally:
            await store.close()
    return [*overview.problems, *lost_names(configuration, overview)]


def _model(configuration: Configuration, preset: Preset) -> str | None:
    return preset.values.model or configuration.values.model


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    """On uvloop, where it runs: half the cost of a streamed token."""
    try:
        import uvloop
    except ImportError:
        loop_factory = None
    else:
        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(work)


COMMANDS: Mapping[str, Command] = {
    "serve": serve,
    "presets": lambda arguments, environ: _run(presets(arguments, environ)),
    "keys": lambda arguments, environ: _run(keys(arguments, environ)),
    "doctor": lambda arguments, environ: _run(doctor(arguments, environ)),
}


def _announce(settings: ServerSettings, listener: socket, origin: str) -> None:
    workers = f", with {settings.workers} workers" if settings.workers > 1 else ""
    print(f"Palaver is at {_address(settings, listener.getsockname()[1])}{workers}\n{origin}", flush=True)


def _address(settings: ServerSettings, port: int) -> str:
    if settings.public_url:
        return settings.public_url
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'http' if settings.certificate is None else 'https'}://{host}:{port}"


def _secrets(settings: ServerSettings, environ: Mapping[str, str]) -> list[str]:
    """What must never stand in a log: our token, and everything in the environment that is called a key or token."""
    named = [value for name, value in environ.items() if name.endswith(("_KEY", "_TOKEN", "_SECRET", "_PASSWORD"))]
    return [secret for secret in (settings.token, *named) if secret]
