from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.core.model import Configuration, Preset
from app.core.tools import McpServer, McpStatus, Offered, ToolSettings, ToolSpec, names_tool
from app.storage.files import FileFolder
from app.storage.sqlite import SqliteStore
from app.tools.toolbox import ConfiguredTools, open_toolbox
from tests.tools.moment import NOW

pytestmark = pytest.mark.anyio

PRESET = Preset("default", "echo")
BUILT_IN = ["current_time", "calculate", "fetch_page", "search_conversations", "read_attachment"]
ASK_USER = ToolSpec("ask_user", "Ask.", {"type": "object"})
MCP_SERVER = str(Path(__file__).with_name("mcp_server.py"))


class House:
    """A configuration that can be changed, and the tools that follow it."""

    def __init__(self, store: SqliteStore, files: FileFolder) -> None:
        self.store = store
        self.files = files
        self.settings = ToolSettings()

    def configuration(self) -> Configuration:
        return Configuration({"default": PRESET}, tools=self.settings)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[ConfiguredTools, None]:
        async with open_toolbox(self.configuration, {}, lambda: NOW, self.store, self.files) as toolbox:
            yield toolbox


@pytest.fixture
def house(store: SqliteStore, files: FileFolder) -> House:
    return House(store, files)


def names(offered: Offered) -> list[str]:
    return [tool.spec.name for tool in offered.tools]


async def offered(house: House, wanted: Sequence[str]) -> Offered:
    async with house.open() as toolbox:
        return await toolbox.tools(wanted)


def module(folder: Path, text: str, name: str = "my_tools.py") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


@pytest.mark.parametrize(
    ("pattern", "tool", "meant"),
    [
        ("get_weather", "get_weather", True),
        ("get_weather", "get_weather_2", False),
        ("get_*", "get_weather", True),
        ("*", "anything", True),
        ("mcp:files/read_file", "files__read_file", True),
        ("mcp:files/*", "files__read_file", True),
        ("mcp:files/*", "files2__read_file", False),
        ("mcp:*", "files__read_file", True),
        ("files__read_file", "files__read_file", True),
        ("GET_WEATHER", "get_weather", False),
        ("*a" * 40, "a" * 39 + "b", False),
    ],
)
def test_names_and_patterns(pattern: str, tool: str, *, meant: bool) -> None:
    assert names_tool(pattern, tool) is meant


async def test_tools_are_offered_by_name_in_an_order_that_stays(house: House) -> None:
    assert names(await offered(house, ["calculate", "current_time"])) == ["current_time", "calculate"]
    assert names(await offered(house, ["*e*t*"])) == [
        "current_time",
        "fetch_page",
        "search_conversations",
        "read_attachment",
    ]
    assert names(await offered(house, ["*"])) == BUILT_IN
    assert await offered(house, []) == Offered(())


async def test_own_and_client_tools_stand_beside_the_built_in_ones(house: House, tmp_path: Path) -> None:
    house.settings = ToolSettings(modules=(module(tmp_path, "def greet(): ..."),), client=(ASK_USER,))
    found = await offered(house, ["*"])
    assert names(found) == [*BUILT_IN, "greet", "ask_user"]
    assert found.tools[-1].execute is None
    assert found.problems == ()


async def test_a_name_that_leads_to_nothing_is_a_problem(house: House) -> None:
    found = await offered(house, ["calculate", "calculator", "mcp:files/*", "no\nline"])
    assert names(found) == ["calculate"]
    assert found.problems == (
        "There is no tool calculator.",
        "There is no tool mcp:files/*.",
        "There is no tool 'no\\nline'.",
    )


async def test_a_broken_module_is_told_of_where_its_tools_are_missed(house: House, tmp_path: Path) -> None:
    house.settings = ToolSettings(modules=(module(tmp_path, "x = y"),))
    assert (await offered(house, ["calculate"])).problems == ()
    assert (await offered(house, ["greet"])).problems == (
        "my_tools.py, line 1: NameError: name 'y' is not defined.",
        "There is no tool greet.",
    )
    assert (await offered(house, ["*"])).problems == ("my_tools.py, line 1: NameError: name 'y' is not defined.",)


