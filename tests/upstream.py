"""A model service that does what a test tells it: a real HTTP server on loopback, speaking three formats.

    with Upstream() as upstream:
        upstream.reply(chat_answer("Hel", "lo"))              # what the next request gets
        upstream.reply(Reply(status=429, headers={"retry-after": "1"}, steps=[b"{}"]))
        ...                                  # ask http://…/v1/chat/completions, /v1/responses or /v1/messages
        assert upstream.requests[0].json["model"] == "m"

A request that finds no reply waiting gets a plain "Hello from upstream." in the format of its path. The server runs in
a thread of its own, so it serves sync and async tests, browsers and other processes alike.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

FIXTURES = Path(__file__).parent / "providers" / "fixtures"
PATIENCE = 60.0
"""Seconds after which a test that waits for something has failed, on the busiest machine."""


class Gate:
    """An event between threads: closed at first, opened once."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def open(self) -> None:
        with self._lock:
            self._event.set()
            for loop, event in self._waiting:
                loop.call_soon_threadsafe(event.set)
            self._waiting.clear()

    def is_open(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float = PATIENCE) -> None:
        assert self._event.wait(seconds), "nothing happened"

    async def opened(self, seconds: float = PATIENCE) -> None:
        event = asyncio.Event()
        with self._lock:
            if self._event.is_set():
                return
            self._waiting.append((asyncio.get_running_loop(), event))
        async with asyncio.timeout(seconds):
            await event.wait()


Fault: TypeAlias = Literal["cut", "reset", "hold"]
"""`cut`: close without the end that the framing promises; `reset`: the same, rudely; `hold`: say nothing for ever."""

Step: TypeAlias = bytes | Gate | Fault


@dataclass(frozen=True)
class Reply:
    """What one request gets. Each bytes step is one write; a Gate waits until the test opens it."""

    steps: Sequence[Step] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "text/event-stream"})
    framing: Literal["chunked", "length", "eof"] = "chunked"
    """`eof`: the body ends with the connection, and nobody can tell an end from a cut."""

    def head(self) -> bytes:
        framing = {"connection": "close"}
        if self.framing == "chunked":
            framing = {"transfer-encoding": "chunked"}
        elif self.framing == "length":
            framing = {"content-length": str(sum(len(step) for step in self.steps if isinstance(step, bytes)))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in {**self.headers, **framing}.items())
        return f"HTTP/1.1 {self.status} Scripted\r\n{lines}\r\n".encode()


@dataclass
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    gone: Gate = field(default_factory=Gate)
    """Opens when the client closes the connection before it has the whole answer."""
    answered: Gate = field(default_factory=Gate)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def key(self) -> str | None:
        named = self.headers.get("x-api-key") or self.headers.get("x-goog-api-key")
        return named or self.headers.get("authorization", "").removeprefix("Bearer ") or None


