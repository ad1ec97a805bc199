"""Names that lead to no tool."""

from __future__ import annotations

from app.chat.tool_names import lost_names
from app.core.model import Configuration, Preset
from app.core.tools import ListedTool, McpStatus, Tool, ToolOverview, ToolSpec
from app.core.values import Values


def overview(*names: str, servers: tuple[McpStatus, ...] = ()) -> ToolOverview:
    tools = tuple(ListedTool(Tool(ToolSpec(name, "", {"type": "object"}), None), "built-in") for name in names)
    return ToolOverview(tools, (), servers)


def lost(known: ToolOverview, **values: object) -> list[str]:
    return lost_names(Configuration({"mine": Preset("mine", "echo", values=Values.model_validate(values))}), known)


def test_a_name_that_fits_a_tool_is_no_complaint() -> None:
    known = overview("calculate", "files__read")
    assert lost(known, tools=["calculate", "calc*", "mcp:files/*", "mcp:files/read"]) == []
    assert lost(known, tool_policy={"files__read": "ask", "mcp:files/read": "off", "*": "ask"}) == []


def test_a_name_that_fits_none_is_told_with_its_place() -> None:
    assert lost(overview("calculate"), tools=["calculat"], tool_policy={"get_wether": "off"}) == [
        "The preset 'mine' offers 'calculat' in its tools, and there is no such tool.",
        "The preset 'mine' has a tool_policy for 'get_wether', and no tool of this server is called so.",
    ]


def test_the_settings_for_all_are_read_too() -> None:
    configuration = Configuration({}, values=Values(tool_policy={"gone": "ask"}))
    assert lost_names(configuration, overview()) == [
        "The table settings has a tool_policy for 'gone', and no tool of this server is called so."
    ]


def test_what_a_silent_server_would_have_nobody_knows() -> None:
    silent = overview(servers=(McpStatus("files", "failed", 0, "no"),))
    assert lost(silent, tools=["mcp:files/read", "files__read"]) == []
    assert len(lost(silent, tools=["mcp:other/read"])) == 1


def test_all_tools_may_be_none() -> None:
    assert lost(overview(), tools=["*"]) == []
