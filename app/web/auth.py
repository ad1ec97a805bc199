"""The access token: who may come in, where one is configured. One token, one door, whatever carries the token.

Programs send `Authorization: Bearer` or `x-api-key`, browsers a cookie that `POST /login` sets. Addresses never carry
tokens: those end up in logs, histories and `Referer` headers.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Scope

from app.core.gateway_keys import PREFIX
from app.web.deps import State
from app.web.errors import Refusal

DOOR = "palaver.door"
"""Key of the scope under which the guard keeps the door, for the endpoints below."""

COOKIE = "palaver_session"
COOKIE_SECONDS = 30 * 24 * 3600
MAX_FAILURES = 20
"""Wrong tokens per address and window; after that, failures are answered 429. The right token is never kept waiting."""
WINDOW_SECONDS = 60.0
MAX_ADDRESSES = 10_000

_PUBLIC = frozenset({"/login", "/health"})


def is_public(path: str) -> bool:
    """What must work before anyone has come in, and what people with a link may read. By the path as it is routed,
    never by an address built from `Host`.
    """
    return path in _PUBLIC or path.startswith(("/static/", "/health/", "/share/"))


def is_gateway(path: str) -> bool:
    """Where keys of the gateway open: nowhere else."""
    return path.startswith("/v1/")


class Door:
    """Compares what a request carries with the token; without a token it stands open."""

    def __init__(self, token: str | None, *, secure_cookie: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._token_digest = None if token is None else _digest(token.encode())
        # Made from the token alone, so that it outlives a restart; nobody gets from it to the token.
        self.cookie = "" if token is None else hmac.digest(token.encode(), b"palaver session 1", "sha256").hex()
        self._cookie_digest = _digest(self.cookie.encode())
        self.secure_cookie = secure_cookie
        self._clock = clock
        self._failures: dict[str, tuple[float, int]] = {}

    @property
    def is_open(self) -> bool:
        return self._token_digest is None

    def check(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        """Let the request pass.

        A wrong token in one header is a failure even where the other one is right, so that no proxy or client library
        that prefers the other one sees a different caller.

        Raises:
            Refusal: 401, or 429 for an address that has guessed too often.
        """
        if self.is_open or is_public(scope["path"]):
            return
        presented = _header_tokens(headers)
        if presented:
            if is_gateway(scope["path"]) and all(map(_is_gateway_key, presented)):
                return  # `app.web.gateway_keys` looks at it
            if not all(self._is_token(token) for token in presented):
                self._fail(scope, guessed=any(presented))
            return
        cookie = _cookie(headers.get(b"cookie", b""))
        if cookie is None or not hmac.compare_digest(_digest(cookie), self._cookie_digest):
            self._fail(scope, guessed=bool(cookie))

    def check_token(self, scope: Scope, token: str) -> None:
        """Like `check`, for a token out of a form."""
        if not self._is_token(token.encode()):
            self._fail(scope, guessed=bool(token))

    def _is_token(self, presented: bytes) -> bool:
        return self._token_digest is not None and hmac.compare_digest(_digest(presented), self._token_digest)

    def count(self, scope: Scope, *, guessed: bool) -> None:
        """Note that the request was not let in. Raises Refusal: 429 for an address that has guessed too often."""
        if guessed and (seconds := self._count_failure(scope)) is not None:
            raise Refusal(
                429, "too_many_failures", "Too many wrong tokens; wait a minute and try again.", retry_after=seconds
            )

    def _fail(self, scope: Scope, *, guessed: bool) -> None:
        self.count(scope, guessed=guessed)
        raise Refusal(
            401,
            "unauthorized",
            "This server needs its access token: send `Authorization: Bearer …`, or log in on its page.",
            headers={"www-authenticate": "Bearer"},
        )

    def _count_failure(self, scope: Scope) -> float | None:
        """Seconds to wait, once there were too many."""
        now = self._clock()
        address = scope["client"][0] if scope.get("client") else ""
        start, count = self._failures.get(address, (now, 0))
        if now - start >= WINDOW_SECONDS:
            start, count = now, 0
        if address not in self._failures and len(self._failures) >= MAX_ADDRESSES:
            self._failures.clear()
        self._failures[address] = (start, count + 1)
        return start + WINDOW_SECONDS - now if count >= MAX_FAILURES else None


async def get_login(request: Request[State]) -> Response:
    if door_of(request).is_open:
        return RedirectResponse("/", 303)
    return _form(request)


async def post_login(request: Request[State]) -> Response:
    """Exchange the token of the form for the cookie."""
    door = door_of(request)
    if door.is_open:
        return RedirectResponse("/", 303)
    async with request.form(max_fields=8, max_files=0) as form:
        token = form.get("token")
    try:
        door.check_token(request.scope, token.strip() if isinstance(token, str) else "")
    except Refusal as refusal:
        return _form(request, refusal)
    response = RedirectResponse("/", 303)
    response.set_cookie(
        COOKIE, door.cookie, COOKIE_SECONDS, httponly=True, samesite="strict", secure=door.secure_cookie
    )
    return response


async def post_logout(request: Request[State]) -> Response:
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=door_of(request).secure_cookie)
    return response


def door_of(request: Request[State]) -> Door:
    door: Any = request.scope[DOOR]
    assert isinstance(door, Door)
    return door


def _form(request: Request[State], refusal: Refusal | None = None) -> Response:
    template = request.state["deps"].templates.get_template("login.html")
    if refusal is None:
        return HTMLResponse(template.render(message=""))
    message = "That is not the token." if refusal.status == 401 else refusal.message
    return HTMLResponse(template.render(message=message), refusal.status)


def _header_tokens(headers: Mapping[bytes, bytes]) -> list[bytes]:
    """What is presented as a token; an `Authorization` of another kind counts as a wrong one."""
    tokens = []
    if (authorization := headers.get(b"authorization")) is not None:
        scheme, _, token = authorization.partition(b" ")
        tokens.append(token.strip() if scheme.lower() == b"bearer" else b"")
    if (key := headers.get(b"x-api-key")) is not None:
        tokens.append(key.strip())
    return tokens


def gateway_key_in(scope: Scope) -> str | None:
    """The gateway's key that the request came with. Two that differ are none: a proxy might look at the other one."""
    presented = _header_tokens(dict(scope["headers"]))
    keys = {token for token in presented if _is_gateway_key(token)}
    return keys.pop().decode("latin-1") if len(keys) == 1 and len(set(presented)) == 1 else "" if keys else None


def _is_gateway_key(token: bytes) -> bool:
    return token.startswith(PREFIX.encode())


def _cookie(header: bytes) -> bytes | None:
    for pair in header.split(b";"):
        name, _, value = pair.strip().partition(b"=")
        if name == COOKIE.encode():
            return value
    return None


def _digest(value: bytes) -> bytes:
    """Digests have one length, so comparing them takes one time."""
    return sha256(value).digest()