class Upstream:
    def __init__(
        self,
        *,
        key: str | None = None,
        models: Sequence[str] = ("tiny",),
        owner: str = "upstream",
        models_reply: Reply | None = None,
        unlisted: Sequence[str] = (),
        otherwise: Callable[[Request], Reply] | None = None,
    ) -> None:
        """Start it as a context manager.

        Args:
            key: the only one that is accepted; a wrong one is quoted back, as services do.
            models: what GET /v1/models lists.
            owner: the `owned_by` of each.
            models_reply: what GET /v1/models gets instead of a list.
            unlisted: other models that it knows by name.
            otherwise: makes what a POST gets for which nothing is queued.
        """
        self.requests: list[Request] = []
        self._key = key
        listed = [{"id": model, "object": "model", "owned_by": owner} for model in models]
        self._models = models_reply or json_reply(200, {"object": "list", "data": listed})
        self._unlisted = unlisted
        self.otherwise = otherwise
        self._replies: deque[Reply] = deque()
        self._arrived = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """What Anthropic's adapter wants as base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """What OpenAI's adapters want."""
        return f"{self.url}/v1"

    def reply(self, reply: Reply | Sequence[Step], *more: Reply | Sequence[Step]) -> None:
        """Queue what the next requests get, in order."""
        self._replies.extend(item if isinstance(item, Reply) else Reply(item) for item in (reply, *more))

    def forget(self) -> None:
        """Whoever comes next finds nothing queued."""
        self._replies.clear()

    def wait_for_requests(self, count: int, seconds: float = PATIENCE) -> list[Request]:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.requests) >= count, seconds), "too few requests came"
        return self.requests

    async def arrived(self, count: int) -> list[Request]:
        return await asyncio.to_thread(self.wait_for_requests, count)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        return await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)

    async def _shut(self) -> None:
        assert self._server is not None
        self._server.close()
        tasks = [task for connection in self._connections if (task := connection.task) is not None]
        for connection in list(self._connections):
            connection.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # connection_lost is called soon

    def _received(self, request: Request) -> Reply:
        with self._arrived:
            self.requests.append(request)
            self._arrived.notify_all()
        if self._key is not None and request.key != self._key:
            message = f"Incorrect API key provided: {request.key}."
            error = {"type": "authentication_error", "code": "invalid_api_key", "message": message}
            return json_reply(401, {"type": "error", "error": error})
        if request.method == "GET":
            is_list = request.path.partition("?")[0].endswith("/models")
            knows = request.path.rpartition("/")[2] in self._unlisted
            return self._models if is_list else json_reply(200 if knows else 404, {})
        if self._replies:
            return self._replies.popleft()
        if self.otherwise is not None:
            return self.otherwise(request)
        if request.path.endswith("/messages"):
            return Reply(anthropic_answer("Hello", " from", " upstream."))
        if request.path.endswith("/responses"):
            return Reply(responses_answer("Hello", " from", " upstream."))
        return Reply(chat_answer("Hello", " from", " upstream."))


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._received = b""
        self._request: Request | None = None
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._upstream._connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or self._request is not None:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        if len(body) < length:
            return
        method, path, _ = first.split(" ")
        self._received = body[length:]
        self._request = Request(method, path, headers, body[:length])
        reply = self._upstream._received(self._request)
        self.task = asyncio.get_running_loop().create_task(self._answer(self._request, reply))

    def connection_lost(self, error: Exception | None) -> None:
        self._upstream._connections.discard(self)
        if self._request is not None:
            self._request.gone.open()
        if self.task is not None:
            self.task.cancel()

    async def _answer(self, request: Request, reply: Reply) -> None:
        chunked = reply.framing == "chunked"
        self.transport.write(reply.head())
        for step in reply.steps:
            match step:
                case bytes():
                    self.transport.write(b"%x\r\n%b\r\n" % (len(step), step) if chunked else step)
                    await asyncio.sleep(0)
                case Gate():
                    await step.opened()
                case "hold":
                    await asyncio.Event().wait()
                case "cut":
                    self._request = None
                    self.transport.close()
                    return
                case "reset":
                    self._request = None
                    linger = struct.pack("ii", 1, 0)
                    self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.transport.abort()
                    return
        self._request = None
        request.answered.open()
        if chunked:
            self.transport.write(b"0\r\n\r\n")
        elif reply.framing == "eof":
            self.transport.close()


