"""OpenAI's SDK, for both formats that it sends: its own key and address, or those of whoever speaks the same."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import openai

from app.core.model import Timeouts
from app.providers.endpoint import NO_KEY, Endpoint
from app.providers.http import limits, new_client
from app.providers.reader import Incoming
from app.providers.transport import body_of


def new_openai_client(endpoint: Endpoint) -> openai.AsyncOpenAI:
    client = openai.AsyncOpenAI(
        api_key=endpoint.key or NO_KEY,
        base_url=endpoint.base_url,
        default_headers=dict(endpoint.headers),
        max_retries=0,
        http_client=new_client(endpoint),
    )
    if endpoint.key_name != "OPENAI_API_KEY":  # the SDK reads both from the environment, for OpenAI alone
        client.organization = client.project = None
    return client


@asynccontextmanager
async def posted(
    client: openai.AsyncOpenAI, path: str, body: Mapping[str, Any], timeouts: Timeouts
) -> AsyncGenerator[Incoming, None]:
    """Ask for a stream with `body` as it is: the SDK's own methods would look at each message in it, for seconds where
    there are many, and have no names for what other services take.
    """
    response: Any = await client.post(  # the SDK's types say a stream; it is what `cast_to` says
        path,
        body={**body, "stream": True},
        cast_to=httpx2.Response,
        options={"timeout": limits(timeouts)},
        stream=True,
        stream_cls=openai.AsyncStream[Any],
    )
    answer = body_of(response)
    headers = response.headers
    del response  # and with it the request: the whole conversation, for as long as the answer takes
    try:
        yield Incoming(headers, answer.read, answer.listen)
    finally:
        await answer.aclose()
