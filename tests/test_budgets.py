"""What a token may cost, counted instead of timed: calls, steps of the loop, writes, objects, statements.

The whole server runs in the test's thread and event loop; the model service and the client have threads of their own,
which are not counted. They go in step: the service sends a delta when the client has got the one before, so that each
is a network read of its own. A figure that grows is a decision, and this is the place to make it; one that has
shrunk may be lowered here.
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
import uvicorn
import uvloop
from uvicorn.server import ServerState

from app.chat.answer import CHECKPOINT_CHARACTERS
from app.chat.checkpoints import CHECKPOINT_SECONDS
from app.main import create_app, open_deps
from app.settings.server import ServerSettings
from app.web.deps import Deps
from app.web.protocol import HttpProtocol
from tests.upstream import Gate, Step, Upstream, anthropic_answer, chat_answer, responses_answer

DELTAS = 1_000
WARM_UP = 50
WORD = " word"

CONFIG = """
[settings]
"ai:preset" = "chat"

[presets.chat]
provider = "openai-chat"
base_url = "{upstream.base_url}"
model = "tiny"
api_key_env = "FAKE_KEY"

[presets.responses]
provider = "openai-responses"
base_url = "{upstream.base_url}"
model = "tiny"
api_key_env = "FAKE_KEY"

[presets.anthropic]
provider = "anthropic"
base_url = "{upstream.url}"
model = "tiny"
api_key_env = "FAKE_KEY"
"""

ANSWERS = {"chat": chat_answer, "responses": responses_answer, "anthropic": anthropic_answer}

CALLS = {"chat": 21, "responses": 22, "anthropic": 22}
"""Python functions entered or gone on with for a delta."""


@dataclass
class Count:
    """What happened in the server's thread between `begin` and `end`."""

    calls: Counter[CodeType] = field(default_factory=Counter)
    sends: int = 0
    soon: int = 0
    timers: int = 0
    tasks: int = 0
    objects: int = 0
    blocks: int = 0
    is_on: bool = False

    def begin(self, *, calls: bool) -> None:
        gc.collect()
        self.objects -= len(gc.get_objects())
        self.blocks -= sys.getallocatedblocks()
        self.is_on = True
        if calls:
            sys.setprofile(self._note)

    def end(self) -> None:
        sys.setprofile(None)
        self.is_on = False
        gc.collect()
        self.objects += len(gc.get_objects())
        self.blocks += sys.getallocatedblocks()

    def named(self, name: str) -> int:
        """How often functions of that name were called."""
        return sum(number for code, number in self.calls.items() if code.co_qualname == name)

    def _note(self, frame: FrameType, event: str, what: Any) -> None:
        if event == "call":
            self.calls[frame.f_code] += 1
        elif event == "c_call" and what.__name__ == "send":
            self.sends += 1


class CountingLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop: unlike uvloop's, its steps can be counted."""

    def __init__(self, count: Count) -> None:
        super().__init__()
        self._count = count

    def call_soon(self, callback: Any, *arguments: Any, context: Any = None) -> asyncio.Handle:
        self._count.soon += self._count.is_on
        return super().call_soon(callback, *arguments, context=context)

    def call_at(self, when: float, callback: Any, *arguments: Any, context: Any = None) -> asyncio.TimerHandle:
        self._count.timers += self._count.is_on
        return super().call_at(when, callback, *arguments, context=context)

    def create_task(self, coroutine: Any, **more: Any) -> asyncio.Task[Any]:
        self._count.tasks += self._count.is_on
        return super().create_task(coroutine, **more)


