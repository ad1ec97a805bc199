"""Streamed answers on real sockets: what is framed how, and in how many pieces."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from app.web.streaming import WRITE
from tests.durability.answers import steps_of
from tests.durability.conftest import CONFIG
from tests.server_process import ServerProcess, server_process
from tests.upstream import Gate, Upstream, one_write
from tests.web.conftest import RunningServer

Serve = Callable[[ASGIApp], RunningServer]
PIECE = b"x" * 10_000
MOST_PIECES = 5_000
"""Far more than fit into the buffers between the two ends."""


class Conversation:
    """One connection, read as its bytes are framed."""

    def __init__(self, connection: socket.socket, host: str) -> None:
        self.connection = connection
        self._host = host
        self._file: BinaryIO = connection.makefile("rb")

    def close(self) -> None:
        self._file.close()
        self.connection.close()

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, str]]:
        """The head of the answer."""
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"host: {self._host}", "content-type: application/json"]
        lines.append(f"content-length: {len(content)}")
        self.connection.sendall("\r\n".join([*lines, "", ""]).encode() + content)
        status = int(self._file.readline().split(b" ")[1])
        headers = {}
        while line := self._file.readline().decode().strip():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        return status, headers

    def chunk(self) -> bytes:
        """The next chunk; empty at the end of the body."""
        size = int(self._file.readline(), 16)
        data = self._file.read(size)
        assert self._file.readline() == b"\r\n"
        return data

    def chunks(self) -> list[bytes]:
        return list(iter(self.chunk, b""))

    def body(self, headers: dict[str, str]) -> bytes:
        return self._file.read(int(headers["content-length"]))


@contextmanager
def talking(port: int, receive_buffer: int | None = None) -> Iterator[Conversation]:
    connection = socket.socket()
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(30)
    connection.connect(("127.0.0.1", port))
    talk = Conversation(connection, f"127.0.0.1:{port}")
    try:
        yield talk
    finally:
        talk.close()


# Writing at once


class Application:
    """Streams its pieces by both ways; a lower-case one is written at once, the rest is sent."""

    def __init__(self, *pieces: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        self.refused: list[bytes] = []
        """What could not be written at once, and was sent instead."""
        self.early: bool | None = None
        self.late: bool | None = None
        self._pieces = pieces
        self._headers = list(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        write = scope["extensions"][WRITE]["write"]
        self.early = write(b"too early")
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        for piece in self._pieces:
            if not (piece.islower() and write(piece)):
                self.refused.append(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        self.late = write(b"too late")


def test_what_is_written_at_once_and_what_is_sent_are_chunks_alike(serve: Serve) -> None:
    app = Application(b"SENT", b"written", b": KEEP-ALIVE\n\n", b"again", b"once more", b"SENT")
    server = serve(app)
    with talking(server.port) as client:
        for _ in range(2):  # on one connection
            status, headers = client.ask("GET", "/")
            assert (status, headers["transfer-encoding"]) == (200, "chunked")
            assert client.chunks() == [b"SENT", b"written", b": KEEP-ALIVE\n\n", b"again", b"once more", b"SENT"]
    assert app.refused == 2 * [b"SENT", b": KEEP-ALIVE\n\n", b"SENT"]


def test_before_the_beginning_and_after_the_end_nothing_can_be_written(serve: Serve) -> None:
    app = Application(b"written")
    server = serve(app)
    with talking(server.port) as client:
        client.ask("GET", "/")
        assert client.chunks() == [b"written"]
        client.ask("GET", "/")
        assert client.chunks() == [b"written"]
    assert (app.early, app.late) == (False, False)


def test_an_answer_to_head_has_no_body_to_write_to(serve: Serve) -> None:
    app = Application(b"written")
    server = serve(app)
    with talking(server.port) as client:
        assert client.ask("HEAD", "/")[0] == 200
        client.ask("GET", "/")
        assert client.chunks() == [b"written"]
    assert app.refused == [b"written"]


def test_a_body_of_known_length_is_not_written_to(serve: Serve) -> None:
    app = Application(b"written", headers=((b"content-length", b"7"),))
    server = serve(app)
    with talking(server.port) as client:
        for _ in range(2):
            _, headers = client.ask("GET", "/")
            assert client.body(headers) == b"written"
    assert app.refused == [b"written", b"written"]


class Flood:
    """Writes numbered pieces for as long as that goes, then a few more the other way."""

    def __init__(self, after: int) -> None:
        self.is_full = Gate()
        self.number = 0
        self._after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        write = scope["extensions"][WRITE]["write"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while self.number < MOST_PIECES and write(self._piece()):
            self.number += 1
        self.is_full.open()
        for _ in range(self._after):
            await send({"type": "http.response.body", "body": self._piece(), "more_body": True})
            self.number += 1
            if write(self._piece()):
                self.number += 1
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _piece(self) -> bytes:
        return b"%d " % self.number + PIECE


def test_a_client_that_does_not_read_is_not_written_to_and_loses_nothing(serve: Serve) -> None:
    app = Flood(after=200)
    server = serve(app)
    with talking(server.port, receive_buffer=4_096) as client:
        client.ask("GET", "/")
        app.is_full.wait()
        numbers = [int(chunk.split(b" ")[0]) for chunk in client.chunks()]
    assert 200 < len(numbers) < MOST_PIECES
    assert numbers == list(range(len(numbers)))


# The whole way


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture(scope="module")
def server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    config = CONFIG.format(upstream=upstream.base_url)
    folder: Path = tmp_path_factory.mktemp("palaver")
    with server_process(folder, config=config, environment={"FAKE_KEY": "not-a-key"}) as running:
        yield running


def port_of(server: ServerProcess) -> int:
    return int(server.url.rpartition(":")[2])


def question(text: str = "Tell me a story") -> dict[str, Any]:
    return {"message": {"id": "u1", "role": "user", "parts": [{"type": "text", "text": text}]}, "store": False}


def said(chunks: list[bytes]) -> str:
    """The text of an answer in UI message stream format."""
    frames = [frame for frame in b"".join(chunks).split(b"\n\n") if frame.startswith(b"data: {")]
    return "".join(json.loads(frame[6:]).get("delta", "") for frame in frames)


def test_what_the_service_writes_at_once_leaves_as_one_chunk(server: ServerProcess, upstream: Upstream) -> None:
    words = [f"word{number} " for number in range(10)]
    gates = [Gate() for _ in words]
    upstream.reply(steps_of(["first ", *(item for pair in zip(gates, words, strict=True) for item in pair)]))
    with talking(port_of(server)) as client:
        assert client.ask("POST", "/api/ai/chat/chunks", question())[0] == 200
        text = said([client.chunk()])
        while text != "first ":
            text += said([client.chunk()])
        for gate, word in zip(gates[:-1], words, strict=False):
            gate.open()
            chunk = client.chunk()
            assert said([chunk]) == word
            assert chunk.count(b"data: ") == 1
        gates[-1].open()
        assert said(client.chunks()) == words[-1]


def test_many_deltas_at_once_are_one_chunk(server: ServerProcess, upstream: Upstream) -> None:
    words = [f"word{number} " for number in range(40)]
    gate = Gate()
    first, *rest = steps_of(["first ", *words])
    frames = [step for step in rest if isinstance(step, bytes)]
    upstream.reply([first, frames[0], gate, *one_write(frames[1:])])
    with talking(port_of(server)) as client:
        client.ask("POST", "/api/ai/chat/many", question())
        chunks = [client.chunk()]
        while said(chunks) != "first ":
            chunks.append(client.chunk())
        gate.open()
        chunks = client.chunks()
    assert said(chunks) == "".join(words)
    assert said(chunks[:1]) == said(chunks), "all the deltas in the first chunk"
    assert len(chunks) <= 4, "its text, its end, and the end of the stream"


def test_the_connection_is_good_for_another_request(server: ServerProcess, upstream: Upstream) -> None:
    with talking(port_of(server)) as client:
        for number in range(3):
            upstream.reply(steps_of(["Once", " upon"]))
            assert client.ask("POST", f"/api/ai/chat/again{number}", question())[0] == 200
            assert said(client.chunks()) == "Once upon"
            status, headers = client.ask("GET", "/health")
            assert status == 200
            assert json.loads(client.body(headers))["status"] == "ok"


def test_a_client_that_reads_late_gets_everything_in_order(server: ServerProcess, upstream: Upstream) -> None:
    words = [f"{number} " + "long " * 400 for number in range(2_000)]
    upstream.reply(steps_of(words))
    with talking(port_of(server), receive_buffer=4_096) as client:
        client.ask("POST", "/api/ai/chat/late", question())
        upstream.requests[-1].answered.wait(30)  # the service has said it all, and nobody has read any of it
        assert said(client.chunks()) == "".join(words)


def test_a_tab_that_comes_later_gets_the_same(server: ServerProcess, upstream: Upstream) -> None:
    gates = [Gate(), Gate()]
    upstream.reply(steps_of(["Once", gates[0], " upon", gates[1], " a time"]))
    body = {**question(), "store": True}
    with talking(port_of(server)) as first, talking(port_of(server)) as second:
        first.ask("POST", "/api/ai/chat/tabs", body)
        chunks = [first.chunk()]
        while said(chunks) != "Once":
            chunks.append(first.chunk())
        assert second.ask("GET", "/api/ai/chat/tabs/stream")[0] == 200
        others = [second.chunk()]
        assert said(others) == "Once"
        for gate in gates:
            gate.open()
        chunks += first.chunks()
        others += second.chunks()
    assert said(chunks) == said(others) == "Once upon a time"


def test_a_client_that_leaves_with_another_request_waiting_harms_nobody(
    server: ServerProcess, upstream: Upstream
) -> None:
    """With a pipelined request, the one that is answered hears of no disconnect, and the socket is closed under it."""
    gates = [Gate(), Gate(), Gate()]
    upstream.reply(steps_of(["Once", gates[0], " upon", gates[1], " a time", gates[2], "."]))
    body = {**question(), "store": True}
    with talking(port_of(server)) as stays:
        with talking(port_of(server)) as leaves:
            leaves.ask("POST", "/api/ai/chat/pipelined", body)
            first = leaves.chunk()
            while said([first]) != "Once":
                first = leaves.chunk()
            assert stays.ask("GET", "/api/ai/chat/pipelined/stream")[0] == 200
            others = [stays.chunk()]
            leaves.connection.sendall(b"GET /health HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n\r\n" % port_of(server))
            leaves.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for gate in gates:
            gate.open()
            others.append(stays.chunk())
        others += stays.chunks()
        assert said(others) == "Once upon a time."
        status, headers = stays.ask("GET", "/health")
        assert (status, json.loads(stays.body(headers))["status"]) == (200, "ok")


def test_head_of_a_stream_has_no_body(server: ServerProcess, upstream: Upstream) -> None:
    gate = Gate()
    upstream.reply(steps_of(["Once", gate, " upon"]))
    with talking(port_of(server)) as client, talking(port_of(server)) as other:
        client.ask("POST", "/api/ai/chat/head", {**question(), "store": True})
        chunks = [client.chunk()]
        head = (
            f"HEAD /api/ai/chat/head/stream HTTP/1.1\r\nhost: 127.0.0.1:{port_of(server)}\r\nconnection: close\r\n\r\n"
        )
        other.connection.sendall(head.encode())
        gate.open()
        chunks += client.chunks()
        received = b""
        while data := other.connection.recv(65_536):
            received += data
    assert said(chunks) == "Once upon"
    assert received.startswith(b"HTTP/1.1 ")
    assert received.endswith(b"\r\n\r\n")
    assert received.count(b"\r\n\r\n") == 1
