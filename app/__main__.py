"""The command line: `palaver serve`, `palaver presets`, `palaver doctor`, `palaver keys`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from app import __version__
from app.core.errors import AppError
from app.settings.errors import ConfigurationError


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    # Each command imports what it needs: `presets` must not wait for a web server to load.
    from app.commands import COMMANDS

    try:
        code = COMMANDS[options.command](vars(options), os.environ)
        sys.stdout.flush()
    except (ConfigurationError, AppError) as error:
        print(f"palaver: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `palaver doctor | head`: whoever reads has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more when it ends
        return 0
    else:
        return code


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
    serve.add_argument("--tls-certificate", metavar="FILE", help="serve HTTPS with this certificate (PEM)")
    serve.add_argument("--tls-key", metavar="FILE", help="the key of the certificate (PEM, without a password)")
    serve.add_argument("--workers", metavar="N", help="processes that share the work (1)")
    commands.add_parser("presets", parents=[files], help="list the presets, and which one answers by default and why")
    commands.add_parser("doctor", parents=[files], help="check each preset: is its key there, does its service answer")
    keys = commands.add_parser("keys", parents=[files], help="list, make and remove the keys of the gateway (/v1)")
    actions = keys.add_mutually_exclusive_group()
    actions.add_argument("--create", metavar="NAME", help="make a key for a program, and print it once")
    actions.add_argument("--remove", metavar="ID", help="let a key open nothing any more")
    keys.add_argument("--presets", metavar="NAMES", help="what the new key may use, separated by commas (all)")
    keys.add_argument("--requests-per-minute", type=int, metavar="N", help="how often it may be used (no limit)")
    keys.add_argument("--spend-limit", type=float, metavar="DOLLARS", help="for how much in a month (no limit)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
