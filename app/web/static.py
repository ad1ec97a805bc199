"""Static files, from memory: compressed once, and several of a kind in one answer.

A page names them with a hash of their content, so a browser may keep what it has. `base+layout.css` is the one file
after the other: what a page needs of a kind costs it one request, and nothing has to be built.
"""

from __future__ import annotations

import gzip
import mimetypes
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from app.core.errors import NotFound
from app.web.deps import State

_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))", re.IGNORECASE)
_HASH_LENGTH = 12
_LONGEST_NAME = 600
"""Characters of a path: more than any page has."""
_KEPT = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    content: bytes
    compressed: bytes
    media_type: str
    hash: str


class Assets:
    """The files of a folder as they were at the start."""

    def __init__(self, folder: Path) -> None:
        self._files = {
            path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }
        self._made = lru_cache(maxsize=64)(self._make)

    def address(self, *names: str) -> str:
        """The URL of one file, or of several of a kind, with the hash of their content."""
        *before, last = names
        path = "+".join([*(name.rpartition(".")[0] for name in before), last])
        return f"/static/{path}?v={self.get(path).hash}"

    def get(self, path: str) -> Asset:
        """Raises:
        NotFound: there is no such file, or one of several is missing.
        """
        if len(path) > _LONGEST_NAME:
            raise NotFound("There is no such file.")
        return self._made(path)

    def _make(self, path: str) -> Asset:
        stems, dot, ending = path.rpartition(".")
        names = [f"{stem}{dot}{ending}" for stem in stems.split("+")]
        # Each once: joining and compressing one file many times over is work that anybody could make for us.
        if len(set(names)) < len(names) or not all(name in self._files for name in names):
            raise NotFound("There is no such file.")
        content = b"".join(self._piece(name) for name in names) if len(names) > 1 else self._files[path]
        media_type = mimetypes.guess_type(path)[0] or "application/octet-stream"
        return Asset(content, gzip.compress(content, mtime=0), media_type, sha256(content).hexdigest()[:_HASH_LENGTH])

    def _piece(self, name: str) -> bytes:
        """A module that is one of several keeps its names to itself, and its failure too."""
        content = self._files[name]
        return b"try {\n%b} catch (error) { reportError(error); }\n" % content if name.endswith(".js") else content


assets_of = lru_cache(Assets)
"""The templates and the server share what there is of a folder."""


def static_files(folder: Path) -> Callable[[Request[State]], Awaitable[Response]]:
    assets = assets_of(folder)

    async def get_static(request: Request[State]) -> Response:
        asset = assets.get(request.path_params["path"])
        is_compressed = len(asset.compressed) < len(asset.content) and accepts_gzip(request)
        headers = {
            "cache-control": _KEPT if request.query_params.get("v") == asset.hash else "no-cache",
            "etag": f'"{asset.hash}{"-gzip" if is_compressed else ""}"',
            "vary": "accept-encoding",
        }
        if headers["etag"] in _listed(request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers=headers)
        if is_compressed:
            headers["content-encoding"] = "gzip"
        return Response(
            asset.compressed if is_compressed else asset.content, headers=headers, media_type=asset.media_type
        )

    return get_static


def accepts_gzip(request: Request[State]) -> bool:
    return _GZIP.search(request.headers.get("accept-encoding", "")) is not None


def _listed(value: str) -> Sequence[str]:
    return [item.strip().removeprefix("W/") for item in value.split(",")]
