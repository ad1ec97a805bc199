"""What one writes first: Starlette, sse-starlette and the objects of the official SDK. `python -m bench.naive <port>`.

Nothing is stored, and nothing is done wrong either: one client for all requests, uvicorn with uvloop and httptools.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import AsyncGenerator

import uvicorn
from openai import AsyncOpenAI
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

client = AsyncOpenAI(base_url=f"http://127.0.0.1:{sys.argv[1]}/v1", api_key="none")


async def answer(messages: list[dict[str, str]], model: str) -> AsyncGenerator[str, None]:
    yield json.dumps({"type": "start"})
    yield json.dumps({"type": "text-start", "id": "0"})
    stream = await client.chat.completions.create(model=model, messages=messages, stream=True)
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            yield json.dumps({"type": "text-delta", "id": "0", "delta": chunk.choices[0].delta.content})
    yield json.dumps({"type": "text-end", "id": "0"})
    yield json.dumps({"type": "finish"})
    yield "[DONE]"


async def chat(request: Request) -> EventSourceResponse:
    asked = await request.json()
    messages = [
        {"role": message["role"], "content": "".join(part["text"] for part in message["parts"])}
        for message in asked["messages"]
    ]
    headers = {"x-vercel-ai-ui-message-stream": "v1"}
    return EventSourceResponse(answer(messages, asked["options"]["model"]), headers=headers)


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(f"port {listener.getsockname()[1]}", flush=True)
    app = Starlette(routes=[Route("/chat", chat, methods=["POST"])])
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run([listener])
