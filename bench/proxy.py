"""The floor: a proxy of plain asyncio protocols on uvloop. `python -m bench.proxy <port of the service> raw|transform`.

`raw` passes bytes on and looks at none. `transform` does the least that a chat server must: it makes the service's
request of the app's, and of every chunk of the answer one chunk of a UI message stream. It has no log, no storage, no
limits, no guard and no errors; nothing that does its work in Python costs less.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from json.encoder import encode_basestring_ascii as quoted
from typing import ClassVar

import uvloop
from jiter import from_json  # comes with the SDKs; the fastest reader of JSON that is installed anyway

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]+)\r\n")
_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-vercel-ai-ui-message-stream: v1\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
_START = b'data: {"type":"start"}\n\ndata: {"type":"start-step"}\n\ndata: {"type":"text-start","id":"0"}\n\n'
_END = (
    b'data: {"type":"text-end","id":"0"}\n\ndata: {"type":"finish-step"}\n\ndata: {"type":"finish"}\n\ndata: [DONE]\n\n'
)


class Client(asyncio.Protocol):
    """A connection of an app."""

    service_port: ClassVar[int]
    transforms: ClassVar[bool]

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self._service: Service | None = None
        self._received = b""

    def connection_lost(self, error: Exception | None) -> None:
        if self._service is not None:
            self._service.transport.close()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, rest = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not blank or length is None or len(rest) < int(length[1]):
            return
        request, self._received = self._received, b""
        if self.transforms:
            request = _request_of(rest)
            self.transport.write(_HEAD + _chunk(_START))
        if self._service is not None:
            self._service.transport.write(request)
        else:
            self._opening = asyncio.ensure_future(self._connect(request))

    async def _connect(self, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        kind = Transforming if self.transforms else Service
        _, self._service = await loop.create_connection(lambda: kind(self.transport), "127.0.0.1", self.service_port)
        self._service.transport.write(request)


class Service(asyncio.Protocol):
    """A connection to the model service, for one connection of an app."""

    def __init__(self, client: asyncio.Transport) -> None:
        self._client = client

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._client.write(data)


class Transforming(Service):
    """The same, one chunk of a UI message stream for every chunk of the answer."""

    _received = b""
    _events = b""

    def data_received(self, data: bytes) -> None:
        self._events += self._dechunked(data)
        *events, self._events = self._events.split(b"\n\n")
        out = b"".join(map(_transformed, events))
        if out:
            self._client.write(_chunk(out) + (b"0\r\n\r\n" if out.endswith(_END) else b""))

    def _dechunked(self, data: bytes) -> bytes:
        """The content of the chunks that are whole."""
        data = self._received + data
        if data.startswith(b"HTTP/1.1"):
            data = data.partition(b"\r\n\r\n")[2]
        found, at = [], 0
        while (size := _CHUNK_SIZE.match(data, at)) is not None:
            end = size.end() + int(size[1], 16)
            if end + 2 > len(data):
                break
            found.append(data[size.end() : end])
            at = end + 2
        self._received = data[at:]
        return b"".join(found)


def _transformed(event: bytes) -> bytes:
    data = event[6:]
    if data == b"[DONE]":
        return _END
    for choice in from_json(data)["choices"]:
        if text := choice["delta"].get("content"):
            return b'data: {"type":"text-delta","id":"0","delta":%b}\n\n' % quoted(text).encode()
    return b""


def _request_of(body: bytes) -> bytes:
    asked = from_json(body)
    messages = [
        {"role": message["role"], "content": "".join(part["text"] for part in message["parts"])}
        for message in asked["messages"]
    ]
    made = {"model": asked["options"]["model"], "messages": messages, "stream": True}
    data = json.dumps(made).encode()
    return b"POST /v1/chat/completions HTTP/1.1\r\nhost: service\r\ncontent-length: %d\r\n\r\n%b" % (len(data), data)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def _serve(service_port: int, kind: str) -> None:
    Client.service_port, Client.transforms = service_port, kind == "transform"
    server = await asyncio.get_running_loop().create_server(Client, "127.0.0.1", 0, backlog=2048)
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), sys.argv[2]))
