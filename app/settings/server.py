"""How the server itself runs: the command line and the environment, checked. The command line wins."""

from __future__ import annotations

import ipaddress
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.core.gateway_keys import PREFIX
from app.settings.errors import ConfigurationError
from app.settings.fields import is_file, read_path

VARIABLES: Mapping[str, str] = {
    "host": "PALAVER_HOST",
    "port": "PALAVER_PORT",
    "config": "PALAVER_CONFIG",
    "data": "PALAVER_DATA",
    "token": "PALAVER_TOKEN",
    "allowed_hosts": "PALAVER_ALLOWED_HOSTS",
    "allowed_origins": "PALAVER_ALLOWED_ORIGINS",
    "public_url": "PALAVER_PUBLIC_URL",
    "max_body_bytes": "PALAVER_MAX_BODY_BYTES",
    "workers": "PALAVER_WORKERS",
    "tls_certificate": "PALAVER_TLS_CERTIFICATE",
    "tls_key": "PALAVER_TLS_KEY",
    "log_level": "PALAVER_LOG_LEVEL",
}
"""Setting → environment variable. On the command line it is `--allowed-hosts` and so on."""

MOST_WORKERS = 64
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

_NAME = r"(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])"
_HOST = re.compile(rf"{_NAME}(?::[0-9]{{1,5}})?")
_ORIGIN = re.compile(rf"(https?)://({_NAME})(?::([0-9]{{1,5}}))?")
_TOKEN = re.compile(r"[!-~]+")
_USUAL_PORTS = {"http": 80, "https": 443}
_HIGHEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Certificate:
    chain: Path
    """PEM, with the certificates between it and the root."""
    key: Path


@dataclass(frozen=True, slots=True)
class ServerSettings:
    data: Path
    """The directory of the database and the attachments. May not exist yet."""
    host: str = "127.0.0.1"
    port: int | None = None
    """None: the first free one from 8000 up. 0: any free one."""
    config: Path | None = None
    """`palaver.toml`, a Wave `.json` file, or Wave's configuration folder."""
    token: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()
    """Names, in lower case and perhaps with a port, under which the server may be addressed besides its own."""
    allowed_origins: tuple[str, ...] = ()
    """`scheme://host[:port]` of foreign pages that may call the server, as browsers spell it."""
    public_url: str | None = None
    """The origin under which people reach the server, where a proxy stands before it."""
    max_body_bytes: int = 10_000_000
    log_level: str = "INFO"
    workers: int = 1
    """Processes that serve, all on this machine."""
    certificate: Certificate | None = None
    """For HTTPS, where no proxy does that."""


