"""Requests of clients that speak Anthropic's Messages themselves: passed on to the service, and its answers back, as
they are, so that whatever is newer than this server goes through too.

A request gets the preset's model, what the preset says where the client says nothing, and marks for the cache where
they are asked for. Of an answer every event is told, its data byte for byte; only the usage is read, and the end mark.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from app.core.errors import ProviderError, UnsupportedContent
from app.core.events import ModelEvent, ModelFinish, Usage, Verbatim
from app.core.model import ModelRequest, Relayed, Timeouts
from app.providers.anthropic.adapter import BETAS, AnthropicAdapter
from app.providers.anthropic.cache import mark_parts
from app.providers.anthropic.messages import lacks_thoughts
from app.providers.anthropic.settings import settings_of
from app.providers.anthropic.usage import total
from app.providers.exchange import Prepared
from app.providers.failures import Failures, ReportedError
from app.providers.http import incoming, limits
from app.providers.parsing import Frame
from app.providers.reader import MAX_ANSWER_BYTES, Answer, Incoming
from app.providers.system_prompt import system_prompt

_SAMPLING = frozenset({"temperature", "top_p", "top_k"})
_PRELUDE = frozenset({"message_start", "ping"})
"""Events that a service may send before it fails: nothing has been said yet, and another try makes sense."""


class AnthropicRelay:
    """An adapter over the connections of another."""

    def __init__(self, adapter: AnthropicAdapter) -> None:
        self._adapter = adapter

    def prepare(self, request: ModelRequest) -> Prepared:
        relayed = _relayed(request)
        if not self._adapter.is_original:
            _refuse_addresses(relayed.body)
        body, betas, prepared = relayed_body(request)
        asked = [*self._adapter.betas, relayed.headers.get(BETAS, ""), *betas]
        headers = {**relayed.headers, BETAS: ",".join(filter(None, asked))}
        if not headers[BETAS]:
            del headers[BETAS]
        call = {"body": body, "headers": headers, "whole": relayed.whole, "counts": relayed.counts}
        return replace(prepared, body=call)

    @asynccontextmanager
    async def send(self, body: Mapping[str, Any], timeouts: Timeouts) -> AsyncGenerator[Incoming, None]:
        messages = self._adapter.client.messages.with_streaming_response
        # The SDK would look at each message; the body takes the place of what it makes of these arguments.
        same: dict[str, Any] = {"model": body["body"]["model"], "messages": [], "extra_body": body["body"]}
        same |= {"extra_headers": body["headers"], "timeout": limits(timeouts)}
        if body["counts"]:
            async with messages.count_tokens(**same) as response:
                yield _in_one_event(incoming(response.http_response))
        elif body["whole"]:
            async with messages.create(**same, max_tokens=1) as response:
                yield _in_one_event(incoming(response.http_response))
        else:
            async with messages.create(**same, max_tokens=1, stream=True) as response:
                yield incoming(response.http_response)

    def answer(self, request: ModelRequest) -> Answer:
        relayed = _relayed(request)
        return RelayedCount() if relayed.counts else RelayedMessage() if relayed.whole else RelayedStream()

    def translate(self, error: Exception, failures: Failures, *, answering: bool) -> ProviderError:
        return self._adapter.translate(error, failures, answering=answering)

    async def close(self) -> None:
        """The connections are the other adapter's."""


def _relayed(request: ModelRequest) -> Relayed:
    assert request.relayed is not None, "asked of a relay"
    return request.relayed


def relayed_body(request: ModelRequest) -> tuple[dict[str, Any], tuple[str, ...], Prepared]:
    """The body that is sent, the betas that it needs besides the client's, and what of the preset's was left out."""
    relayed = _relayed(request)
    body: dict[str, Any] = {**relayed.body, "model": request.model}
    if "system" not in body and (system := system_prompt(request)):
        body["system"] = system
    if "tools" not in body and request.provider_tools:
        body["tools"] = [dict(tool) for tool in request.provider_tools]
    mark_parts(body, relayed.cached, request.cache)
    if relayed.counts:
        return body, (), Prepared({})
    unsaid = _unsaid(request, body)
    settings = settings_of(unsaid, in_loop=lacks_thoughts(_in_blocks(body.get("messages"))))
    filled: dict[str, Any] = {**settings.body, **settings.body.get("extra_body", {})}
    filled.pop("extra_body", None)
    if unsaid.thinking is None:
        for name in ("max_tokens", "thinking", "output_config"):
            filled.pop(name, None)
    return body | filled, settings.betas if unsaid.thinking is not None else (), Prepared({}, settings.warnings)


