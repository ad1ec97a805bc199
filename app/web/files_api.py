"""`POST /api/ai/files`, `GET /files/{id}`: what is attached to messages, as what its content says it is."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from app.core.errors import NotFound
from app.core.files import IMAGE_TYPES, file_url, media_type_of
from app.core.messages import FilePart, Part, UIMessage
from app.web.deps import Deps, State
from app.web.requests import deps_of
from app.web.responses import JSONAnswer

MAX_NAME_LENGTH = 120

_EXTENSIONS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "application/pdf": ".pdf",
    "text/plain": ".txt",
}
_HEADERS = {
    "content-security-policy": "default-src 'none'; sandbox",
    "cache-control": "private, max-age=31536000, immutable",
}


async def post_file(request: Request[State]) -> Response:
    """Store the body, for a message that names it: the answer is the part to put there, with the size. `?name=` is what
    the file is called.
    """
    content = await request.body()
    part = await keep_file(deps_of(request), content, request.query_params.get("name", ""), "body")
    return JSONAnswer({**part.model_dump(mode="json", by_alias=True, exclude_none=True), "size": len(content)}, 201)


async def keep_file(deps: Deps, content: bytes, name: str, where: str) -> FilePart:
    """A file that came without a message, as a part for one.

    Raises:
        UnsupportedContent: it cannot be attached; `param` is `where`.
    """
    file_id = await deps.attachments.keep(content, where)
    return file_part(file_id, media_type_of(content), name)


def file_part(file_id: str, media_type: str, name: str) -> FilePart:
    part = FilePart(type="file", media_type=media_type, url=file_url(file_id))
    called = _safe_name(name)
    return part.model_copy(update={"filename": called}) if called else part


async def get_file(request: Request[State]) -> Response:
    """The file, images to be shown and all others to be saved; `?name=` is what it is saved as."""
    return await file_response(request, str(request.path_params["id"]))


async def file_response(request: Request[State], file_id: str) -> Response:
    """Raises NotFound."""
    stored = await deps_of(request).files.find(file_id)
    if stored is None:
        raise NotFound("There is no such file.")
    return FileResponse(
        stored.path,
        headers={**_HEADERS, "etag": f'"{file_id}"', "vary": _vary(request)},
        media_type=stored.media_type,
        filename=_safe_name(request.query_params.get("name", ""))
        or file_id[:16] + _EXTENSIONS.get(stored.media_type, ""),
        content_disposition_type="inline" if stored.media_type in IMAGE_TYPES else "attachment",
    )


def with_usable_addresses(request: Request[State], messages: tuple[UIMessage, ...]) -> tuple[UIMessage, ...]:
    """The messages, their files with absolute addresses where a page of another origin asks (browsers say so with
    `Origin`): there `/files/…` would be one of its own.
    """
    if "origin" not in request.headers:
        return messages
    base = deps_of(request).public_url or f"{request.url.scheme}://{request.headers['host']}"

    def with_address(part: Part) -> Part:
        if isinstance(part, FilePart) and part.url.startswith("/files/"):
            return part.model_copy(update={"url": base + part.url})
        return part

    return tuple(message.model_copy(update={"parts": tuple(map(with_address, message.parts))}) for message in messages)


def _vary(request: Request[State]) -> str:
    """What the guard decided by: what one page of another origin has in the cache is not for the next one."""
    foreign = request.headers.get("sec-fetch-site") in ("same-site", "cross-site")
    return "Sec-Fetch-Site, Referer" if foreign else "Sec-Fetch-Site"


def _safe_name(name: str) -> str:
    """The last segment, without what moves, hides or reorders characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(character for character in last if character.isprintable()).strip(" .")[-MAX_NAME_LENGTH:]
