"""The ways to have a stream: of which server, and by what request."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlencode

from bench.load import Ask

HOST = "bench"
"""The name under which the servers are addressed."""
PAGE_PRESET = "page"
"""The preset that the page's form asks; its model is that of the paced streams, for a form names no model."""

_CHAT = "/api/ai/chat"
_CONVERSATIONS = "/api/ai/conversations"


@dataclass(frozen=True, slots=True)
class Way:
    """A server, and a way to have a stream of it."""

    server: str
    title: str
    ask: Callable[[str, int, int], Ask]
    """From the model, the number of the stream and the length of the history."""
    counts_deltas: bool = True
    """False where what leaves is no longer what came in: HTML."""
    save: Callable[[int, int], tuple[str, bytes]] | None = None
    """Where conversations are kept: path and body of the POST that saves one up to its last question."""


def _post(path: str, body: bytes, kind: str = "application/json", **more: str) -> bytes:
    headers = {"host": HOST, "content-type": kind, "content-length": str(len(body)), **more}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def _history(number: int, length: int) -> list[dict[str, object]]:
    """What `useChat` sends: questions and answers of a few lines each, the last of them a question."""
    text = "The history of a conversation is sent whole with every question, so its parsing counts. " * 3
    return [
        {
            "id": f"m{number}-{place}",
            "role": "user" if (length - place) % 2 else "assistant",
            "parts": [{"type": "text", "text": text}],
        }
        for place in range(length)
    ]


def _chat_body(model: str, number: int, length: int) -> bytes:
    return json.dumps({"messages": _history(number, length), "options": {"model": model}}).encode()


def _saved_body(number: int, length: int) -> bytes:
    return json.dumps({"messages": _history(number, length)[:-1]}).encode()


def _ask_palaver(model: str, number: int, length: int) -> Ask:
    return Ask(_post(f"{_CHAT}/openai-{number}", _chat_body(model, number, length)))


def _save_palaver(number: int, length: int) -> tuple[str, bytes]:
    return f"{_CONVERSATIONS}/openai-{number}", _saved_body(number, length)


def _ask_palaver_anthropic(model: str, number: int, length: int) -> Ask:
    return Ask(_post(f"{_CHAT}/anthropic-{number}?preset=anthropic", _chat_body(model, number, length)))


def _save_palaver_anthropic(number: int, length: int) -> tuple[str, bytes]:
    return f"{_CONVERSATIONS}/anthropic-{number}", _saved_body(number, length)


def _ask_palaver_twice(model: str, number: int, length: int) -> Ask:
    path = f"{_CHAT}/twice-{number}"
    attach = f"GET {path}/stream HTTP/1.1\r\nhost: {HOST}\r\n\r\n".encode()
    return Ask(_post(path, _chat_body(model, number, length)), attach)


def _ask_page(model: str, number: int, length: int) -> Ask:
    form = urlencode({"text": "go", "preset": PAGE_PRESET}).encode()
    kind = "application/x-www-form-urlencoded"
    accepts = {"hx_request": "true", "accept": "text/html, text/event-stream", "sec_fetch_site": "same-origin"}
    return Ask(_post(f"/c/page-{number}", form, kind, **accepts))


def _ask_proxy(model: str, number: int, length: int) -> Ask:
    messages = [{"role": each["role"], "content": "text"} for each in _history(number, length)]
    return Ask(_post("/v1/chat/completions", json.dumps({"model": model, "messages": messages}).encode()))


def _ask_messages(maker: str, model: str, number: int, length: int) -> Ask:
    """By Anthropic's API: `maker` is the provider whose preset answers, or nobody where the service itself is asked."""
    messages = [{"role": each["role"], "content": "text"} for each in _history(number, length)]
    body = {"model": maker + model, "max_tokens": 9_999, "stream": True, "messages": messages}
    return Ask(_post("/v1/messages", json.dumps(body).encode()))


def _ask_chat(model: str, number: int, length: int) -> Ask:
    return Ask(_post("/chat", _chat_body(model, number, length)))


WAYS: Mapping[str, Way] = {
    "direct": Way("direct", "the model service itself", _ask_proxy),
    "proxy": Way("proxy", "byte proxy", _ask_proxy),
    "transform": Way("transform", "byte proxy with the bare transform", _ask_chat),
    "palaver": Way("palaver", "Palaver", _ask_palaver, save=_save_palaver),
    "palaver-anthropic": Way(
        "palaver", "Palaver, from Anthropic's wire", _ask_palaver_anthropic, save=_save_palaver_anthropic
    ),
    "palaver-twice": Way("palaver", "Palaver, with a second reader", _ask_palaver_twice),
    "palaver-page": Way("palaver", "Palaver, HTML for the page", _ask_page, counts_deltas=False),
    "direct-messages": Way("direct", "the model service itself, Anthropic's API", partial(_ask_messages, "")),
    "gateway": Way("palaver", "Palaver as a gateway, passed on", partial(_ask_messages, "anthropic/")),
    "gateway-translated": Way("palaver", "Palaver as a gateway, translated", partial(_ask_messages, "openai-chat/")),
    "naive": Way("naive", "Starlette with SDK objects", _ask_chat),
    "node": Way("node", "AI SDK on Node", _ask_chat),
}
