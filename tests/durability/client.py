"""A client of the chat API on raw sockets: it takes as much of an answer as a test wants, when the test wants it."""

from __future__ import annotations

import json
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tests.server_process import ServerProcess

PATIENCE = 60.0
"""Seconds after which something that a test waits for will not come."""


def user(message_id: str, text: str) -> dict[str, Any]:
    return {"id": message_id, "role": "user", "parts": [{"type": "text", "text": text}]}


def text_of(message: dict[str, Any]) -> str:
    return "".join(part.get("text", "") for part in message["parts"] if part["type"] == "text")


def wait_until(happened: Callable[[], bool]) -> None:
    """For what only another process knows."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


opened: list[Stream] = []
"""Every stream of the test that runs, also those that it forgets to close when it fails."""


class Stream:
    """One request whose answer comes bit by bit. Nothing is read before the test asks for it."""

    def __init__(
        self, url: str, method: str, path: str, body: Any = None, *, receive_buffer: int | None = None
    ) -> None:
        address = urlsplit(url)
        assert address.hostname is not None
        opened.append(self)
        self.sent_at = time.monotonic()
        self.chunks: list[dict[str, Any]] = []
        self.done = False
        """The stream said that it is over."""
        self._text: list[str] = []
        self._rest = b""
        self._answer: HTTPResponse | None = None
        self._connection = HTTPConnection(address.hostname, address.port, timeout=PATIENCE)
        self._connection.sock = socket.socket()
        if receive_buffer is not None:
            self._connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._connection.sock.settimeout(PATIENCE)
        try:
            self._connection.sock.connect((address.hostname, address.port))
        except OSError:
            self.close()
            raise
        headers = {"content-type": "application/json"} if body is not None else {}
        self._connection.request(method, path, json.dumps(body) if body is not None else None, headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave, like a tab that is closed."""
        if self._answer is not None:
            self._answer.close()
        self._connection.close()

    @property
    def status(self) -> int:
        return self._head().status

    @property
    def text(self) -> str:
        """What the answer has said so far, as far as it was read."""
        return "".join(self._text)

    @property
    def kinds(self) -> list[str]:
        return [chunk["type"] for chunk in self.chunks]

    @property
    def message_id(self) -> str:
        return self.chunks[0]["messageId"]

    def body(self) -> bytes:
        """The rest of the answer, raw."""
        with self:
            return self._head().read()

    def json(self) -> Any:
        return json.loads(self.body())

    def read_text(self, length: int) -> Self:
        """Read until the answer has said at least that many characters."""
        said = len(self.text)
        for chunk in self._read():
            said += len(chunk.get("delta", ""))
            if said >= length:
                return self
        raise AssertionError(f"the stream ended after {said} characters")

    def read_chunk(self) -> dict[str, Any]:
        return next(self._read())

    def read(self) -> Self:
        """Read until the end, whatever end it has."""
        with self:
            for _ in self._read():
                pass
        return self

    def read_what_comes(self) -> Self:
        """Read until the end of a connection that may break at any point."""
        try:
            return self.read()
        except (OSError, HTTPException):
            return self

    def _head(self) -> HTTPResponse:
        if self._answer is None:
            self._answer = self._connection.getresponse()
        return self._answer

    def _read(self) -> Iterator[dict[str, Any]]:
        while data := self._head().read1(65_536):
            *frames, self._rest = (self._rest + data).split(b"\n\n")
            chunks = [json.loads(frame[6:]) for frame in frames if frame.startswith(b"data: {")]
            self.done = self.done or b"data: [DONE]" in frames
            self.chunks += chunks
            self._text += [chunk["delta"] for chunk in chunks if chunk["type"] == "text-delta"]
            yield from chunks


class Chat:
    """One conversation on a server."""

    def __init__(self, server: ServerProcess, block: str, preset: str = "fake") -> None:
        self._server = server
        self._preset = preset
        self.block = block
        self.chat = f"/api/ai/chat/{block}"
        self.conversation = f"/api/ai/conversations/{block}"

    def request(self, method: str, path: str, body: Any = None, **more: Any) -> Stream:
        return Stream(self._server.url, method, path, body, **more)

    def ask(self, *messages: dict[str, Any], receive_buffer: int | None = None, **body: Any) -> Stream:
        """A turn with the whole history; a single message goes as `message`, the stored conversation before it."""
        said = {"messages": messages} if len(messages) > 1 else {"message": messages[0]}
        path = f"{self.chat}?preset={self._preset}"
        return self.request("POST", path, {**said, **body}, receive_buffer=receive_buffer)

    def resume(self, **more: Any) -> Stream:
        return self.request("GET", self.chat + "/stream", **more)

    def stop(self) -> bool:
        return self.request("POST", self.chat + "/stop").json()["stopped"]

    def save(self, *messages: dict[str, Any]) -> Stream:
        return self.request("POST", self.conversation, {"messages": messages})

    def messages(self) -> list[dict[str, Any]]:
        """The active branch, as a page that is loaded gets it."""
        return self.request("GET", self.conversation).json()["messages"]

    def said(self) -> list[tuple[str, str]]:
        return [(message["role"], text_of(message)) for message in self.messages()]

    def running(self) -> bool:
        with self.resume() as stream:
            return stream.status == 200


ROWS = """
SELECT id, role, status, text || coalesce((
  SELECT group_concat(said, '') FROM (
    SELECT piece.value ->> 1 AS said FROM growth, json_each(growth.said) AS piece
    WHERE growth.row = messages.row AND piece.value ->> 0 = 'text' ORDER BY growth.number, piece.key
  )
), '') FROM messages WHERE block_id = ? ORDER BY row
"""
"""The text of an answer in flight is what was written as a whole, and the pieces that have come since."""


def rows(folder: Path, block: str) -> list[tuple[str, str, str, str]]:
    """Id, role, status and text of each message of the block, from the file itself; oldest first."""
    with closing(sqlite3.connect(f"file:{folder}/data/palaver.db?mode=ro", uri=True)) as database:
        return database.execute(ROWS, [block]).fetchall()