def _unsaid(request: ModelRequest, body: Mapping[str, Any]) -> ModelRequest:
    """The values that the client has left to the preset. Thinking goes with few others, so it comes only where the
    client says nothing that might not fit.
    """
    choice = body.get("tool_choice")
    forces = isinstance(choice, Mapping) and choice.get("type") in ("any", "tool")
    thinks = body.keys() & {"thinking", "output_config"}
    samples = body.keys() & _SAMPLING
    limit = body.get("max_tokens")
    return ModelRequest(
        request.model,
        (),
        temperature=None if thinks or samples else request.temperature,
        top_p=None if thinks or samples else request.top_p,
        stop=() if "stop_sequences" in body else request.stop,
        thinking=None if thinks or samples or forces else request.thinking,
        max_tokens=limit if isinstance(limit, int) else None,
    )


def _in_blocks(messages: Any) -> list[dict[str, Any]]:
    """Messages whose content is a list of blocks with a type each; the rest says nothing of thinking."""
    found = []
    for message in messages if isinstance(messages, list) else ():
        role, content = (message.get("role"), message.get("content")) if isinstance(message, dict) else ("", None)
        blocks = content if isinstance(content, list) else [{"type": "text"}]
        found.append({"role": role, "content": [_typed(block) for block in blocks]})
    return found


def _typed(block: Any) -> dict[str, Any]:
    kind = block.get("type") if isinstance(block, dict) else None
    return {"type": kind if isinstance(kind, str) else ""}


def _refuse_addresses(body: Mapping[str, Any]) -> None:
    """Nobody but the original is told to fetch something: a server of one's own may reach what no client may."""
    todo: list[Any] = [body.get(name) for name in ("messages", "system", "mcp_servers")]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            if value.get("type") == "url":
                raise UnsupportedContent(
                    "Only Anthropic itself is asked to fetch an address. Send the content as base64.", param="messages"
                )
            todo += value.values()
        elif isinstance(value, list):
            todo += value


def _in_one_event(received: Incoming) -> Incoming:
    """A body that is one JSON document, as the stream that a reader expects."""
    headers = dict(received.headers)
    if headers.get("content-type", "").startswith("application/json"):
        headers["content-type"] = "text/event-stream"
    ended = False

    async def read() -> bytes:
        nonlocal ended
        pieces: list[bytes] = []
        size = 0
        while not ended and size <= MAX_ANSWER_BYTES:
            pieces.append(await received.read())
            size += len(pieces[-1])
            ended = not pieces[-1]
        body = b"".join(pieces)
        return b"data: " + body.replace(b"\n", b"\ndata: ") + b"\n\n" if body else b""

    return Incoming(headers, read)


class RelayedStream:
    """An answer as events."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        """What came before the first word."""
        self._begun = False
        self._usage: dict[str, Any] = {}

    def read(self, chunk: Frame, out: list[ModelEvent]) -> None:
        event = chunk.value
        kind: str = event["type"]
        if kind == "error":
            raise ReportedError(event)
        if kind == "message_start":
            self._count(event["message"].get("usage"))
        elif kind == "message_delta":
            self._count(event.get("usage"))
        framed = _framed(kind, chunk.data)
        if not self._begun:
            self._held.append(framed)
            if kind in _PRELUDE:
                return
            self._begun = True
            out.append(Verbatim(b"".join(self._held), total(self._usage)))
        else:
            out.append(Verbatim(framed))
        if kind == "message_stop":
            out.append(ModelFinish("other", total(self._usage)))

    def finish(self, out: list[ModelEvent]) -> None:
        """Without its end mark an answer is cut off, whatever came before."""

    def _count(self, usage: Mapping[str, Any] | None) -> None:
        self._usage.update({name: figure for name, figure in (usage or {}).items() if figure is not None})


def _framed(kind: str, data: bytes) -> bytes:
    if b"\n" in data:
        data = data.replace(b"\n", b"\ndata: ")
    if not kind.isprintable():
        raise ValueError("no name of an event")
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


class RelayedMessage:
    """An answer in one piece."""

    def read(self, chunk: Frame, out: list[ModelEvent]) -> None:
        message = chunk.value
        if message["type"] == "error":
            raise ReportedError(message)
        if message["type"] != "message":
            raise ValueError("no message")
        usage = {name: figure for name, figure in message["usage"].items() if figure is not None}
        out += [Verbatim(chunk.data), ModelFinish("other", total(usage))]

    def finish(self, out: list[ModelEvent]) -> None: ...


class RelayedCount:
    def read(self, chunk: Frame, out: list[ModelEvent]) -> None:
        if chunk.value.get("type") == "error":
            raise ReportedError(chunk.value)
        out += [Verbatim(chunk.data), ModelFinish("other", Usage(input_tokens=chunk.value["input_tokens"]))]

    def finish(self, out: list[ModelEvent]) -> None: ...
