"""Wave Terminal's own service: one question and its answer over a WebSocket, text only.

Format: `openai-cloudreq` of Wave Terminal (`pkg/waveai/cloudbackend.go`). The request is one JSON frame; a frame of the
answer holds some of `type`, `model`, `created`, `finish_reason`, `usage`, `index`, `text` and `error`, and the last
one's `error` is `EOF`. Reading, retries and time limits are the Exchange's: it is given each frame as an event.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
)
from websockets.frames import CloseCode

from app.core.errors import ProviderError
from app.core.events import CallWarning, FinishReason, ModelEvent, ModelFinish, TextDelta, TextEnd, TextStart, Usage
from app.core.model import ModelMessage, ModelRequest, Text, Timeouts
from app.providers.endpoint import Endpoint
from app.providers.exchange import Prepared
from app.providers.failures import Failures, ReportedError
from app.providers.reader import Incoming
from app.providers.retry import retry_after
from app.providers.sse import MAX_EVENT_BYTES
from app.providers.system_prompt import system_prompt
from app.providers.unmapped import Unmapped

_CLIENT_ID = str(uuid4())
"""Who asks, where no WAVE_CLIENT_ID says so: the same as long as the server runs."""

_CLOSE_SECONDS = 0.1
"""How long the service may take to say goodbye; then the connection is cut."""

_FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content-filter",
}
_EOF = "EOF"
_PART = "text-0"


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        """Redirects are followed nowhere."""
        return exc


class WaveCloudAdapter:
    def __init__(self, endpoint: Endpoint, unmapped: Unmapped) -> None:
        self._endpoint = endpoint
        self._unmapped = unmapped
        is_encrypted = endpoint.base_url.startswith("wss:")
        self._options: dict[str, Any] = {"ssl": ssl.create_default_context()} if is_encrypted else {}

    def prepare(self, request: ModelRequest) -> Prepared:
        return Prepared(
            cloud_request(request, self._endpoint.key or _CLIENT_ID, self._unmapped),
            tuple(_warnings(request, self._endpoint.service.default_model)),
        )

    @asynccontextmanager
    async def send(self, body: Mapping[str, Any], timeouts: Timeouts) -> AsyncGenerator[Incoming, None]:
        connecting = _Connect(
            self._endpoint.base_url,
            additional_headers=self._endpoint.headers,
            compression=None,
            proxy=None if self._endpoint.is_loopback else True,
            open_timeout=timeouts.connect,
            ping_interval=None,  # silence has its time limit already
            close_timeout=_CLOSE_SECONDS,
            max_size=MAX_EVENT_BYTES,
            **self._options,
        )
        try:
            socket = await connecting
        except TimeoutError:
            raise ConnectionError("the handshake took too long") from None
        try:
            await socket.send(json.dumps(body, ensure_ascii=False))
            yield Incoming({}, partial(_event, socket))
        finally:
            await socket.close()

    def answer(self, request: ModelRequest) -> WaveCloudAnswer:
        return WaveCloudAnswer(self._unmapped)

    def translate(self, error: Exception, failures: Failures, *, answering: bool) -> ProviderError:
        match error:
            case InvalidStatus(response=response):
                body = (response.body or b"").decode(errors="replace")
                return failures.status(response.status_code, body, retry_after(response.headers))
            case ConnectionClosed(sent=sent) if sent is not None and sent.code == CloseCode.MESSAGE_TOO_BIG:
                return failures.unreadable("a frame without end", error)
            case InvalidMessage(__cause__=EOFError() | OSError()) | ConnectionClosed() | OSError():
                return failures.cut_off(error) if answering else failures.unreachable(error)
            case InvalidHandshake():
                return failures.unreadable("no WebSocket", error)
            case _:
                return failures.unexpected(error)

    async def close(self) -> None:
        """Every answer has a connection of its own."""


async def _event(socket: ClientConnection) -> bytes:
    """The next frame, as an event of a stream."""
    try:
        frame = await socket.recv(decode=False)
    except ConnectionClosedOK:
        return b""
    # A line break can only stand between the tokens of JSON, but would end the event's line.
    return b"data: %b\n\n" % frame.replace(b"\r", b" ").replace(b"\n", b" ")


class WaveCloudAnswer:
    def __init__(self, unmapped: Unmapped) -> None:
        self._unmapped = unmapped
        self._begun = False
        self._usage: Mapping[str, Any] = {}
        self._finish_reason = "stop"

    def read(self, chunk: Any, out: list[ModelEvent]) -> None:
        error = chunk.get("error")
        if error and error != _EOF:
            raise ReportedError(chunk)
        if chunk.get("index"):
            self._unmapped.count("wave_cloud: a second choice")
            return
        self._usage = chunk.get("usage") or self._usage
        self._finish_reason = chunk.get("finish_reason") or self._finish_reason
        if text := chunk.get("text"):
            if not self._begun:
                self._begun = True
                out.append(TextStart(_PART))
            out.append(TextDelta(_PART, text))
        if error:
            if self._begun:
                out.append(TextEnd(_PART))
            usage = Usage(self._usage.get("prompt_tokens") or 0, self._usage.get("completion_tokens") or 0)
            out.append(ModelFinish(_FINISH_REASONS.get(self._finish_reason, "other"), usage))

    def finish(self, out: list[ModelEvent]) -> None:
        """Only EOF ends an answer."""


def cloud_request(request: ModelRequest, client_id: str, unmapped: Unmapped) -> dict[str, Any]:
    """The one frame that is sent."""
    system = system_prompt(request)
    prompt = [{"role": "system", "content": system}] if system else []
    return {
        "type": "openai-cloudreq",
        "clientid": client_id,
        "prompt": [*prompt, *_prompt(request.messages, unmapped)],
        **({"maxtokens": request.max_tokens} if request.max_tokens is not None else {}),
    }


def _prompt(messages: Iterable[ModelMessage], unmapped: Unmapped) -> Iterator[dict[str, str]]:
    """What was said in words; the rest, such as tool calls that another service made, has no place here."""
    for message in messages:
        texts = [item.text for item in message.content if isinstance(item, Text) and item.text]
        for item in message.content:
            if not isinstance(item, Text):
                unmapped.count(f"wave_cloud: {type(item).__name__} in the history")
        if texts:
            separator = "\n\n" if message.role == "user" else ""
            yield {"role": message.role, "content": separator.join(texts)}


def _warnings(request: ModelRequest, own_model: str | None) -> Iterator[CallWarning]:
    """What the service has no words for."""
    unsaid = {
        "model": request.model != own_model,
        "tools": bool(request.tools),
        "provider_tools": bool(request.provider_tools),
        "temperature": request.temperature is not None,
        "top_p": request.top_p is not None,
        "stop": bool(request.stop),
        "thinking": request.thinking not in (None, "off", 0),
    }
    for setting, said in unsaid.items():
        if said:
            yield CallWarning(setting, f"Wave Cloud takes no {setting}; it was left out.")
