"""Which model services answer: a local one at start, and each preset's for `palaver doctor`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from app.core.errors import NotConfigured
from app.core.model import Preset
from app.providers.catalog import CATALOG
from app.providers.endpoint import Endpoint, endpoint

LOCAL_SECONDS = 0.25
_CHECK_SECONDS = 5.0
_LONGEST_LIST = 1_000_000


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A model server on this machine that answered when it was asked at start."""

    provider: str
    """Its row of the catalog."""
    base_url: str
    model: str | None
    """A model that it has."""


@dataclass(frozen=True, slots=True)
class Check:
    ok: bool
    sentence: str
    """For people; never a key."""


async def find_local_server(
    *, exclude_port: int | None = None, base_urls: Mapping[str, str] | None = None
) -> LocalServer | None:
    """The catalog's first local service that has a model to talk to; all are asked at once.

    Args:
        exclude_port: Palaver's own.
        base_urls: addresses by row, other than the catalog's.
    """
    local = {name: service for name, service in CATALOG.items() if service.local}
    addresses = {name: service.base_url for name, service in local.items()} | dict(base_urls or {})
    asked = [name for name in local if urlsplit(addresses[name]).port != exclude_port]
    answers = await asyncio.gather(*(_loaded_model(addresses[name], local[name].owns_models) for name in asked))
    found = (LocalServer(name, addresses[name], model) for name, model in zip(asked, answers, strict=True) if model)
    return next(found, None)


async def check(preset: Preset, environ: Mapping[str, str]) -> Check:
    """Is the preset's key there, is it accepted, and does the service answer? Asks for its list of models."""
    service = CATALOG[preset.provider]
    if service.adapter == "echo":
        return Check(True, "Echo needs nothing.")
    if service.adapter == "wave_cloud":
        return Check(True, f"{service.title} has no list of models: only a question would show whether it answers.")
    try:
        found = endpoint(preset, environ)
    except NotConfigured as error:
        return Check(False, error.message)
    import httpx2

    from app.providers.http import new_client

    try:
        async with new_client(found) as client, asyncio.timeout(_CHECK_SECONDS):
            response = await client.get(_models_url(found), headers=_headers(found))
    except (httpx2.TransportError, TimeoutError):
        hint = "Start it, or check" if found.is_loopback else "Check the network and"
        return Check(False, f"{service.title} does not answer at {found.host}. {hint} base_url.")
    except Exception:  # noqa: BLE001 - an address can be wrong in many ways, a port above 65535 among them
        return Check(False, f"{service.title} cannot be asked at this base_url. Check how it is written.")
    return _judge(preset, found, response.status_code, response.content)


def _judge(preset: Preset, found: Endpoint, status: int, body: bytes) -> Check:
    title = found.service.title
    match status:
        case 200:
            models = _models(body)
            wanted = preset.values.model or preset.default_model
            if wanted and models and wanted not in models and not found.service.local:
                return Check(True, f"{title} answers, but does not list the model {wanted!r}.")
            return Check(True, f"{title} answers and lists {len(models)} model{'s' * (len(models) != 1)}.")
        case 401 | 403:
            return Check(False, f"{title} refuses the key. Check {found.key_name or 'api_key_env'}.")
        case 404 | 405:
            return Check(True, f"{title} answers, but has no list of models: the key could not be checked.")
        case _ if status >= 500 or status == 429:
            return Check(False, f"{title} answers with status {status}: it has trouble, or too much to do.")
        case _:
            return Check(False, f"{title} answers with status {status}. Check base_url.")


def _models_url(found: Endpoint) -> str:
    match found.service.adapter:
        case "anthropic":
            return found.base_url.removesuffix("/v1") + "/v1/models"
        case "google":
            return found.base_url + "/models?pageSize=1000"
        case _:
            return found.base_url + "/models"


def _headers(found: Endpoint) -> dict[str, str]:
    headers: dict[str, str] = {}
    if found.service.adapter == "anthropic":
        headers["anthropic-version"] = "2026-10-21"
    if found.key and found.service.adapter == "google":
        headers["x-goog-api-key"] = found.key
    elif found.key:
        headers["Authorization"] = f"Bearer {found.key}"
    return headers | dict(found.headers)


async def _loaded_model(base_url: str, owner: str | None) -> str | None:
    """The first model that can chat of the server at `base_url`, if there is one and it is the `owner`'s."""
    try:
        async with asyncio.timeout(LOCAL_SECONDS):
            models = _models(await _get(base_url + "/models"))
    except (OSError, TimeoutError, ValueError):
        return None
    return next(
        (name for name, owned_by in models.items() if owner in (None, owned_by) and "embed" not in name.lower()), None
    )


async def _get(url: str) -> bytes:
    """The body of a 200. HTTP/1.0, so that it ends with the connection; no client library has to be imported."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(
            f"GET {address.path} HTTP/1.0\r\nHost: {address.netloc}\r\nAccept: application/json\r\n\r\n".encode()
        )
        await writer.drain()
        answer = b""
        while len(answer) < _LONGEST_LIST and (data := await reader.read(65536)):
            answer += data
            if _is_whole(answer):
                break
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.split(b" ", 2)[1:2] != [b"200"]:
        raise ValueError("not a 200")
    return body


def _is_whole(answer: bytes) -> bool:
    """Some servers keep the connection open although nobody asked them to."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if separator and name == b"content-length" and value.strip().isdigit():
            return len(body) >= int(value)
    return False


def _models(body: bytes) -> dict[str, Any]:
    """Name → `owned_by` of the models in an answer of `GET /models`; empty where it is something else. Google's own
    list is `{"models": [{"name": "models/gemini-…"}]}`.
    """
    try:
        listed = json.loads(body)
    except ValueError:
        return {}
    items = listed.get("data", listed.get("models")) if isinstance(listed, dict) else None
    models = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    named = ((item.get("id", item.get("name")), item.get("owned_by")) for item in models)
    return {name.removeprefix("models/"): owned_by for name, owned_by in named if isinstance(name, str)}
