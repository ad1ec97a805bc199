"""OpenAI's SDK, for both formats that it sends: its own key and address, or those of whoever speaks the same."""

from __future__ import annotations

import openai

from app.providers.endpoint import NO_KEY, Endpoint
from app.providers.http import new_client


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
