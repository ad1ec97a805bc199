"""The command line: `palaver serve`, `palaver presets`, `palaver doctor`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence

from app import __version__
from app.core.errors import AppError
from app.settings.errors import ConfigurationError


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    # Each command imports what it needs: `presets` must not wait for a web server to load.
    from app.commands import COMMANDS

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(COMMANDS[options.command](vars(options), os.environ))
    except (ConfigurationError, AppError) as error:
        print(f"palaver: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it runs: half the cost of a streamed token."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="palaver", description="A self-hosted, realtime AI chat server.")
    parser.add_argument("--version", action="version", version=f"palaver {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    files = argparse.ArgumentParser(add_help=False)
    files.add_argument(
        "--config", metavar="FILE", help="palaver.toml, a Wave JSON file, or Wave's configuration folder"
    )
    files.add_argument("--data", metavar="FOLDER", help="where palaver.db lies")
    serve = commands.add_parser("serve", parents=[files], help="start the server")
    serve.add_argument("--host", help="address to listen on (127.0.0.1)")
    serve.add_argument("--port", help="port to listen on (the first free one from 8000 on; 0 picks any)")
    commands.add_parser("presets", parents=[files], help="list the presets, and which one answers by default and why")
    commands.add_parser("doctor", parents=[files], help="check each preset: is its key there, does its service answer")
    return parser


if __name__ == "__main__":
    sys.exit(main())