def read_server_settings(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> ServerSettings:
    """`arguments` has the keys of VARIABLES; one that is missing, None or empty was not given.

    Raises:
        ConfigurationError: a value that cannot be, or a combination that would leave the server open to strangers.
    """
    said: dict[str, str] = {}
    places: dict[str, str] = {}
    for name, variable in VARIABLES.items():
        given = arguments.get(name)
        from_command_line = given is not None and str(given) != ""
        text = str(given) if from_command_line else environ.get(variable, "").strip()
        if text:
            said[name] = text
            places[name] = f"--{name.replace('_', '-')}" if from_command_line else variable

    host = said.get("host", "127.0.0.1").removeprefix("[").removesuffix("]")
    public_url = _read_public_url(said["public_url"], places["public_url"]) if "public_url" in said else None
    hosts = [_read_host(item, places["allowed_hosts"]) for item in _listed(said.get("allowed_hosts"))]
    if public_url is not None:
        hosts.append(public_url.partition("://")[2])
    token = said.get("token")
    if token is not None and not _TOKEN.fullmatch(token):
        raise ConfigurationError(f"{places['token']}: must be plain ASCII characters without spaces")
    if token is not None and token.startswith(PREFIX):
        raise ConfigurationError(
            f"{places['token']}: only keys of the gateway begin with {PREFIX}; choose another token"
        )
    if not _is_loopback(host) and (token is None or not hosts):
        raise ConfigurationError(
            f"{places['host']}: other machines could reach this address. Set PALAVER_TOKEN to a long random text and "
            "PALAVER_ALLOWED_HOSTS to the names under which the server is reached, such as chat.example.com"
        )
    origins = [_read_origin(item, places["allowed_origins"]) for item in _listed(said.get("allowed_origins"))]
    return ServerSettings(
        data=read_path(said["data"], places["data"])
        if "data" in said
        else _home(environ, "XDG_DATA_HOME", ".local/share"),
        host=host,
        port=_read_port(said["port"], places["port"]) if "port" in said else None,
        config=read_path(said["config"], places["config"]) if "config" in said else _find_config(environ),
        token=token,
        allowed_hosts=tuple(dict.fromkeys(hosts)),
        allowed_origins=tuple(dict.fromkeys(origins)),
        public_url=public_url,
        max_body_bytes=_read_size(said.get("max_body_bytes", "10000000"), places.get("max_body_bytes", "")),
        log_level=_read_level(said.get("log_level", "INFO"), places.get("log_level", "")),
        workers=_read_workers(said, places),
        certificate=_read_certificate(said, places),
    )


def _listed(text: str | None) -> list[str]:
    return [item.strip() for item in (text or "").split(",") if item.strip()]


def _read_port(text: str, place: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= _HIGHEST_PORT):
        raise ConfigurationError(f"{place}: must be a number from 0 to 65535")
    return int(text)


def _read_size(text: str, place: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 1_000 <= int(text) <= 1_000_000_000):
        raise ConfigurationError(f"{place}: must be a number of bytes from 1000 to 1000000000")
    return int(text)


def _read_workers(said: Mapping[str, str], places: Mapping[str, str]) -> int:
    text = said.get("workers", "1")
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and 1 <= int(text) <= MOST_WORKERS):
        raise ConfigurationError(f"{places['workers']}: must be a number from 1 to {MOST_WORKERS}")
    if int(text) > 1 and sys.platform == "win32":
        raise ConfigurationError(f"{places['workers']}: Windows cannot hand a connection to another process; use 1")
    if int(text) > 1 and "tls_certificate" in said:
        raise ConfigurationError(
            f"{places['tls_certificate']}: several workers cannot share an encrypted connection. "
            "Let a proxy do the encryption, or use one worker"
        )
    return int(text)


def _read_certificate(said: Mapping[str, str], places: Mapping[str, str]) -> Certificate | None:
    given = [name for name in ("tls_certificate", "tls_key") if name in said]
    if not given:
        return None
    if len(given) == 1:
        raise ConfigurationError(f"{places[given[0]]}: the certificate and its key must both be given")
    chain, key = (read_path(said[name], places[name]) for name in ("tls_certificate", "tls_key"))
    return Certificate(chain, key)


def _read_level(text: str, place: str) -> str:
    if text.upper() not in LOG_LEVELS:
        raise ConfigurationError(f"{place}: must be one of {', '.join(LOG_LEVELS)}")
    return text.upper()


def _read_host(text: str, place: str) -> str:
    if not _HOST.fullmatch(text.lower()):
        raise ConfigurationError(
            f"{place}: must be names such as chat.example.com or 192.168.1.20:8000, separated by commas; "
            "no addresses with http://, no patterns"
        )
    return text.lower()


def _read_origin(text: str, place: str) -> str:
    origin = _origin(text)
    if origin is None:
        raise ConfigurationError(
            f"{place}: must be exact origins such as http://localhost:5173, separated by commas; no *, no null, "
            "no patterns, no paths"
        )
    return origin


def _read_public_url(text: str, place: str) -> str:
    origin = _origin(text.removesuffix("/"))
    if origin is None:
        raise ConfigurationError(f"{place}: must be an address such as https://chat.example.com, without a path")
    return origin


def _origin(text: str) -> str | None:
    """`scheme://host[:port]` as browsers write it in `Origin`; None for anything else."""
    match = _ORIGIN.fullmatch(text.lower())
    if match is None:
        return None
    scheme, host, port = match.groups()
    if port is None or int(port) == _USUAL_PORTS[scheme]:
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{int(port)}" if int(port) <= _HIGHEST_PORT else None


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _home(environ: Mapping[str, str], variable: str, fallback: str) -> Path:
    """Palaver's folder below one of the XDG base directories, which count only where they are absolute."""
    base = Path(environ.get(variable, ""))
    if not base.is_absolute():
        home = environ.get("HOME")
        base = (Path(home) if home else read_path("~", "HOME")) / fallback
    return base / "palaver"


def _find_config(environ: Mapping[str, str]) -> Path | None:
    candidates = (Path("palaver.toml"), _home(environ, "XDG_CONFIG_HOME", ".config") / "palaver.toml")
    return next((candidate for candidate in candidates if is_file(candidate)), None)
