"""`/v1/chat/completions` and `/v1/responses`: OpenAI's APIs for programs that speak them, whatever service answers."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response

from app.chat.apart import apart
from app.web.body import is_large, read_object
from app.web.deps import State
from app.web.gateway import stream_completion, whole_answer
from app.web.gateway_keys import key_of
from app.web.requests import deps_of, header_values
from app.web.responses import JSONAnswer
from app.wire.openai_chat import read_chat_completion
from app.wire.openai_completion import CompletionEncoder, Head, to_completion
from app.wire.openai_response import Head as ResponseHead
from app.wire.openai_response import to_response
from app.wire.openai_response_events import ResponseEncoder
from app.wire.openai_responses import read_response_request


async def post_chat_completion(request: Request[State]) -> Response:
    deps = deps_of(request)
    body = await read_object(request)
    wanted = await apart(await is_large(request), read_chat_completion, body)
    asked = wanted.asked
    completion = await deps.completions.open(asked, headers=header_values(request), key=key_of(request))
    head = Head(f"chatcmpl-{deps.new_id()}", int(time.time()), completion.model)
    if asked.stream:
        encoder = CompletionEncoder(head, asked.notes, include_usage=wanted.include_usage)
        return await stream_completion(request, completion, encoder)
    return JSONAnswer(to_completion(await whole_answer(request, completion), head, asked.notes))


async def post_response(request: Request[State]) -> Response:
    deps = deps_of(request)
    body = await read_object(request)
    wanted = await apart(await is_large(request), read_response_request, body)
    asked = wanted.asked
    completion = await deps.completions.open(asked, headers=header_values(request), key=key_of(request))
    head = ResponseHead(deps.new_id(), int(time.time()), completion.model, wanted.repeated)
    if asked.stream:
        return await stream_completion(request, completion, ResponseEncoder(head, asked.notes))
    return JSONAnswer(to_response(await whole_answer(request, completion), head, asked.notes))