async def test_of_tools_with_the_same_name_the_first_one_wins(house: House, tmp_path: Path) -> None:
    one = module(tmp_path, '"""Mine."""\ndef calculate(): ...\ndef ask_user():\n    """Mine."""\n')
    house.settings = ToolSettings(modules=(one,), client=(ASK_USER,))
    found = await offered(house, ["calculate", "ask_user"])
    assert names(found) == ["calculate", "ask_user"]
    assert found.tools[1].spec.description == "Mine."
    assert found.problems == (
        "my_tools.py: there is a tool calculate already, from built-in.",
        "configuration: there is a tool ask_user already, from my_tools.py.",
    )


async def test_a_changed_configuration_is_followed(house: House, tmp_path: Path) -> None:
    async with house.open() as toolbox:
        assert names(await toolbox.tools(["ask_user", "greet"])) == []
        house.settings = ToolSettings(modules=(module(tmp_path, "def greet(): ..."),), client=(ASK_USER,))
        assert names(await toolbox.tools(["ask_user", "greet"])) == ["greet", "ask_user"]
        house.settings = ToolSettings()
        assert names(await toolbox.tools(["ask_user", "greet"])) == []


async def test_only_the_servers_that_are_named_are_connected(house: House) -> None:
    demo = McpServer("demo", command=(sys.executable, MCP_SERVER))
    house.settings = ToolSettings(mcp={"demo": demo, "dead": McpServer("dead", command=("palaver-no-such-program",))})
    async with house.open() as toolbox:
        assert names(await toolbox.tools(["*"])) == BUILT_IN
        assert {status.state for status in (toolbox._mcp.status())} == {"idle"}
        found = await until_ready(toolbox, ["calculate", "mcp:demo/add", "mcp:demo/s*", "mcp:demo/nothing"])
        assert names(found) == ["calculate", "demo__add", "demo__say"]
        assert {status.name: status.state for status in toolbox._mcp.status()} == {"demo": "ready", "dead": "idle"}
        found = await toolbox.tools(["mcp:d*/add"])
        assert names(found) == ["demo__add"]
        assert "The MCP server dead cannot be used: its program cannot be started; check `command`." in found.problems


async def until_ready(toolbox: ConfiguredTools, wanted: Sequence[str]) -> Offered:
    """On a busy machine a server may take longer than a turn waits."""
    found = await toolbox.tools(wanted)
    while any("still starting" in problem for problem in found.problems):
        await asyncio.sleep(0.05)
        found = await toolbox.tools(wanted)
    return found


async def test_the_overview_has_every_tool_with_its_source_and_every_problem(house: House, tmp_path: Path) -> None:
    good = module(tmp_path, "TOOL_POLICY = {'greet': 'ask'}\ndef greet(): ...")
    bad = module(tmp_path, "1 / 0", "bad.py")
    dead = McpServer("dead", url="http://127.0.0.1:1/mcp", headers={"Authorization": "Bearer sk-test-SECRET"})
    house.settings = ToolSettings(modules=(good, bad), client=(ASK_USER,), mcp={"dead": dead})
    async with house.open() as toolbox:
        overview = await toolbox.overview()
    assert [(listed.tool.spec.name, listed.source, listed.tool.policy) for listed in overview.tools[5:]] == [
        ("greet", "my_tools.py", "ask"),
        ("ask_user", "configuration", "auto"),
    ]
    problem = "it cannot be reached; check `url`"
    assert overview.problems == (
        "bad.py, line 1: ZeroDivisionError.",
        f"The MCP server dead cannot be used: {problem}.",
    )
    assert overview.servers == (McpStatus("dead", "failed", 0, problem),)
    assert "sk-test-SECRET" not in repr(overview) + repr(house.settings)
