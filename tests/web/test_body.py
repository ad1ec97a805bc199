"""How much of a body is read, for how long, and as what."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest
from starlette.testclient import TestClient

CHAT = "/api/ai/chat/b1"
LIMIT = 100_000


@pytest.fixture
def limited(house: Any) -> Any:
    return house(max_body_bytes=LIMIT, body_timeout=1.0)


@pytest.fixture
def client(limited: Any, open_client: Any) -> TestClient:
    return open_client(limited)


@pytest.fixture
def server(limited: Any, serve: Any) -> Any:
    return serve(limited.app())


def head(server: Any, *lines: bytes, path: bytes = b"/api/ai/chat/b1") -> bytes:
    start = b"POST " + path + b" HTTP/1.1\r\n" + server.host + b"Content-Type: application/json\r\n"
    return start + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def test_a_body_of_exactly_the_limit_is_read(client: TestClient) -> None:
    body = json.dumps({"text": "x" * (LIMIT - 12)}).encode()
    assert len(body) == LIMIT
    headers = {"content-type": "application/json"}
    assert client.post(CHAT, content=body, headers=headers).status_code == 200
    assert client.post(CHAT, content=body + b" ", headers=headers).status_code == 413


@pytest.mark.parametrize("path", [CHAT, "/v1/messages", "/api/unread"])
def test_a_body_that_says_it_is_too_long_is_refused_unread(client: TestClient, limited: Any, path: str) -> None:
    headers = {"content-type": "application/json", "content-length": "100000000"}
    response = client.post(path, content=b"", headers=headers)
    assert (response.status_code, response.headers["connection"]) == (413, "close")
    assert limited.calls == []


def test_the_refusal_does_not_wait_for_the_body(server: Any, limited: Any) -> None:
    """RAW-05"""
    with server.connect() as connection:
        connection.sendall(head(server, b"Content-Length: 100000000"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")
    assert limited.calls == []


def test_a_client_that_sends_all_of_it_first_still_gets_its_answer(server: Any) -> None:
    """Closing on a client in mid sentence would reset the connection, and it would see no answer at all."""
    size = 30_000_000
    with server.connect() as connection:
        connection.sendall(head(server, b"Content-Length: %d" % size))
        connection.sendall(b"x" * size)
        (reply,) = server.replies(connection)
    assert (reply.status, reply.headers["connection"]) == (413, "close")


def test_an_endless_chunked_body_is_cut_off_near_the_limit(server: Any, limited: Any) -> None:
    """RAW-06"""
    chunk = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"
    sent = 0
    with server.connect() as connection:
        connection.sendall(head(server, b"Transfer-Encoding: chunked"))
        try:
            while sent < 100 * LIMIT:
                connection.sendall(chunk)
                sent += len(chunk)
        except (ConnectionResetError, BrokenPipeError):
            pass
    assert sent < 100 * LIMIT
    assert limited.calls == []


def test_a_chunked_body_over_the_limit_gets_an_answer(server: Any, limited: Any) -> None:
    """RAW-06"""
    size = LIMIT + 1
    with server.connect() as connection:
        connection.sendall(head(server, b"Transfer-Encoding: chunked") + b"%x\r\n" % size + b"x" * size)
        (reply,) = server.replies(connection)
    assert (reply.status, reply.headers["connection"]) == (413, "close")
    assert limited.calls == []


def test_a_chunked_body_within_the_limit_is_read(server: Any) -> None:
    with server.connect() as connection:
        connection.sendall(head(server, b"Transfer-Encoding: chunked", b"Connection: close"))
        for piece in (b"{", b'"a":', b"1}"):
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")
        (reply,) = server.replies(connection)
    assert reply.status == 200


@pytest.mark.parametrize("framing", [b"Content-Length: 10", b"Transfer-Encoding: chunked"])
def test_a_body_that_never_arrives_is_given_up(server: Any, limited: Any, framing: bytes) -> None:
    """RAW-11"""
    with server.connect() as connection:
        connection.sendall(head(server, framing))
        (reply,) = server.replies(connection, quiet=10)
    assert (reply.status, reply.headers["x-palaver-error-code"]) == (408, "request_timeout")
    assert reply.headers["connection"] == "close"
    assert limited.calls == []


def test_a_body_that_trickles_is_given_up_as_a_whole(server: Any, limited: Any) -> None:
    """RAW-11: each piece is in time, the whole is not."""
    with server.connect() as connection:
        connection.sendall(head(server, b"Content-Length: 1000"))
        connection.settimeout(0.1)
        answer, end = b"", time.monotonic() + 10
        while not answer and time.monotonic() < end:
            connection.sendall(b"x")
            try:
                answer = connection.recv(65536)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert limited.calls == []


def test_a_slow_answer_is_not_a_slow_body(house: Any, serve: Any) -> None:
    """Once the body is there, the clock of the body has stopped: an answer may take as long as it takes."""
    import anyio
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route, Router

    from app.web.body import read_object
    from app.web.security import Guard, SecurityPolicy

    async def endpoint(request: Request) -> Response:
        await read_object(request)
        with anyio.move_on_after(0.6):
            return JSONResponse({"message": await request.receive()})
        return JSONResponse({"message": None})

    server = serve(Guard(Router([Route("/api/x", endpoint, methods=["POST"])]), SecurityPolicy(body_timeout=0.3)))
    (reply,) = server.exchange(head(server, b"Content-Length: 2", b"Connection: close", path=b"/api/x") + b"{}")
    assert json.loads(reply.body) == {"message": None}


def test_a_client_that_leaves_in_mid_body_is_no_bug(
    server: Any, limited: Any, caplog: pytest.LogCaptureFixture
) -> None:
    connection = server.connect()
    connection.sendall(head(server, b"Content-Length: 1000") + b"{")
    connection.shutdown(socket.SHUT_RDWR)
    connection.close()
    assert server.get(b"/health").status == 200
    assert limited.calls == []
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_expect_continue_is_answered_by_the_refusal_alone(server: Any) -> None:
    with server.connect() as connection:
        connection.sendall(head(server, b"Content-Length: 100000000", b"Expect: 100-continue"))
        (reply,) = server.replies(connection)
    assert reply.status == 413


@pytest.mark.parametrize("body", ["[]", '"text"', "1", "null", "true"])
def test_a_body_must_be_an_object(client: TestClient, limited: Any, body: str) -> None:
    response = client.post(CHAT, content=body, headers={"content-type": "application/json"})
    assert (response.status_code, response.text) == (400, "The body must be a JSON object.")
    assert limited.calls == []


def test_a_post_without_a_body_is_no_json(client: TestClient) -> None:
    response = client.post(CHAT, headers={"accept": "application/json"})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_json")


def test_a_refused_body_is_not_repeated(client: TestClient) -> None:
    """LEAK-03"""
    response = client.post(CHAT, content='{"my secret": sk-12345678}', headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert "secret" not in response.text
    assert "sk-" not in response.text
