"""Several workers: every connection finds the one that has its conversation, and one that dies takes no other along."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.web.handover import worker_of
from tests.durability.answers import steps_of
from tests.durability.client import Chat, rows, user, wait_until
from tests.durability.conftest import CONFIG
from tests.server_process import ServerProcess, server_process
from tests.upstream import Gate, Upstream

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows hands no connections over")

QUESTION = user("question", "Tell me a story")
Start = Callable[[Path], AbstractContextManager[ServerProcess]]


@pytest.fixture(scope="module")
def start(upstream: Upstream) -> Start:
    config = CONFIG.format(upstream=upstream.base_url)
    more = {"FAKE_KEY": "not-a-key"}
    return lambda folder: server_process(folder, "--workers", "2", config=config, environment=more)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def server(start: Start, folder: Path) -> Iterator[ServerProcess]:
    """The server of every test that does not kill its own."""
    with start(folder) as running:
        yield running


def block_for(worker: int, name: str) -> str:
    return next(block for n in range(99) if worker_of(block := f"{name}-{n}", 2) == worker)


def workers_of(server: ServerProcess) -> list[int]:
    """Their process ids, the oldest first."""
    return [int(pid) for pid in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()]


def connect(server: ServerProcess) -> HTTPConnection:
    address = urlsplit(server.url)
    assert address.hostname is not None
    return HTTPConnection(address.hostname, address.port, timeout=20)


@pytest.mark.parametrize("number", range(8))
def test_all_requests_about_a_run_reach_it(server: ServerProcess, upstream: Upstream, number: int) -> None:
    """Each is a connection of its own, so some of them are accepted by the wrong worker."""
    gate = Gate()
    upstream.reply(steps_of(["Once upon", gate, " a time"], ends=False))
    chat = Chat(server, f"together-{number}")
    asked = chat.ask(QUESTION).read_text(9)
    readers = [chat.resume().read_text(9) for _ in range(4)]
    assert chat.ask(user("other", "Me, too")).status == 409
    gate.open()
    assert [reader.read_text(16).text for reader in (asked, *readers)] == ["Once upon a time"] * 5
    assert chat.stop()
    for reader in (asked, *readers):
        assert reader.read().kinds[-1] == "abort"
    assert chat.said() == [("user", "Tell me a story"), ("assistant", "Once upon a time")]


@pytest.mark.parametrize("number", range(6))
def test_the_owner_sees_a_client_leave(server: ServerProcess, upstream: Upstream, number: int) -> None:
    upstream.reply(steps_of(["Once upon"], ends=False))
    chat = Chat(server, f"left-{number}")
    chat.ask(QUESTION, options={"onDisconnect": "cancel"}).read_text(9).close()
    upstream.requests[-1].gone.wait()
    wait_until(lambda: not chat.running())


def test_one_connection_asks_about_blocks_of_both(server: ServerProcess) -> None:
    """Browsers and proxies keep connections and use them for whatever comes next."""
    connection = connect(server)
    try:
        for number in range(20):
            path = f"/api/ai/blocks/kept-{number}"
            body = json.dumps({"title": f"Number {number}"})
            connection.request("PATCH", path, body, {"content-type": "application/json"})
            assert connection.getresponse().read()
            local = connection.sock.getsockname() if connection.sock is not None else None
            connection.request("GET", path)
            assert f"Number {number}" in connection.getresponse().read().decode()
            assert connection.sock is not None
            assert connection.sock.getsockname() == local
    finally:
        connection.close()


@pytest.mark.parametrize("size", [50_000, 500_000, 5_000_000])
def test_a_long_body_arrives_whole(server: ServerProcess, size: int) -> None:
    for number in range(4):
        chat = Chat(server, f"long-{size}-{number}")
        assert chat.save(user("long", "x" * size)).status == 200
        assert chat.said() == [("user", "x" * size)]


def test_a_request_that_comes_byte_by_byte_finds_its_worker(server: ServerProcess) -> None:
    host = urlsplit(server.url).netloc
    for number in range(4):
        with socket.create_connection((urlsplit(server.url).hostname, urlsplit(server.url).port), 20) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in f"GET /api/ai/blocks/slow-{number} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode():
                connection.send(bytes([byte]))
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")


def test_what_is_pipelined_is_never_done_by_the_wrong_worker(server: ServerProcess) -> None:
    """The second request is read along with the first, so its connection cannot be handed over."""
    host = urlsplit(server.url).netloc
    blocks = [block_for(0, "piped"), block_for(1, "piped")]
    for first, second in (blocks, blocks[::-1]):
        requests = "".join(f"GET /api/ai/blocks/{block} HTTP/1.1\r\nhost: {host}\r\n\r\n" for block in (first, second))
        with socket.create_connection((urlsplit(server.url).hostname, urlsplit(server.url).port), 20) as connection:
            connection.sendall(requests.encode())
            answers = b""
            while data := connection.recv(65_536):
                answers += data
        assert answers.startswith(b"HTTP/1.1 200 ")
        assert answers.count(b"HTTP/1.1 421 ") == 1
        assert b'"pipelined_request"' in answers


def test_a_worker_that_is_killed_takes_no_other_along(tmp_path: Path, start: Start, upstream: Upstream) -> None:
    with start(tmp_path) as server:
        dying, living = (Chat(server, block_for(worker, "story")) for worker in (0, 1))
        gate = Gate()
        upstream.reply(steps_of(["Once upon"], ends=False))
        cut = dying.ask(QUESTION).read_text(9)
        upstream.reply(steps_of(["Once upon", gate, " a time"]))
        kept = living.ask(QUESTION).read_text(9)
        wait_until(lambda: len(rows(tmp_path, dying.block)) == len(rows(tmp_path, living.block)) == 2)
        first, second = workers_of(server)
        os.kill(first, signal.SIGKILL)
        assert not cut.read_what_comes().done
        assert dying.messages()[-1]["metadata"]["status"] == "interrupted"  # it waits for the new worker
        assert [status for _, _, status, _ in rows(tmp_path, living.block)] == ["complete", "streaming"]
        gate.open()
        assert kept.read().text == "Once upon a time"
        assert kept.done
        assert any("worker ended worker=0" in line for line in server.log)
        assert workers_of(server)[0] == second
        answer = dying.ask(*dying.messages(), user("next", "And now?")).read()
        assert answer.done
        assert living.said()[-1] == ("assistant", "Once upon a time")
        assert server.end() == 0


def test_all_workers_drain_when_the_server_is_told_to_end(tmp_path: Path, start: Start, upstream: Upstream) -> None:
    with start(tmp_path) as server:
        chats = [Chat(server, block_for(worker, "story")) for worker in (0, 1)]
        streams = []
        for chat in chats:
            upstream.reply(steps_of(["Once upon"], ends=False))
            streams.append(chat.ask(QUESTION).read_text(9))
        assert server.end() == 0
        for stream in streams:
            assert stream.read().kinds[-1] == "abort"
    assert [rows(tmp_path, chat.block)[1][2:] for chat in chats] == [("interrupted", "Once upon")] * 2


def test_workers_end_when_their_parent_is_gone(tmp_path: Path, start: Start) -> None:
    with start(tmp_path) as server:
        workers = workers_of(server)
        server.kill()
        wait_until(lambda: not any(is_alive(pid) for pid in workers))
    with start(tmp_path) as server:
        assert Chat(server, "b1").save(QUESTION).status == 200


def test_a_mistake_is_said_once(tmp_path: Path) -> None:
    wrong = '[presets.a]\nprovider = "none"'
    with (
        pytest.raises(RuntimeError, match=r"presets\.a\.provider") as failure,
        server_process(tmp_path, "--workers", "2", config=wrong),
    ):
        pass
    assert str(failure.value).count("palaver: ") == 1


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
