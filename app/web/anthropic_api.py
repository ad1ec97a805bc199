"""`/v1/messages`: Anthropic's API for programs that speak it, whatever service answers.

A service of the same format gets the request as it is, and its answer goes back as it is; for any other both are
translated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.chat.apart import apart
from app.chat.completion import Completion
from app.chat.gateway_keys import check_field
from app.chat.routing_rules import wanted_by
from app.core.errors import InvalidRequest
from app.core.routing import Occasion
from app.web.body import is_large, read_object
from app.web.deps import State
from app.web.errors import request_id_of
from app.web.gateway import stream_completion, whole_answer
from app.web.gateway_keys import key_of
from app.web.requests import deps_of, header_values
from app.web.responses import JSONAnswer
from app.wire.anthropic_answer import Head, to_message
from app.wire.anthropic_events import MessageEncoder, RelayEncoder
from app.wire.anthropic_request import Head as RequestHead
from app.wire.anthropic_request import read_head, read_request

ESTIMATED = "x-palaver-estimated"
"""Header of a count that no tokenizer has made."""

_FORMAT_HEADERS = ("anthropic-beta", "anthropic-version")
_LONGEST_HEADER = 2_000


async def post_message(request: Request[State]) -> Response:
    return await _message(request, await read_object(request))


async def post_message_stream(request: Request[State]) -> Response:
    """Always a stream."""
    return await _message(request, {**await read_object(request), "stream": True})


async def _message(request: Request[State], body: Mapping[str, Any]) -> Response:
    head = _head(request, body)
    if (relayed := await _relay(request, head)) is not None:
        if head.asked.stream:
            return await stream_completion(request, relayed, RelayEncoder(request_id_of(request.scope)))
        return await _whole(request, relayed)
    deps = deps_of(request)
    asked = await apart(await is_large(request), read_request, body)
    completion = await deps.completions.open(
        asked, headers=header_values(request), key=key_of(request), relayed=head.relayed
    )
    answer = Head(f"msg_{deps.new_id()}", completion.model)
    if asked.stream:
        encoder = MessageEncoder(answer, asked.notes, request_id_of(request.scope))
        return await stream_completion(request, completion, encoder)
    answered = await whole_answer(request, completion)
    if answered.verbatim is not None:
        return _as_it_is(answered.verbatim)
    return JSONAnswer(to_message(answered, answer, asked.notes))


async def post_count_tokens(request: Request[State]) -> Response:
    """Services of other formats are not asked: what they would say is estimated."""
    body = await read_object(request)
    head = _head(request, body, counts=True)
    if (relayed := await _relay(request, head)) is not None:
        return await _whole(request, relayed)
    asked = await apart(await is_large(request), read_request, body)
    completion = await deps_of(request).completions.open(asked, headers=header_values(request), key=key_of(request))
    tokens = wanted_by(completion.request, Occasion()).tokens
    return JSONAnswer({"input_tokens": tokens}, headers={ESTIMATED: "true"})


def _head(request: Request[State], body: Mapping[str, Any], *, counts: bool = False) -> RequestHead:
    head = read_head(body, _headers(request), counts=counts)
    check_field(key_of(request), head.beyond)
    return head


async def _relay(request: Request[State], head: RequestHead) -> Completion | None:
    return await deps_of(request).completions.relay(
        head.asked, "anthropic", head.relayed, headers=header_values(request), key=key_of(request)
    )


async def _whole(request: Request[State], relayed: Completion) -> Response:
    return _as_it_is((await whole_answer(request, relayed)).verbatim or b"")


def _as_it_is(answer: bytes) -> Response:
    return Response(answer, media_type="application/json")


def _headers(request: Request[State]) -> Mapping[str, str]:
    """Those that belong to the format: which version, and what is tried out. The client's key is none of them."""
    found = {name: ",".join(request.headers.getlist(name)) for name in _FORMAT_HEADERS if name in request.headers}
    for name, value in found.items():
        if len(value) > _LONGEST_HEADER or not (value.isascii() and value.isprintable()):
            raise InvalidRequest(f"The header {name} must be a short text in ASCII.", param=name)
    return found