def json_reply(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(
        [json.dumps(value).encode()], status, {"content-type": "application/json", **(headers or {})}, "length"
    )


def html_reply(status: int = 200) -> Reply:
    return Reply(
        [b"<!DOCTYPE html><html><body>Please log in to the network.</body></html>"],
        status,
        {"content-type": "text/html"},
    )


def chat_frames(chunks: Iterable[Any], *, done: bool = True) -> list[bytes]:
    """One `data:` frame a chunk, then `[DONE]`."""
    frames = [b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n" for chunk in chunks]
    return [*frames, b"data: [DONE]\n\n"] if done else frames


def anthropic_frames(events: Iterable[Any]) -> list[bytes]:
    """Each event with its name: Anthropic's, and those of OpenAI's Responses."""
    return [
        b"event: " + event["type"].encode() + b"\ndata: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"
        for event in events
    ]


def chat_answer(
    *texts: str, reasoning: Sequence[str] = (), usage: tuple[int, int] = (9, 12), finish: str | None = "stop"
) -> list[bytes]:
    """An answer as OpenAI streams it. `finish` None: it stops without its end mark."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": text} for text in reasoning]
    deltas += [{"content": text} for text in texts]
    chunks = [chat_chunk(delta) for delta in deltas]
    if finish is None:
        return chat_frames(chunks, done=False)
    sent, said = usage
    totals = {"prompt_tokens": sent, "completion_tokens": said, "total_tokens": sent + said}
    return chat_frames([*chunks, chat_chunk({}, finish), {**chat_chunk({}), "choices": [], "usage": totals}])


def chat_chunk(delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "tiny", "choices": [choice]}


def anthropic_answer(
    *texts: str, reasoning: Sequence[str] = (), usage: tuple[int, int] = (9, 12), finish: str | None = "end_turn"
) -> list[bytes]:
    """An answer as Anthropic streams it. `finish` None: it stops without its end mark."""
    sent, said = usage
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "tiny",
        "content": [],
        "stop_reason": None,
    }
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, "usage": {"input_tokens": sent, "output_tokens": 1}}},
        {"type": "ping"},
    ]
    thought = {"type": "thinking", "thinking": "", "signature": ""}
    thoughts = [*({"type": "thinking_delta", "thinking": text} for text in reasoning)]
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    if thoughts:
        blocks.append((thought, [*thoughts, {"type": "signature_delta", "signature": "c2lnbmF0dXJl"}]))
    blocks.append(({"type": "text", "text": ""}, [{"type": "text_delta", "text": text} for text in texts]))
    for index, (start, deltas) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    if finish is None:
        return anthropic_frames(events[:-1])
    delta = {"stop_reason": finish, "stop_sequence": None}
    ends = [{"type": "message_delta", "delta": delta, "usage": {"output_tokens": said}}, {"type": "message_stop"}]
    return anthropic_frames([*events, *ends])


def responses_answer(
    *texts: str, reasoning: Sequence[str] = (), usage: tuple[int, int] = (9, 12), finish: str | None = "completed"
) -> list[bytes]:
    """An answer as OpenAI's Responses API streams it. `finish` None: it stops without its end mark."""
    sent, said = usage
    response = {"id": "resp_1", "object": "response", "model": "tiny", "status": "in_progress", "output": []}
    events: list[dict[str, Any]] = [{"type": "response.created", "response": response}]
    thought = {"id": "rs_1", "type": "reasoning", "summary": []}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}
    items = [(thought, "reasoning_summary_text", "summary_index", reasoning)] if reasoning else []
    for index, (item, kind, place, pieces) in enumerate([*items, (message, "output_text", "content_index", texts)]):
        where = {"output_index": index, place: 0}
        events.append({"type": "response.output_item.added", "output_index": index, "item": item})
        events += [{"type": f"response.{kind}.delta", **where, "delta": piece} for piece in pieces]
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    if finish is None:
        return anthropic_frames(events[:-1])
    totals = {"input_tokens": sent, "output_tokens": said, "total_tokens": sent + said}
    return anthropic_frames(
        [*events, {"type": f"response.{finish}", "response": {**response, "status": finish, "usage": totals}}]
    )


def fixture(path: Path | str) -> list[bytes]:
    """The frames of a `.jsonl` file below FIXTURES; its folder tells the format."""
    file = FIXTURES / path
    events = [json.loads(line) for line in file.read_text().split("\n") if line]
    if file.parent.name in ("anthropic", "openai_responses"):
        return anthropic_frames(events)
    return chat_frames(events, done=file.parent.name != "google")


def one_write(steps: Sequence[bytes]) -> list[bytes]:
    return [b"".join(steps)]


def byte_by_byte(steps: Sequence[bytes]) -> list[bytes]:
    return [bytes([byte]) for byte in b"".join(steps)]


def with_crlf(steps: Sequence[bytes]) -> list[bytes]:
    return [step.replace(b"\n", b"\r\n") for step in steps]
