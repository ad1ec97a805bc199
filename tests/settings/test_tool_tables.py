from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.core.model import Configuration, Prices
from app.core.tools import McpServer, ToolSettings, ToolSpec
from app.core.values import Values
from app.settings.config_file import read_config_file
from app.settings.errors import ConfigurationError
from app.settings.wave_file import read_wave_files


def read(folder: Path, text: str) -> Configuration:
    (folder / "palaver.toml").write_text(text)
    return read_config_file(folder / "palaver.toml")


def test_tools_and_servers_are_understood(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        [tools]
        modules = ["./my_tools.py", "/opt/tools.py"]

        [tools.client.ask_user]
        description = " Ask the user "
        parameters = { type = "object", properties = { question = { type = "string" } }, required = ["question"] }

        [tools.client.ring]
        description = "Ring a bell"

        [mcp.files]
        command = "npx"
        args = ["-y", "server", "."]
        env = { TOKEN = "t" }

        [mcp.mine]
        command = "./bin/server"
        policy = "off"

        [mcp.far-away_1]
        url = "https://mcp.example.com/mcp/"
        headers = { Authorization = "Bearer t", "X-Team" = "blue" }
        policy = "auto"
        timeout = 2.5
        """,
    )
    assert found.tools == ToolSettings(
        modules=(str(tmp_path / "my_tools.py"), "/opt/tools.py"),
        client=(
            ToolSpec(
                "ask_user",
                "Ask the user",
                {"type": "object", "properties": {"question": {"type": "string"}}, "required": ["question"]},
            ),
            ToolSpec("ring", "Ring a bell", {"type": "object", "properties": {}}),
        ),
        mcp={
            "files": McpServer("files", command=("npx", "-y", "server", "."), env={"TOKEN": "t"}),
            "mine": McpServer("mine", command=(str(tmp_path / "bin/server"),), policy="off"),
            "far-away_1": McpServer(
                "far-away_1",
                url="https://mcp.example.com/mcp/",
                headers={"Authorization": "Bearer t", "X-Team": "blue"},
                policy="auto",
                timeout=2.5,
            ),
        },
    )
    assert "Bearer t" not in repr(found)


def test_paths_start_where_the_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config" / "palaver.toml").write_text('[tools]\nmodules = ["my_tools.py", "~/other.py"]')
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    found = read_config_file(Path("config/palaver.toml"))
    assert found.tools.modules == (
        str(tmp_path / "config" / "my_tools.py"),
        str(tmp_path / "home" / "other.py"),
    )


def test_a_preset_says_which_tools_it_uses_and_what_they_cost(tmp_path: Path) -> None:
    preset = read(
        tmp_path,
        """
        [presets.a]
        provider = "anthropic"
        tools = ["calculate", "mcp:files/*"]
        tool_policy = { fetch_page = "auto", "mcp:*" = "off" }
        max_steps = 5
        cache = false
        provider_tools = [{ type = "web_search_20250305", name = "web_search", max_uses = 3 }]
        prices = { input = 3, output = 15.5, cache_read = 0, cache_write = 3.75 }
        """,
    ).presets["a"]
    assert preset.values == Values(
        tools=("calculate", "mcp:files/*"),
        tool_policy={"fetch_page": "auto", "mcp:*": "off"},
        max_steps=5,
        cache="off",
    )
    assert preset.provider_tools == ({"type": "web_search_20250305", "name": "web_search", "max_uses": 3},)
    assert preset.prices == Prices(3.0, 15.5, 0.0, 3.75)


def test_settings_for_all_may_say_it_too(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        [settings]
        "ai:tools" = ["calculate"]
        "ai:toolpolicy" = { "*" = "ask" }
        "ai:maxsteps" = 3
        "ai:cache" = "1h"
        """,
    )
    assert found.values == Values(tools=("calculate",), tool_policy={"*": "ask"}, max_steps=3, cache="1h")


def test_waves_file_may_say_it_too(tmp_path: Path) -> None:
    preset = {"ai:apitype": "echo", "ai:maxsteps": 3.0, "ai:cache": True, "ai:toolpolicy": {"*": "ask"}}
    (tmp_path / "a.json").write_text(json.dumps({"ai@a": preset, "ai:tools": ["*"], "ai:maxsteps": 0}))
    found = read_wave_files(tmp_path / "a.json")
    assert found.values == Values(tools=("*",))
    assert found.presets["a"].values == Values(max_steps=3, cache="5m", tool_policy={"*": "ask"})


PRESET = '[presets.a]\nprovider = "anthropic"\n'
NO_HOME = "there is no home folder that ~ could stand for; write the whole path"
DEEP = ".".join(["properties"] * 3_000)

