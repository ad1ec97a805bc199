"""Which model server on this machine answers: asked at start, and where somebody has no model yet."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

from app.core.services import LocalServer
from app.providers.catalog import CATALOG
from app.providers.model_list import model_items, name_of

LOCAL_SECONDS = 0.25
_LONGEST_LIST = 1_000_000


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


async def _loaded_model(base_url: str, owner: str | None) -> str | None:
    """The first model that can chat of the server at `base_url`, if there is one and it is the `owner`'s."""
    try:
        async with asyncio.timeout(LOCAL_SECONDS):
            items = model_items(await _get(base_url + "/models"))
    except (OSError, TimeoutError, ValueError):
        return None
    owned = (name_of(item) for item in items if owner in (None, item.get("owned_by")))
    return next((name for name in owned if name and "embed" not in name.lower()), None)


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
