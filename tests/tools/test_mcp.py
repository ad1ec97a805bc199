from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.core.tools import McpServer, Offered, Tool, ToolContext, ToolFailure, ToolOutput
from app.tools.mcp import McpServers
from app.tools.mcp_connection import McpConnection

pytestmark = pytest.mark.anyio

SERVER = Path(__file__).with_name("mcp_server.py")
CONTEXT = ToolContext("b1", "call-1")
ENOUGH = 30.0
"""Seconds that a server gets here to start, on however busy a machine."""

Serve = Callable[..., McpServer]


class Clock:
    def __init__(self) -> None:
        self.time = 1_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def stdio(tmp_path: Path) -> Serve:
    def server(**more: Any) -> McpServer:
        env = {"PALAVER_TEST_FOLDER": str(tmp_path), "MINE": "yes"}
        return McpServer(**{"name": "demo", "command": (sys.executable, str(SERVER)), "env": env, **more})

    return server


@pytest.fixture
def http(tmp_path: Path) -> Iterator[Serve]:
    with http_server() as port:

        def server(**more: Any) -> McpServer:
            return McpServer(**{"name": "demo", "url": f"http://127.0.0.1:{port}/mcp", **more})

        yield server


@contextmanager
def http_server(port: int | None = None) -> Iterator[int]:
    """Start it and wait until it listens."""
    port = free_port() if port is None else port
    process = subprocess.Popen([sys.executable, str(SERVER), str(port)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.05)
        yield port
    finally:
        process.kill()  # asked to end, it would wait for our connection
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def connected(
    server: McpServer, *, patience: float = ENOUGH, clock: Clock | None = None
) -> AsyncGenerator[McpConnection, None]:
    environ = {"LANG": "C.UTF-8", "ANTHROPIC_API_KEY": "sk-test-SECRET"}
    async with asyncio.TaskGroup() as tasks:
        connection = McpConnection(server, tasks, environ, patience, clock or asyncio.get_running_loop().time)
        try:
            yield connection
        finally:
            await connection.close()


def tool(offered: Offered, name: str) -> Tool:
    return next(tool for tool in offered.tools if tool.spec.name == name)


async def call(connection: McpConnection, name: str, **arguments: Any) -> Any:
    execute = tool(await connection.tools(), f"demo__{name}").execute
    assert execute is not None
    return await execute(arguments, CONTEXT)  # type: ignore[misc]


@pytest.fixture(params=["stdio", "http"])
def server(request: pytest.FixtureRequest) -> Serve:
    return request.getfixturevalue(request.param)


async def test_the_tools_of_a_server_are_offered_under_its_name(server: Serve) -> None:
    async with connected(server()) as connection:
        offered = await connection.tools()
        add = tool(offered, "demo__add")
        assert (add.spec.description, add.policy, add.dynamic) == ("Add two numbers.", "ask", True)
        assert add.spec.input_schema["required"] == ["a", "b"]
        assert tool(offered, "demo__with_dots").spec.description == "Have a name that no service takes."
        assert len(tool(offered, "demo__talkative").spec.description) == 2_000
        assert offered.problems == (f"mcp:demo/{'x' * 70}: its name is too long.",)
        assert (connection.status().state, connection.status().problem) == ("ready", None)
        assert connection.status().tools == len(offered.tools)


async def test_a_call_gives_what_the_server_answers(server: Serve) -> None:
    async with connected(server()) as connection:
        assert await call(connection, "add", a=1, b=2) == ToolOutput({"result": 3})
        assert await call(connection, "say", text="Zürich 👩‍💻") == ToolOutput({"result": "Zürich 👩‍💻"})
        assert await call(connection, "with_dots") == ToolOutput({"result": "dots"})
        drawn = await call(connection, "picture")
        assert [(file.media_type, file.content[:4]) for file in drawn.files] == [("image/png", b"\x89PNG")]


async def test_an_error_of_the_server_is_a_failure_in_its_own_words(server: Serve) -> None:
    async with connected(server()) as connection:
        with pytest.raises(ToolFailure, match=r"^Error executing tool fail"):
            await call(connection, "fail")
        assert await call(connection, "add", a=1, b=2) == ToolOutput({"result": 3})


async def test_ten_megabytes_are_cut(server: Serve) -> None:
    async with connected(server()) as connection:
        output = await call(connection, "big", megabytes=10)
        assert len(output.value) < 201_000
        assert output.value.endswith("[cut off here: it has 10,000,000 characters]")
        assert await call(connection, "add", a=1, b=2) == ToolOutput({"result": 3})


async def test_a_call_that_hangs_is_given_up_and_the_others_go_on(server: Serve) -> None:
    async with connected(server(timeout=0.2)) as connection:
        with pytest.raises(ToolFailure, match=r"^The MCP server demo did not answer within 0\.2 seconds\.$"):
            await call(connection, "hang")
    async with connected(server()) as connection:
        hanging = asyncio.create_task(call(connection, "hang"))
        assert await call(connection, "add", a=1, b=2) == ToolOutput({"result": 3})
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        assert await call(connection, "add", a=2, b=2) == ToolOutput({"result": 4})


async def test_resources_come_as_two_tools(server: Serve) -> None:
    async with connected(server()) as connection:
        assert await call(connection, "list_resources") == [
            {"uri": "notes://one", "name": "note", "description": "A note."}
        ]
        assert await call(connection, "read_resource", uri="notes://one") == ToolOutput("the note")
        with pytest.raises(ToolFailure, match=r"^The MCP server demo refused: "):
            await call(connection, "read_resource", uri="notes://two")


async def test_what_a_server_lists_is_bounded_and_nothing_in_it_passes_for_ours() -> None:
    server = McpServer("demo", command=(sys.executable, str(SERVER.with_name("hostile_mcp_server.py"))))
    async with connected(server) as connection:
        offered = await connection.tools()
        names = [tool.spec.name for tool in offered.tools]
        assert names[:2] == ["demo__a___b__", "demo__tool_0"]
        assert len(names) == 126
        assert offered.tools[0].spec.description == "beforeafter"
        assert all(problem.isprintable() and len(problem) < 200 for problem in offered.problems)
        assert offered.problems[-1] == "The MCP server demo has 20003 tools; the first 128 are used."


async def test_a_server_that_gets_new_tools_is_listed_again(server: Serve) -> None:
    async with connected(server()) as connection:
        before = await connection.tools()
        await call(connection, "grow")
        while not any(tool.spec.name == "demo__grown" for tool in (await connection.tools()).tools):
            await asyncio.sleep(0.01)
        assert len((await connection.tools()).tools) == len(before.tools) + 1


async def test_a_server_killed_in_mid_call_is_started_again_with_the_next_use(stdio: Serve, tmp_path: Path) -> None:
    async with connected(stdio()) as connection:
        with pytest.raises(ToolFailure, match=r"^The connection to the MCP server demo broke; whether the call was"):
            await call(connection, "die")
        while connection.status().state == "ready":
            await asyncio.sleep(0.01)
        assert await call(connection, "add", a=1, b=2) == ToolOutput({"result": 3})
        assert connection.status().state == "ready"
        assert len(list(tmp_path.glob("*.pid"))) == 2


async def test_a_tool_that_was_handed_out_before_the_server_died_works_afterwards(stdio: Serve) -> None:
    async with connected(stdio()) as connection:
        add = tool(await connection.tools(), "demo__add").execute
        assert add is not None
        with pytest.raises(ToolFailure):
            await call(connection, "die")
        while connection.status().state == "ready":
            await asyncio.sleep(0.01)
        assert await add({"a": 1, "b": 2}, CONTEXT) == ToolOutput({"result": 3})  # type: ignore[misc]


async def test_an_http_server_killed_in_mid_call_is_used_again_when_it_is_back() -> None:
    port = free_port()
    clock = Clock()
    server = McpServer("demo", url=f"http://127.0.0.1:{port}/mcp")
    async with connected(server, clock=clock) as connection:
        with http_server(port), pytest.raises(ToolFailure, match=r"^The connection to the MCP server demo broke"):
            await call(connection, "die")
        while connection.status().state == "ready":
            await asyncio.sleep(0.01)
        offered = await connection.tools()
        assert offered == Offered((), ("The MCP server demo cannot be used: it cannot be reached; check `url`.",))
        with http_server(port):
            assert (await connection.tools()).tools == ()  # known dead: not asked again so soon
            clock.time += 3_600
            assert await call(connection, "add", a=1, b=2) == ToolOutput({"result": 3})


DEAD = {
    "no such program": (
        {"command": ("palaver-no-such-program",)},
        "The MCP server demo cannot be used: its program cannot be started; check `command`.",
    ),
    "ends at once": (
        {"command": (sys.executable, "-c", "")},
        "The MCP server demo cannot be used: it ended, or does not speak the Model Context Protocol.",
    ),
    "something else": (
        {"command": (sys.executable, "-c", "print('hello')")},
        "The MCP server demo cannot be used: it ended, or does not speak the Model Context Protocol.",
    ),
    "nobody listens": (
        {"command": (), "url": "http://127.0.0.1:1/mcp"},
        "The MCP server demo cannot be used: it cannot be reached; check `url`.",
    ),
}


@pytest.mark.parametrize("case", DEAD)
async def test_a_server_dead_at_start_costs_its_tools_and_says_why(case: str) -> None:
    said, sentence = DEAD[case]
    async with connected(McpServer("demo", **said)) as connection:
        assert await connection.tools() == Offered((), (sentence,))
        assert connection.status().state == "failed"
        assert sentence.endswith(f"{connection.status().problem}.")


async def test_pauses_between_attempts_grow() -> None:
    clock = Clock()
    dead = McpServer("demo", url="http://127.0.0.1:1/mcp")
    async with connected(dead, clock=clock) as connection:
        for pause in (5, 10, 20, 40, 80, 160, 300, 300):
            await connection.tools()
            tried = connection.status()
            clock.time += pause - 1
            assert connection._clock() < connection._retry_at
            await connection.tools()
            assert connection.status() == tried
            clock.time += 1


async def test_a_turn_does_not_wait_for_a_server_that_hangs_at_start_and_later_ones_not_at_all() -> None:
    clock = Clock()
    silent = McpServer("demo", command=(sys.executable, "-c", "import sys; sys.stdin.read()"))
    async with connected(silent, patience=0.2, clock=clock) as connection:
        sentence = "The MCP server demo is still starting; its tools are missing for now."
        assert await connection.tools() == Offered((), (sentence,))
        clock.time += 1
        assert await connection.tools() == Offered((), (sentence,))
        assert connection.status().state == "connecting"
        with pytest.raises(ToolFailure, match=r"^The MCP server demo is still starting"):
            await connection.use(lambda client: client.list_tools())


async def test_a_server_gets_its_own_variables_and_none_of_our_keys(
    stdio: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test-SECRET")
    async with connected(stdio()) as connection:
        found = (await call(connection, "environment")).value
    assert found["MINE"] == "yes"
    assert found["LANG"] == "C.UTF-8"
    assert {"PATH", "HOME"} <= set(found)
    assert "sk-test-SECRET" not in found.values()


async def test_closing_ends_the_servers_process(stdio: Serve, tmp_path: Path) -> None:
    async with connected(stdio()) as connection:
        await connection.tools()
        (pid,) = (int(file.stem) for file in tmp_path.glob("*.pid"))
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_servers_follow_the_configuration(stdio: Serve, tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as tasks:
        servers = McpServers(tasks, {}, ENOUGH)
        first = servers.follow({"demo": stdio()})["demo"]
        assert [status.state for status in servers.status()] == ["idle"]
        assert list(tmp_path.glob("*.pid")) == []  # nobody has needed it yet
        assert servers.follow({"demo": stdio()})["demo"] is first
        await first.tools()
        second = servers.follow({"demo": stdio(policy="auto")})["demo"]
        assert second is not first
        assert tool(await second.tools(), "demo__add").policy == "auto"
        while first.status().state == "ready":
            await asyncio.sleep(0.01)
        with pytest.raises(ToolFailure, match="it is not in the configuration any more"):
            await first.use(lambda client: client.list_tools())
        assert servers.follow({}) == {}
        assert servers.status() == []
        await servers.close()
    for file in tmp_path.glob("*.pid"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(file.stem), 0)


def test_without_the_package_the_problem_says_how_to_get_it() -> None:
    program = """
import asyncio, sys
sys.modules["mcp"] = None
from app.core.tools import McpServer
from app.tools.mcp_connection import McpConnection
async def main():
    async with asyncio.TaskGroup() as tasks:
        connection = McpConnection(McpServer("demo", command=("true",)), tasks, {}, 30)
        print((await connection.tools()).problems[0])
asyncio.run(main())
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == (
        "The MCP server demo cannot be used: the package `mcp` is not installed; `make mcp` installs it.\n"
    )
