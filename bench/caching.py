"""What prompt caching saves: the input that Anthropic would bill for questions behind one long system prompt.

The service here counts as Anthropic's documentation of prompt caching has it: up to each mark the prompt is kept, if it
is 1,024 tokens or longer; a later request that begins with the same and has a mark there, or at most 20 blocks behind,
reads it for a tenth of the price; what is newly kept costs a quarter more. A token is four bytes. What is found is what
Palaver's own ledger says afterwards, so that the marks, the reading of the usage and the books are all in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from bench.servers import Process, server
from bench.ways import HOST

QUESTIONS = 20
_SYSTEM = "You answer questions about the handbook. " + "A sentence of the handbook says what is done, and when. " * 300
_LEAST_TOKENS = 1_024
_BYTES_OF_TOKEN = 4
_LOOK_BACK = 20
_READ_PRICE, _WRITE_PRICE = 0.1, 1.25


@dataclass(frozen=True, slots=True)
class Billed:
    fresh: int
    read: int
    written: int


class Cache:
    """What the service keeps between requests: the beginnings of prompts, by their digests."""

    def __init__(self) -> None:
        self._kept: set[bytes] = set()

    def ask(self, body: dict[str, Any]) -> Billed:
        """Count the prompt of a request, and keep what its marks say."""
        blocks = list(_blocks(body))
        digests, sizes = _beginnings(blocks)
        marks = [place for place, block in enumerate(blocks) if isinstance(block, dict) and "cache_control" in block]
        candidates = {back for mark in marks for back in range(max(0, mark - _LOOK_BACK), mark + 1)}
        read = max((sizes[place] for place in candidates if digests[place] in self._kept), default=0)
        keeps = [place for place in marks if sizes[place] >= _LEAST_TOKENS]
        written = max((sizes[place] for place in keeps), default=read) - read
        self._kept |= {digests[place] for place in keeps}
        return Billed(sizes[-1] - read - max(0, written), read, max(0, written))


def caching(tell: Callable[[str], None]) -> dict[str, float]:
    """The share of billed input that falls away, in percent: of separate questions and of one long conversation."""
    saved = {}
    for name, ask in (("gateway", _ask_gateway), ("chat", _ask_chat)):
        with _service() as service, server("palaver", service) as palaver:
            for number in range(QUESTIONS):
                ask(palaver.port, number)
            used = _get(palaver.port, "/api/ai/usage")["total"]
        whole, read, written = used["inputTokens"], used["cachedInputTokens"], used["cacheWriteTokens"]
        billed = whole - read - written + read * _READ_PRICE + written * _WRITE_PRICE
        saved[name] = round(100 * (1 - billed / whole), 1)
        tell(f"{name}: {QUESTIONS} questions, {whole:,} tokens of input, billed as {billed:,.0f}: {saved[name]} % less")
    return saved


def _ask_gateway(port: int, number: int) -> None:
    """Separate questions, as programs ask them."""
    _post(
        port,
        "/v1/messages",
        {
            "model": "anthropic",
            "max_tokens": 100,
            "system": _SYSTEM,
            "prompt_caching": {"cache_system": True},
            "messages": [{"role": "user", "content": f"What does sentence {number} say?"}],
        },
    )


def _ask_chat(port: int, number: int) -> None:
    """One conversation that grows. It begins with what is long: the system prompt is the preset's."""
    text = _SYSTEM if number == 0 else f"What does sentence {number} say?"
    message = {"id": f"u{number}", "role": "user", "parts": [{"type": "text", "text": text}]}
    _post(port, "/api/ai/chat/handbook?preset=anthropic", {"message": message})


def _post(port: int, path: str, body: object) -> bytes:
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", path, json.dumps(body), {"host": HOST, "content-type": "application/json"})
        return _read(connection)


def _get(port: int, path: str) -> Any:
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", path, headers={"host": HOST})
        return json.loads(_read(connection))


def _read(connection: HTTPConnection) -> bytes:
    answer = connection.getresponse()
    data = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"Palaver answered {answer.status}: {data[:300]!r}")
    return data


@contextmanager
def _service() -> Iterator[Process]:
    """The service in a thread of its own. It answers one word, and what the question is billed as."""
    cache = Cache()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            data = _answer(cache.ask(body), stream=body.get("stream", False))
            kind = "text/event-stream" if body.get("stream") else "application/json"
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = Thread(target=running.serve_forever)
        thread.start()
        try:
            yield Process(0, running.server_address[1])
        finally:
            running.shutdown()
            thread.join()


def _answer(billed: Billed, *, stream: bool) -> bytes:
    usage = {
        "input_tokens": billed.fresh,
        "cache_read_input_tokens": billed.read,
        "cache_creation_input_tokens": billed.written,
        "output_tokens": 1,
    }
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "none", "stop_sequence": None}
    text = {"type": "text", "text": "Yes."}
    if not stream:
        return json.dumps({**message, "content": [text], "stop_reason": "end_turn", "usage": usage}).encode()
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, "content": [], "stop_reason": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Yes."}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]
    return b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in events)


def _blocks(body: dict[str, Any]) -> Iterator[Any]:
    """The prompt in its order: tools, system, messages."""
    yield from body.get("tools", ())
    yield from _listed(body.get("system", ()))
    for message in body["messages"]:
        yield message["role"]
        yield from _listed(message["content"])


def _listed(content: Any) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _beginnings(blocks: list[Any]) -> tuple[list[bytes], list[int]]:
    """Of the prompt up to each block, it included: a digest, and the number of tokens."""
    digest, size = sha256(), 0
    digests, sizes = [], []
    for block in blocks:
        bare = (
            {key: value for key, value in block.items() if key != "cache_control"} if isinstance(block, dict) else block
        )
        data = json.dumps(bare, sort_keys=True).encode()
        digest.update(data)
        size += len(data)
        digests.append(digest.digest())
        sizes.append(size // _BYTES_OF_TOKEN)
    return digests, sizes
