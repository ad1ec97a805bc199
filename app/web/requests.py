"""What endpoints read from a request besides its body."""

from __future__ import annotations

import re

from starlette.datastructures import QueryParams
from starlette.requests import Request

from app.core.errors import InvalidRequest, NotFound
from app.core.ids import is_block_id
from app.core.values import HEADERS, Values, parse_values
from app.web.deps import Deps, State


def deps_of(request: Request[State]) -> Deps:
    return request.state["deps"]


def block_id_of(request: Request[State]) -> str:
    """The block id in the path; one that no conversation can have is a 404 like any other unknown one."""
    block_id = str(request.path_params["block_id"])
    if not is_block_id(block_id):
        raise NotFound(
            "There is no such conversation. A block id is 1 to 128 letters, digits, `_`, `.`, `:` or `-`, "
            "beginning with a letter or digit."
        )
    return block_id


def header_values(request: Request[State]) -> Values:
    """The `X-AI-*` headers that set a value of the turn."""
    said = {name: request.headers[name] for name in HEADERS if name in request.headers}
    return parse_values(said, HEADERS, text=True) if said else Values()


def preset_of(request: Request[State]) -> str | None:
    return request.query_params.get("preset")


def protocol_of(request: Request[State], query: QueryParams | None = None) -> str | None:
    """`query` stands for the request's own where that one is not what the app wrote."""
    parameters = request.query_params if query is None else query
    return parameters.get("protocol", request.headers.get("x-stream-protocol"))


def sdk_of(request: Request[State], query: QueryParams | None = None) -> str | None:
    parameters = request.query_params if query is None else query
    return parameters.get("sdk", request.headers.get("x-ai-sdk"))


def wants_html(request: Request[State]) -> bool:
    """The htmx page asks for fragments, a browser for a page; every program gets JSON."""
    return "hx-request" in request.headers or "text/html" in request.headers.get("accept", "")


def if_match_of(request: Request[State]) -> int | None:
    """The version that `If-Match` or `If-None-Match: *` (as 0) asks for; None where the client does not care."""
    if request.headers.get("if-none-match", "").strip() == "*":
        return 0
    value = request.headers.get("if-match", "").strip()
    if value in ("", "*"):
        return None
    version = re.fullmatch(r'(?:W/)?"(\d{1,15})"', value)
    if version is None:
        raise InvalidRequest("`If-Match` must be the ETag that a GET or POST of this conversation answered.")
    return int(version[1])