MISTAKES = {
    '[tool]\nmodules = ["a.py"]': "tool: unknown key; did you mean tools? Known keys are settings, presets, tools, mcp",
    "tools = 1": "tools: must be a table of keys and values",
    '[tools]\nmodule = "a.py"': "tools.module: unknown key; did you mean modules? Known keys are modules, client",
    '[tools]\nmodules = "a.py"': "tools.modules: must be a list of texts",
    '[tools]\nmodules = ["a.txt"]': "tools.modules: must be a list of Python files, such as ./my_tools.py",
    '[tools.client."my tool"]\ndescription = "x"': (
        "tools.client.my tool: a tool's name has at most 64 letters, digits, _ and -"
    ),
    "[tools.client.a]": "tools.client.a.description: must tell the model what the tool is for",
    '[tools.client.a]\ndescription = " "': "tools.client.a.description: must tell the model what the tool is for",
    '[tools.client.a]\ndescription = "x"\nparameters = { type = "string" }': (
        "tools.client.a.parameters: must be a JSON schema of type object"
    ),
    '[tools.client.a]\ndescription = "x"\nparameters = { type = "objekt" }': (
        "tools.client.a.parameters: must be a JSON schema of type object"
    ),
    '[tools.client.a]\ndescription = "x"\nparameters = { type = "object", const = 2026-11-21 }': (
        "tools.client.a.parameters: must be a JSON schema of type object"
    ),
    '[mcp.a__b]\ncommand = "x"': (
        "mcp.a__b: a server's name has at most 32 letters and digits, with single _ or - between them"
    ),
    "[mcp.a]": "mcp.a.command: an MCP server has either a command or a url",
    '[mcp.a]\ncommand = "x"\nurl = "http://a.example"': "mcp.a.command: an MCP server has either a command or a url",
    '[mcp.a]\ncommand = "x"\nheaders = {}': "mcp.a.headers: an MCP server with a command has none",
    '[mcp.a]\nurl = "http://a.example"\nargs = []': "mcp.a.args: an MCP server with a url has none",
    '[mcp.a]\ncommand = ["x"]': "mcp.a.command: must be the name of a program; its arguments belong in args",
    '[mcp.a]\ncommand = "x"\nargs = "y"': "mcp.a.args: must be a list of texts",
    '[mcp.a]\ncommand = "~nobody-of-this-name/x"': f"mcp.a.command: {NO_HOME}",
    '[tools]\nmodules = ["~nobody-of-this-name/x.py"]': f"tools.modules: {NO_HOME}",
    '[mcp.a]\ncommand = "x"\nenv = { A = 1 }': "mcp.a.env.A: must be an environment variable with a text",
    '[mcp.a]\nurl = "ftp://a.example"': "mcp.a.url: must be an address such as http://127.0.0.1:8080/v1",
    '[mcp.a]\nurl = "http://me:secret@a.example"': (
        "mcp.a.url: must not hold a name or a password; a key belongs in headers"
    ),
    '[mcp.a]\nurl = "http://a.example"\nheaders = { Host = "b" }': (
        "mcp.a.headers.Host: this header is set by the server itself"
    ),
    '[mcp.a]\ncommand = "x"\npolicy = "yes"': "mcp.a.policy: must be one of auto, ask, off",
    '[mcp.a]\ncommand = "x"\ntimeout = 0': "mcp.a.timeout: must be a number of seconds above 0, at most a day",
    PRESET + "tools = 3": "presets.a.tools: must be a list of at most 256 names of tools",
    PRESET + 'tool_policy = { a = "yes" }': "presets.a.tool_policy: must be a table of tool names and auto, ask or off",
    PRESET + "max_steps = 65": "presets.a.max_steps: must be a whole number from 1 to 64",
    PRESET + 'cache = "2h"': "presets.a.cache: must be true, false, 5m or 1h",
    PRESET + f"provider_tools = [{{ {DEEP} = 1 }}]": (
        'presets.a.provider_tools: must be a list of tables as the service has them, such as { type = "web_search" }'
    ),
    f'[tools.client.a]\ndescription = "x"\nparameters.type = "object"\nparameters.properties.{DEEP} = 1': (
        "tools.client.a.parameters: must be a JSON schema of type object"
    ),
    PRESET + 'provider_tools = ["web_search"]': (
        'presets.a.provider_tools: must be a list of tables as the service has them, such as { type = "web_search" }'
    ),
    PRESET + "provider_tools = [{ type = 2026-11-21 }]": (
        'presets.a.provider_tools: must be a list of tables as the service has them, such as { type = "web_search" }'
    ),
    PRESET + "prices = { input = 3 }": "presets.a.prices.output: missing; prices are dollars for a million tokens",
    PRESET + "prices = { input = 3, output = -1 }": (
        "presets.a.prices.output: must be a number of dollars for a million tokens, at most 100,000"
    ),
    PRESET + "prices = { input = 3, output = nan }": (
        "presets.a.prices.output: must be a number of dollars for a million tokens, at most 100,000"
    ),
    PRESET + "prices = { input = 3, output = 1, cached = 1 }": (
        "presets.a.prices.cached: unknown key; did you mean cache_read? "
        "Known keys are input, output, cache_read, cache_write, cache_write_1h, search"
    ),
}


@pytest.mark.parametrize("text", MISTAKES, ids=lambda text: text[:80])
def test_a_mistake_is_named_with_its_place_and_what_was_expected(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read(tmp_path, text)
    assert str(raised.value) == f"palaver.toml: {MISTAKES[text]}"
