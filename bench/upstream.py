"""A fast model service on loopback, in the wires of OpenAI and of Anthropic: `python -m bench.upstream`.

It prints its port. The name of the model says what to send:

    paced-<deltas>-<per second>        one write each, at that pace
    burst-<writes>-<deltas per write>  one write after the other, with a breath between them
    code-<deltas>-<per second>         ten lines of one block of code each, at that pace
    table-<deltas>-<per second>        ten rows of one table each

But for code and tables, the text of every delta holds the time of its write, `%` and nine digits: microseconds of the
monotonic clock, which all processes of a machine share. Whoever reads the stream can tell how long each took, and count
them.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass
from functools import partial

import uvloop

STAMP_RANGE = 10**9
LINES = {
    "code": (b"```python\\n", b"value_%d = compute('text', value)  # a line\\n"),
    "table": (b"| a | b | c |\\n|---|---|---|\\n", b"| %d | some words | **more** |\\n"),
}
"""What an answer of one long block begins with, and is made of; as JSON has it."""
PARAGRAPH = 60
"""Deltas after which a paragraph ends, as in prose."""
BREATH = 0.004
"""Seconds between bursts, so that whoever reads has read one before the next comes."""

_GOLDEN = 0.6180339887
"""Multiples of it spread evenly over the unit interval, however many there are."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Wire:
    """What a stream is made of. A delta is `before`, its text, and `after`."""

    start: bytes
    before: bytes
    after: bytes
    end: bytes

    def delta(self, number: int) -> bytes:
        blank = b"\\n\\n" if number % PARAGRAPH == PARAGRAPH - 1 else b" "
        return b"%b%b%%%09d%b" % (self.before, blank, time.monotonic_ns() // 1000 % STAMP_RANGE, self.after)

    def lines(self, kind: str, number: int) -> bytes:
        opening, line = LINES[kind]
        text = b"".join(line % (10 * number + of_ten) for of_ten in range(10))
        return self.before + (opening if number == 0 else b"") + text + self.after


def _event(value: dict[str, object], name: str | None = None) -> bytes:
    head = b"" if name is None else b"event: %b\n" % name.encode()
    return head + b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def _openai() -> Wire:
    def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
        same = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": "bench"}
        return _event({**same, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]})

    before, after = chunk({"content": "TEXT"}).split(b"TEXT")
    usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
    end = chunk({}, "stop") + _event({"object": "chat.completion.chunk", "choices": [], "usage": usage})
    return Wire(chunk({"role": "assistant", "content": ""}), before, after, end + b"data: [DONE]\n\n")


def _anthropic() -> Wire:
    def event(kind: str, **fields: object) -> bytes:
        return _event({"type": kind, **fields}, kind)

    usage = {"input_tokens": 9, "output_tokens": 1}
    message = {"id": "msg_bench", "type": "message", "role": "assistant", "model": "bench", "content": []}
    message |= {"stop_reason": None, "stop_sequence": None, "usage": usage}
    start = event("message_start", message=message)
    start += event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    delta = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "TEXT"})
    end = event("content_block_stop", index=0)
    end += event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage=usage)
    return Wire(start, *delta.split(b"TEXT"), end + event("message_stop"))


OPENAI, ANTHROPIC = _openai(), _anthropic()


class Upstream(asyncio.Protocol):
    """One connection: requests one after the other, each answered as its model says."""

    streams = 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._received = b""
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, rest = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not blank or length is None or len(rest) < int(length[1]):
            return
        self._received = b""
        model = json.loads(rest)["model"]
        self._begin(ANTHROPIC if head.startswith(b"POST /v1/messages") else OPENAI, model)

    def _begin(self, wire: Wire, model: str) -> None:
        kind, count, number = model.split("-")
        self._wire = wire
        self._delta = partial(wire.lines, kind) if kind in LINES else wire.delta
        if kind == "burst" and count == "1":
            self._transport.write(_HEAD + _chunk(wire.start + self._deltas(int(number))) + self._end())
            return
        self._transport.write(_HEAD + _chunk(wire.start))
        if kind == "burst":
            self._burst(int(count), int(number))
            return
        Upstream.streams += 1
        interval = 1 / int(number)
        phase = Upstream.streams * _GOLDEN % 1
        self._paced(0, int(count), self._loop.time() - interval * (1 - phase), interval)

    def _paced(self, sent: int, count: int, begun: float, interval: float) -> None:
        self._transport.write(_chunk(self._delta(sent)))
        sent += 1
        if sent < count:
            due = begun + sent * interval
            self._timer = self._loop.call_at(due, self._paced, sent, count, begun, interval)
        else:
            self._transport.write(self._end())

    def _burst(self, left: int, size: int) -> None:
        self._transport.write(_chunk(self._deltas(size)))
        if left > 1:
            self._timer = self._loop.call_later(BREATH, self._burst, left - 1, size)
        else:
            self._transport.write(self._end())

    def _deltas(self, count: int) -> bytes:
        return b"".join(map(self._wire.delta, range(count)))

    def _end(self) -> bytes:
        return _chunk(self._wire.end) + _LAST_CHUNK


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0, backlog=2048)
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve())
