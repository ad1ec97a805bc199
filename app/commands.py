"""What the commands of the command line do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import nullcontext
from typing import Any

from app.providers.discover import check, find_local_server
from app.settings.server import ServerSettings, read_server_settings
from app.settings.watch import load_configuration

Command = Callable[[Mapping[str, Any], Mapping[str, str]], Coroutine[Any, Any, int]]


async def serve(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    """Run the server until it is told to end."""
    from app.log import configure_logging
    from app.main import create_app, open_deps
    from app.server import Server, listen

    settings = read_server_settings(arguments, environ)
    secrets = _secrets(settings, environ)
    configure_logging(settings.log_level, secrets)
    listener = listen(settings.host, settings.port)
    port = listener.getsockname()[1]

    async with open_deps(settings, environ, port=port) as deps:
        configuration = deps.configuration()
        written_down = [preset.api_key for preset in configuration.presets.values() if preset.api_key]
        configure_logging(settings.log_level, [*secrets, *written_down])
        server = Server(create_app(settings, lambda: nullcontext(deps)), deps.runs)
        print(f"Palaver is at {_address(settings, port)}\n{configuration.origin}", flush=True)
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
        model = preset.values.model or configuration.values.model or preset.default_model or "-"
        print(f"{mark} {preset.name:<{width}}  {preset.provider}  {model}  {preset.title or ''}".rstrip())
    print(configuration.origin)
    return 0


async def doctor(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    """Check every preset; 1 where one of them could not answer."""
    configuration = load_configuration(
        read_server_settings(arguments, environ), environ, await find_local_server()
    ).current()
    print(configuration.origin)
    checks = await asyncio.gather(*(check(preset, environ) for preset in configuration.presets.values()))
    width = max(len(name) for name in configuration.presets)
    for preset, result in zip(configuration.presets.values(), checks, strict=True):
        print(f"{'ok  ' if result.ok else 'FAIL'}  {preset.name:<{width}}  {result.sentence}")
    return 0 if all(result.ok for result in checks) else 1


COMMANDS: Mapping[str, Command] = {"serve": serve, "presets": presets, "doctor": doctor}


def _address(settings: ServerSettings, port: int) -> str:
    if settings.public_url:
        return settings.public_url
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{port}"


def _secrets(settings: ServerSettings, environ: Mapping[str, str]) -> list[str]:
    """What must never stand in a log: our token, and everything in the environment that is called a key or token."""
    named = [value for name, value in environ.items() if name.endswith(("_KEY", "_TOKEN", "_SECRET", "_PASSWORD"))]
    return [secret for secret in (settings.token, *named) if secret]
