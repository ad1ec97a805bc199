"""Tools: what a model may call, who runs it, and what the server remembers of every call.

The record is the only evidence of a call. What a client's history says of one counts for nothing: what was asked, with
which arguments, what the user answered and what came of it stands in the `ToolRecord` that the server wrote itself.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Literal, TypeAlias

from app.core.messages import ProviderMetadata

Policy: TypeAlias = Literal["auto", "ask", "off"]
"""Run it, ask the user first, or do not offer it."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What the model is told of a tool."""

    name: str
    """One that `is_tool_name`."""
    description: str
    input_schema: Mapping[str, Any]
    """A JSON schema of type object."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Where a call comes from."""

    block_id: str
    tool_call_id: str


@dataclass(frozen=True, slots=True)
class ToolFile:
    media_type: str
    content: bytes
    filename: str | None = None


@dataclass(frozen=True, slots=True)
class ToolSource:
    url: str
    title: str | None = None


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What came of a call. A tool that only has a value may return just that."""

    value: Any
    """JSON."""
    files: tuple[ToolFile, ...] = ()
    sources: tuple[ToolSource, ...] = ()


Execute: TypeAlias = Callable[[Mapping[str, Any], ToolContext], Awaitable[Any] | AsyncIterator[Any]]
"""Gets the arguments, which fit the schema, and gives the output: a JSON value or a ToolOutput. An async iterator
gives several; all but the last are preliminary. Whatever it raises is an error that the model is told of: the text of a
ToolFailure as it is, of anything else only that it failed.
"""


class ToolFailure(Exception):
    """A tool's own word that a call cannot be done, in a sentence that model and user may read."""


@dataclass(frozen=True, slots=True)
class Tool:
    spec: ToolSpec
    execute: Execute | None
    """None: the client runs it, and the turn ends with the call."""
    policy: Policy = "auto"
    """Unless preset or block say otherwise."""
    dynamic: bool = False
    """No front end can know its name (MCP)."""
    timeout: float = 60.0
    """Seconds until the call is given up."""


@dataclass(frozen=True, slots=True)
class Offered:
    """The tools that a turn may use."""

    tools: tuple[Tool, ...]
    problems: tuple[str, ...] = ()
    """Sentences: which of the names lead to nothing, and why."""


@dataclass(frozen=True, slots=True)
class ListedTool:
    tool: Tool
    source: str
    """Where it is from, for people: `built-in`, `my_tools.py`, `configuration`, `mcp:files`."""


@dataclass(frozen=True, slots=True)
class McpStatus:
    """How a server of the configuration is at this moment."""

    name: str
    state: Literal["idle", "connecting", "ready", "failed"]
    """`idle`: nobody has needed it yet."""
    tools: int
    problem: str | None = None
    """A sentence, where it failed."""


@dataclass(frozen=True, slots=True)
class ToolOverview:
    """Every tool there is, whoever uses it."""

    tools: tuple[ListedTool, ...]
    problems: tuple[str, ...]
    servers: tuple[McpStatus, ...]


def is_tool_name(name: str) -> bool:
    """Whether every service takes it as the name of a tool."""
    return _NAME.fullmatch(name) is not None


def names_tool(pattern: str, tool_name: str) -> bool:
    """Whether an entry of `tools` or `tool_policy` means this tool: its name, with `*` for any characters. The tool
    `read_file` of the MCP server `files` is called `files__read_file` and may be written `mcp:files/read_file`.
    """
    if pattern.startswith("mcp:"):
        pattern = pattern.removeprefix("mcp:").replace("/", "__", 1)
    return fnmatchcase(tool_name, pattern) if "*" in pattern else tool_name == pattern


CallState: TypeAlias = Literal[
    "open",
    "asking",
    "approved",
    "running",
    "done",
    "failed",
    "denied",
]
"""`open`: a client's tool that has not answered yet; `asking`: waits for the user's yes; `approved`: has it and does
not run yet; `running`: so it stays where the server was killed; `denied` includes what a new message superseded."""

SETTLED: frozenset[CallState] = frozenset({"done", "failed", "denied"})

CANCELLED = "The call was cancelled before it had a result."
"""The `error_text` of a call that ended with its answer, because somebody stopped that or the server went away."""


@dataclass(frozen=True, slots=True)
class ToolRecord:
    tool_call_id: str
    message_id: str
    """The answer that it stands in."""
    tool_name: str
    input: Any
    runs: Literal["server", "client", "provider"]
    state: CallState
    approval_id: str | None = None
    output: Any = None
    error_text: str | None = None
    """Of `failed`; of `denied` the user's reason, if any."""
    dynamic: bool = False
    call_metadata: ProviderMetadata | None = None
    result_metadata: ProviderMetadata | None = None

    def settled(self, state: CallState, *, output: Any = None, error_text: str | None = None) -> ToolRecord:
        return replace(self, state=state, output=output, error_text=error_text)


@dataclass(frozen=True, slots=True)
class ApprovalAnswer:
    """What a client says to a request for approval."""

    approval_id: str
    approved: bool
    reason: str | None = None
    always: bool = False
    """With a yes: the tool needs none any more in this conversation."""


@dataclass(frozen=True, slots=True)
class McpServer:
    """A server of the Model Context Protocol, as the configuration has it."""

    name: str
    command: tuple[str, ...] = ()
    """Program and arguments; empty where `url` is given."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    url: str | None = None
    """Streamable HTTP."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    policy: Policy = "ask"
    timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class ToolSettings:
    """The `[tools]` and `[mcp.*]` tables of the configuration."""

    modules: tuple[str, ...] = ()
    """Paths of Python files, absolute."""
    client: tuple[ToolSpec, ...] = ()
    """Tools that front ends run, declared here instead of with every request."""
    mcp: Mapping[str, McpServer] = field(default_factory=dict)


NO_TOOLS = ToolSettings()
NO_POLICIES: Mapping[str, Policy] = {}