class Client:
    """In a thread of its own, on a plain socket."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._file = self._connection.makefile("rb")

    def close(self) -> None:
        self._file.close()
        self._connection.close()

    def ask(self, block: str, preset: str, *, store: bool) -> None:
        text = {"type": "text", "text": "Tell me a story"}
        message = {"id": f"{block}-u", "role": "user", "parts": [text]}
        body = json.dumps({"message": message, "store": store}).encode()
        head = f"POST /api/ai/chat/{block}?preset={preset} HTTP/1.1\r\nhost: 127.0.0.1:{self._port}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self._connection.sendall(head.encode() + body)
        assert self._file.readline().split(b" ")[1] == b"200"
        while self._file.readline() != b"\r\n":
            pass

    def chunk(self) -> bytes:
        data = self._file.read(int(self._file.readline(), 16))
        self._file.readline()
        return data

    def has(self, what: bytes) -> None:
        while what not in self.chunk():
            pass

    def rest(self) -> None:
        while self.chunk():
            pass


Play = Callable[[Client, Callable[[Callable[[], None]], None], Deps, asyncio.AbstractEventLoop], None]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


async def _serve(folder: Path, upstream: Upstream, play: Play) -> None:
    """The application on a socket, as `app.server` has it but for what its clock does; `play` has its own thread."""
    config_file = folder / "palaver.toml"
    config_file.write_text(CONFIG.format(upstream=upstream))
    settings = ServerSettings(data=folder / "data", config=config_file)
    loop = asyncio.get_running_loop()
    async with open_deps(settings, {"FAKE_KEY": "not-a-key"}, port=1) as deps:
        app = create_app(settings, lambda: open_deps(settings, {}, port=1))
        config = uvicorn.Config(app, ws="none", log_config=None, access_log=False, server_header=False)
        config.load()
        connections = partial(HttpProtocol, config, ServerState(), {"deps": deps})
        server = await loop.create_server(connections, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            await asyncio.to_thread(_play, port, play, deps, loop)


def _play(port: int, play: Play, deps: Deps, loop: asyncio.AbstractEventLoop) -> None:
    def in_loop(do: Callable[[], None]) -> None:
        done = threading.Event()

        def did() -> None:
            try:
                do()
            finally:
                done.set()

        loop.call_soon_threadsafe(did)
        assert done.wait(30)

    with closing(Client(port)) as client:
        play(client, in_loop, deps, loop)


def stepping(preset: str) -> tuple[list[Step], list[Gate]]:
    """An answer of which each delta after the first waits for its gate, and the gates."""
    number = WARM_UP + DELTAS + 1  # the end of the answer comes with the last one
    frames = ANSWERS[preset](*["first", *[WORD] * number])
    [first] = [place for place, frame in enumerate(frames) if b'"first"' in frame]
    gates = [Gate() for _ in range(number)]
    deltas = [step for pair in zip(gates, frames[first + 1 :], strict=False) for step in pair]
    return [*frames[: first + 1], *deltas, *frames[first + 1 + number :]], gates


def count_deltas(
    folder: Path, upstream: Upstream, preset: str = "chat", *, on_uvloop: bool, calls: bool = True, store: bool = False
) -> Count:
    """What `DELTAS` deltas cost between the first and the last of an answer."""
    count = Count()
    steps, gates = stepping(preset)
    upstream.reply(steps)

    def play(client: Client, in_loop: Callable[[Callable[[], None]], None], *_: object) -> None:
        client.ask("block", preset, store=store)
        client.has(b"first")
        for number, gate in enumerate(gates):
            if number == WARM_UP:
                in_loop(partial(count.begin, calls=calls))
            elif number == WARM_UP + DELTAS:
                in_loop(count.end)
            gate.open()
            assert WORD.encode() in client.chunk(), "a delta is a chunk"
        client.rest()

    factory = uvloop.new_event_loop if on_uvloop else partial(CountingLoop, count)
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve(folder, upstream, play))
    return count


@pytest.mark.parametrize("preset", ANSWERS)
def test_a_delta_takes_few_calls_from_network_to_network(tmp_path: Path, upstream: Upstream, preset: str) -> None:
    count = count_deltas(tmp_path, upstream, preset, on_uvloop=True)
    most_used = "\n".join(f"{number / DELTAS:6.2f} {code.co_qualname}" for code, number in count.calls.most_common(40))
    assert count.calls.total() / DELTAS <= CALLS[preset], most_used


def test_a_delta_wakes_no_task_and_takes_one_write(tmp_path: Path, upstream: Upstream) -> None:
    count = count_deltas(tmp_path, upstream, on_uvloop=False)
    assert count.soon / DELTAS <= 0.05
    assert count.tasks == 0
    assert count.timers / DELTAS <= 0.05
    assert count.named("_SelectorSocketTransport.write") == count.sends == DELTAS


def test_a_delta_leaves_little_behind(tmp_path: Path, upstream: Upstream) -> None:
    count = count_deltas(tmp_path, upstream, on_uvloop=True, calls=False, store=True)
    assert count.objects / DELTAS <= 2
    assert count.blocks / DELTAS <= 4


# Statements


@dataclass
class Statements:
    """What the database was asked, by both of its connections."""

    seen: list[str] = field(default_factory=list)

    async def watch(self, deps: Deps) -> None:
        database = deps.store.database  # type: ignore[attr-defined]  # it is SQLite's
        await database.write(lambda connection: connection.set_trace_callback(self.seen.append))
        await database.query(lambda connection: connection.set_trace_callback(self.seen.append))

    def take(self) -> list[str]:
        """Those since the last time, without waiting times and what triggers do, which repeats their statement."""
        taken = [each.strip() for each in self.seen if not each.lstrip().startswith(("--", "PRAGMA"))]
        self.seen.clear()
        return [statement for statement, _ in groupby(taken)]


def test_deltas_cost_statements_by_the_second_and_not_by_the_delta(tmp_path: Path, upstream: Upstream) -> None:
    statements = Statements()
    steps, gates = stepping("chat")
    upstream.reply(steps)
    taken: list[str] = []
    seconds = 0.0

    def play(client: Client, in_loop: object, deps: Deps, loop: asyncio.AbstractEventLoop) -> None:
        nonlocal seconds
        client.ask("block", "chat", store=True)
        client.has(b"first")
        asyncio.run_coroutine_threadsafe(statements.watch(deps), loop).result(30)
        began = time.monotonic()
        for gate in gates[:-1]:
            gate.open()
            client.chunk()
        taken.extend(statements.take())
        seconds = time.monotonic() - began
        gates[-1].open()
        client.rest()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(tmp_path, upstream, play))
    checkpoints = seconds / CHECKPOINT_SECONDS + len(WORD) * len(gates) / CHECKPOINT_CHARACTERS + 1
    taken.remove("COMMIT")  # of the watch itself
    commits = sum(statement == "COMMIT" for statement in taken)
    assert commits <= checkpoints
    assert len(taken) <= 12 + 3 * checkpoints, "one may be the whole answer; the others are one insertion each"


def test_a_turn_takes_few_statements(tmp_path: Path, upstream: Upstream) -> None:
    """The least of several: a slow machine may put a checkpoint into one of them."""
    statements = Statements()
    turns: list[list[str]] = []

    def play(client: Client, in_loop: object, deps: Deps, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.run_coroutine_threadsafe(statements.watch(deps), loop).result(30)
        for number in range(5):
            upstream.reply(chat_answer("Once", " upon", " a time"))
            statements.take()
            client.ask(f"block{number}", "chat", store=True)
            client.rest()
            turns.append(statements.take())

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(tmp_path, upstream, play))
    least = min(turns, key=len)
    assert len(least) <= 23, "\n".join(least)
    assert least.count("COMMIT") == 2, "the question; the answer, and what it costs"
