"""The guard in front of everything: which requests come in at all, and what every answer carries.

It decides on the ASGI scope alone, never on an address built from `Host`, and before the body is read:

    host       one, well-formed, a name of ours                        400, 421
    framing    one length, no coding, no upgrade                       400, 415, 501
    limits     method, size of target, headers and body, time          405, 408, 413, 414, 431
    origin     our own page, a listed one, or a program                403
    token      where one is configured (`app.web.auth`)                401, 429
    content    JSON; a form where browsers post to pages; a file       415

Pure ASGI: the body of an answer passes through untouched, its start gets headers added.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from secrets import token_hex

from sse_starlette.sse import SendTimeoutError
from starlette.requests import ClientDisconnect
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.errors import AppError
from app.core.values import HEADERS as VALUE_HEADERS
from app.web.auth import DOOR, Door
from app.web.body import LimitedBody, drain, too_large
from app.web.errors import REQUEST_ID, Refusal, error_response, is_api, unexpected_error
from app.wire.text import BrokenText

log = logging.getLogger(__name__)

MAX_TARGET_BYTES = 8_192
MAX_HEADER_BYTES = 32_768
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
)

Headers = Mapping[bytes, bytes]

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_BODILESS_METHODS = _SAFE_METHODS | {"DELETE"}
_KNOWN_METHODS = frozenset({*METHODS, "TRACE", "CONNECT"})
_SINGLE_HEADERS = frozenset(
    {b"host", b"origin", b"authorization", b"x-api-key", b"content-length", b"content-type", b"transfer-encoding"}
    | {b"sec-fetch-site", b"content-encoding"}
)

_LOCAL_NAMES = (b"localhost", b"127.0.0.1", b"[::1]")
_USUAL_PORTS = (80, 443, None)
_REFERER = re.compile(rb"https?://[^/?#]+")
_HOST = re.compile(rb"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")

_JSON = frozenset({b"application/json"})
_BYTES = frozenset({b"application/octet-stream"})
_WITH_FILES = b"multipart/form-data"
_JSON_OR_FORM = _JSON | {b"application/x-www-form-urlencoded", _WITH_FILES}
_UPLOADS = "/api/ai/files"
_CHARSETS = frozenset({b"", b"charset=utf-8", b'charset="utf-8"'})

_ALLOWED_HEADERS = (
    *("content-type", "authorization", "x-api-key", "last-event-id", "idempotency-key", "if-match", "if-none-match"),
    *("user-agent", "x-ai-sdk", "x-stream-protocol"),
    *("anthropic-version", "anthropic-beta", "anthropic-dangerous-direct-browser-access"),
    *(f"x-stainless-{name}" for name in ("arch", "lang", "os", "package-version", "retry-count", "runtime")),
    *(f"x-stainless-{name}" for name in ("runtime-version", "timeout", "helper-method", "helper", "async")),
    *VALUE_HEADERS,
)
_EXPOSED_HEADERS = "etag, retry-after, request-id, x-request-id, x-vercel-ai-ui-message-stream, x-palaver-error-code"

_EVERY_ANSWER = (
    (b"x-content-type-options", b"nosniff"),
    # Not `no-referrer`: with that, browsers say `Origin: null` when our own pages post.
    (b"referrer-policy", b"same-origin"),
)
_EVERY_PAGE = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)


@dataclass(frozen=True, slots=True)
class SecurityPolicy:
    """What may come in, as `app.settings` has checked it. The defaults are those of a server on loopback."""

    allowed_hosts: tuple[str, ...] = ()
    """Names besides those of this machine; one without a port is good for every port."""
    allowed_origins: tuple[str, ...] = ()
    """`scheme://host[:port]` of foreign pages that may use the API."""
    public_url: str | None = None
    """The origin of our own pages, where a proxy hides it."""
    secure: bool = False
    """Browsers reach us by HTTPS without a proxy."""
    token: str | None = field(default=None, repr=False)
    max_body_bytes: int = 10_000_000
    body_timeout: float = 30.0
    """Seconds for a whole body to arrive."""


class Guard:
    """The outermost ASGI application, or the outermost middleware of Starlette's."""

    def __init__(self, app: ASGIApp, policy: SecurityPolicy) -> None:
        self._app = app
        self._policy = policy
        self._hosts = frozenset(host.encode() for host in policy.allowed_hosts)
        self._listed = frozenset(origin.encode() for origin in policy.allowed_origins)
        self._own_origin = None if policy.public_url is None else policy.public_url.encode()
        self._door = Door(policy.token, secure_cookie=policy.secure or (policy.public_url or "").startswith("https:"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope[REQUEST_ID] = f"req_{token_hex(12)}"
            scope[DOOR] = self._door
            await self._guard(scope, receive, _Answer(scope, send, vary=bool(self._listed)))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._app(scope, receive, send)

    async def _guard(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        headers = dict(scope["headers"])
        has_body = _has_body(scope, headers)
        try:
            early = self._admit(scope, headers, answer, has_body=has_body)
        except Refusal as refusal:
            if refusal.status == 401 and not is_api(scope["path"]):
                early = _to_login(headers)
            else:
                early = error_response(scope, refusal)
        if early is not None:
            await (self._answer_unread(early, scope, receive, answer) if has_body else early(scope, receive, answer))
            return
        if has_body:
            receive = answer.body = LimitedBody(
                receive, limit=self._policy.max_body_bytes, seconds=self._policy.body_timeout
            )
        try:
            await self._app(scope, receive, answer)
        except ClientDisconnect:
            pass  # gone in mid body: nobody to answer
        except BrokenText:
            log.info("text broken off", extra={"request_id": scope[REQUEST_ID], "path": scope["path"]})
        except SendTimeoutError:
            log.info("reader dropped", extra={"request_id": scope[REQUEST_ID], "path": scope["path"]})
        except Exception as error:
            known = error if isinstance(error, AppError) and not answer.started else None
            if known is None:
                log.exception("unexpected error", extra={"request_id": scope[REQUEST_ID], "path": scope["path"]})
            if not answer.started:
                await error_response(scope, known or unexpected_error())(scope, receive, answer)

    def _admit(self, scope: Scope, headers: Headers, answer: _Answer, *, has_body: bool) -> Response | None:
        """An answer that needs no application, or None.

        Raises:
            Refusal: the first rule that is broken.
        """
        method, api = scope["method"], is_api(scope["path"])
        _check_headers(scope, headers)
        self._check_host(scope, headers)
        _check_framing(headers)
        _check_limits(scope)
        origin = headers.get(b"origin") or _origin_of_picture(scope, headers)
        listed = api and origin in self._listed
        answer.cors_origin = origin if listed else None
        if method == "OPTIONS" and b"access-control-request-method" in headers:
            return _preflight(listed=listed)
        if not listed:
            self._check_origin(method, headers, api=api)
        self._door.check(scope, headers)
        if has_body and method not in _BODILESS_METHODS:
            is_upload = scope["path"] == _UPLOADS
            _check_content_type(headers, _BYTES if is_upload else _JSON if api else _JSON_OR_FORM)
        if int(headers.get(b"content-length", 0)) > self._policy.max_body_bytes:
            raise too_large(self._policy.max_body_bytes)
        return None

    def _check_host(self, scope: Scope, headers: Headers) -> None:
        host = headers.get(b"host", b"").lower()
        port = scope["server"][1] if scope.get("server") else None
        if host in self._hosts or host in _local_hosts(port):
            return
        match = _HOST.fullmatch(host)
        if match is None:
            raise Refusal(400, "invalid_host", "The request must name its host, once, in a `Host` header.")
        if match[1] not in self._hosts:
            raise Refusal(
                421,
                "unknown_host",
                "This server does not answer for this host name. If it should, add the name to PALAVER_ALLOWED_HOSTS.",
            )

    def _check_origin(self, method: str, headers: Headers, *, api: bool) -> None:
        """Refuse what another page makes a browser send; a missing CORS header alone would stop only the reading."""
        if method in _SAFE_METHODS and not api:
            return
        origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site")
        ours = origin is None or self._is_ours(origin, headers[b"host"].lower())
        if not ours or site not in (None, b"same-origin", b"none"):
            raise Refusal(
                403,
                "foreign_origin",
                "Pages of another origin may not use this server. To let one in, add it to PALAVER_ALLOWED_ORIGINS.",
            )
        # No program posts to pages, and browsers always say where a post comes from.
        if not api and origin is None and site != b"same-origin":
            raise Refusal(403, "foreign_origin", "Only the pages of this server may post here; programs use /api.")

    def _is_ours(self, origin: bytes, host: bytes) -> bool:
        return origin in (b"http://" + host, b"https://" + host) or origin == self._own_origin

    async def _answer_unread(self, early: Response, scope: Scope, receive: Receive, answer: _Answer) -> None:
        """Answer before the body is read, and end the connection: the rest must not be taken for the next request."""
        early.headers["connection"] = "close"

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                await answer({**message, "more_body": True})
                await drain(receive, self._policy.body_timeout)
                message = {"type": "http.response.body"}
            await answer(message)

        await early(scope, receive, send)


class _Answer:
    """The `send` of one request: adds headers to the start of the answer."""

    def __init__(self, scope: Scope, send: Send, *, vary: bool) -> None:
        self.started = False
        self.body: LimitedBody | None = None
        self.cors_origin: bytes | None = None
        """The foreign origin that may read the answer."""
        self._scope = scope
        self._send = send
        self._vary = vary

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.started = True
            headers = list(message.get("headers", ()))
            message = {**message, "headers": [*headers, *self._added(dict(headers))]}
        return self._send(message)

    def _added(self, headers: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
        path = self._scope["path"]
        added = [(name, value) for name, value in _EVERY_ANSWER if name not in headers]
        added.append((b"x-request-id", self._scope[REQUEST_ID].encode()))
        if path.startswith("/v1/"):
            added.append((b"request-id", self._scope[REQUEST_ID].encode()))  # as Anthropic's SDKs look for it
        if b"cache-control" not in headers:
            added.append((b"cache-control", b"no-store"))
        if headers.get(b"content-type", b"").startswith(b"text/html"):
            added.extend(_EVERY_PAGE)
        if self._vary and is_api(path):
            added.append((b"vary", b"Origin"))
        own = self.cors_origin is None
        added.append((b"cross-origin-resource-policy", b"same-origin" if own else b"cross-origin"))
        if self.cors_origin is not None:
            added.append((b"access-control-allow-origin", self.cors_origin))
            added.append((b"access-control-expose-headers", _EXPOSED_HEADERS.encode()))
        if self.body is not None and not self.body.complete and b"connection" not in headers:
            added.append((b"connection", b"close"))
        return added


@lru_cache(maxsize=8)
def _local_hosts(port: int | None) -> frozenset[bytes]:
    """What `Host` says when somebody on this machine uses the port."""
    bare = _LOCAL_NAMES if port in _USUAL_PORTS else ()
    return frozenset([*bare, *(b"%b:%d" % (name, port) for name in _LOCAL_NAMES if port is not None)])


def _has_body(scope: Scope, headers: Headers) -> bool:
    length = headers.get(b"content-length")
    if length is None:  # HTTP/2 needs neither header
        return b"transfer-encoding" in headers or (
            scope["http_version"] >= "2" and scope["method"] not in _SAFE_METHODS
        )
    return length != b"0"


def _check_headers(scope: Scope, headers: Headers) -> None:
    """A header that decides something may stand only once: two readers might take different ones."""
    pairs = scope["headers"]
    if len(headers) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        if any(counts[name] > 1 for name in _SINGLE_HEADERS):
            raise Refusal(400, "duplicate_header", "`Host`, `Origin` and other headers may be sent only once.")
    if sum(len(name) + len(value) for name, value in pairs) > MAX_HEADER_BYTES:
        raise Refusal(431, "headers_too_large", f"The headers may have at most {MAX_HEADER_BYTES:,} bytes.")


def _check_framing(headers: Headers) -> None:
    """Refuse what another server on the way may read as a body of another length."""
    coding, length = headers.get(b"transfer-encoding"), headers.get(b"content-length")
    if coding is not None and length is not None:
        raise Refusal(400, "ambiguous_length", "Send either Content-Length or Transfer-Encoding.")
    if coding is not None and coding.lower() != b"chunked":
        raise Refusal(501, "unsupported_encoding", "The only transfer coding known here is `chunked`.")
    if length is not None and not (length.isdigit() and len(length) < 19):
        raise Refusal(400, "invalid_length", "`Content-Length` must be a number.")
    if b"content-encoding" in headers:
        raise Refusal(415, "unsupported_encoding", "Send the body as it is, without `Content-Encoding`.")
    if b"upgrade" in headers:
        message = "No upgrade is offered here; send plain HTTP without `Upgrade`."
        raise Refusal(400, "upgrade_refused", message, headers={"connection": "close"})


def _origin_of_picture(scope: Scope, headers: Headers) -> bytes | None:
    """Whose page shows one of our files: browsers send no `Origin` for an `<img>`, and let no page choose `Referer`."""
    match = _REFERER.match(headers.get(b"referer", b"")) if scope["path"].startswith("/files/") else None
    return match[0] if match is not None else None


def _check_limits(scope: Scope) -> None:
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MAX_TARGET_BYTES:
        raise Refusal(414, "target_too_long", f"The address may have at most {MAX_TARGET_BYTES:,} bytes.")
    if scope["method"] not in METHODS:
        status = 405 if scope["method"] in _KNOWN_METHODS else 501
        allow = {"allow": ", ".join(METHODS)}
        raise Refusal(status, "method_not_allowed", "This server does not know this method.", headers=allow)


def _check_content_type(headers: Headers, allowed: frozenset[bytes]) -> None:
    """A type that needs no preflight would let any page post here."""
    essence, _, parameter = headers.get(b"content-type", b"").lower().partition(b";")
    has_charset = parameter.strip() in _CHARSETS or essence == _WITH_FILES  # whose parameter is its boundary
    if essence.strip() not in allowed or not has_charset:
        what = "the file as it is, with `Content-Type: application/octet-stream`"
        what = what if allowed == _BYTES else "the body as JSON, with `Content-Type: application/json`"
        raise Refusal(415, "unsupported_media_type", f"Send {what}.")


def _preflight(*, listed: bool) -> Response:
    if not listed:
        raise Refusal(403, "foreign_origin", "Pages of this origin may not use this server.")
    allowed = {
        "access-control-allow-methods": ", ".join(METHODS),
        "access-control-allow-headers": ", ".join(_ALLOWED_HEADERS),
        "access-control-max-age": "600",
    }
    return Response(status_code=204, headers=allowed)


def _to_login(headers: Headers) -> Response:
    if b"hx-request" in headers:
        return Response(status_code=401, headers={"hx-redirect": "/login"})
    return RedirectResponse("/login", 303)
