"""`/api/ai/chat/{blockId}`: start a turn, attach to a running one, stop it."""

from __future__ import annotations

import re

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from app.chat.apart import apart
from app.web.body import is_large, read_object
from app.web.deps import State
from app.web.requests import block_id_of, deps_of, header_values, preset_of, protocol_of, sdk_of
from app.web.responses import JSONAnswer
from app.web.streaming import stream_run
from app.wire.chat_request import parse_chat_request
from app.wire.formats import choose_encoder, knows_approvals

# Older AI SDKs append the path of a resume to the whole URL, query string included (wire contract of ai@4 to ai@7).
_PATH_IN_QUERY = re.compile(r"(?P<query>.*)/(?P<chat>[^/?&]+)/stream")
_CHAT_ID_IN_QUERY = re.compile(r"(?P<query>.*?)[?&]?chatId=(?P<chat>[^&]*)")


async def post_chat(request: Request[State]) -> Response:
    deps = deps_of(request)
    block_id = block_id_of(request)
    chat = await apart(
        await is_large(request),
        parse_chat_request,
        await read_object(request),
        preset=preset_of(request),
        headers=header_values(request),
        new_id=deps.new_id,
        shows_approvals=knows_approvals(protocol_of(request), sdk_of(request)),
    )
    encoder = choose_encoder(
        protocol_of(request), sdk_of(request), is_v4=chat.is_v4, shows_approvals=chat.turn.shows_approvals
    )
    turn = chat.turn if chat.template is None else await deps.prompts.turn(block_id, chat.turn, chat.template)
    run = await deps.turns.begin(block_id, turn)
    return await stream_run(request, deps.runs.follow(run, encoder), encoder)


async def get_stream(request: Request[State]) -> Response:
    """Re-attach to the running turn: everything from `start` on, then live. Nothing running is no error."""
    return await _attach(request, request.query_params, is_v4=False)


async def get_stream_by_query(request: Request[State]) -> Response:
    """The same for SDKs that put the path, or SDK 4 that puts a `chatId`, behind the query the app wrote."""
    query, is_v4 = _resume_query(request.url.query)
    return await _attach(request, QueryParams(query), is_v4=is_v4)


async def _attach(request: Request[State], query: QueryParams, *, is_v4: bool) -> Response:
    deps = deps_of(request)
    encoder = choose_encoder(protocol_of(request, query), sdk_of(request, query), is_v4=is_v4)
    run = deps.runs.to_attach(block_id_of(request))
    if run is not None and request.method != "HEAD":
        return await stream_run(request, deps.runs.follow(run, encoder, whole=True), encoder)
    if is_v4:  # SDK 4 takes a 204 for an error
        return Response(media_type=encoder.media_type, headers=encoder.headers)
    return Response(status_code=204)


async def post_stop(request: Request[State]) -> Response:
    return JSONAnswer({"stopped": await deps_of(request).turns.stop(block_id_of(request))})


def _resume_query(raw: str) -> tuple[str, bool]:
    """The query the app wrote, without what its SDK appended, and whether that SDK is 4."""
    if (path := _PATH_IN_QUERY.fullmatch(raw)) is not None:
        return path["query"], False
    if (chat := _CHAT_ID_IN_QUERY.fullmatch(raw)) is not None:
        return chat["query"], True
    return raw, False
