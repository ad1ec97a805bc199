"""Where the calls of a preset go, and the key they carry."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from app.core.errors import NotConfigured
from app.core.model import Preset
from app.providers.catalog import CATALOG, Service

NO_KEY = "no-key-needed"
"""Sent to servers that ask for none: the SDKs insist on sending something."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    provider: str
    """The service's row of the catalog; under this name stands what it wants back on the next turn."""
    service: Service
    base_url: str
    key: str | None = field(repr=False)
    key_name: str | None
    """What to check when the key is refused: the variable it came from, or could come from."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def host(self) -> str:
        """Host and port, for people."""
        return urlsplit(self.base_url).netloc.rpartition("@")[2]

    @property
    def is_loopback(self) -> bool:
        name = urlsplit(self.base_url).hostname or ""
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return name == "localhost" or name.endswith(".localhost")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown or logged, wherever a service quotes it."""
        password = urlsplit(self.base_url).password
        return tuple(secret for secret in (self.key, password, *(value for _, value in self.headers)) if secret)


def endpoint(preset: Preset, environ: Mapping[str, str]) -> Endpoint:
    """The endpoint of a preset.

    Raises:
        NotConfigured: the service wants a key and there is none.
    """
    service = CATALOG[preset.provider]
    key_name = preset.api_key_env or service.key_env
    key = preset.api_key or (environ.get(key_name, "").strip() if key_name else None) or None
    keyless = service.key_env is None or service.key_optional
    may_do_without = preset.api_key_env is None and (keyless or preset.base_url is not None)
    if key is None and not may_do_without:
        raise NotConfigured(
            f"The preset {preset.name!r} needs a key for {service.title}. Set {key_name} and start the server again."
        )
    if preset.api_key is not None:
        key_name = "ai:apitoken"
    base_url = (preset.base_url or service.base_url).rstrip("/")
    return Endpoint(preset.provider, service, base_url, key, key_name, tuple(sorted(preset.headers.items())))
