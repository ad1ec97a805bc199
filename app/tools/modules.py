"""Python files named in the configuration: their public functions are tools.

A file is read when it is first needed and again when it has changed. What is wrong with it is reported with its name
and line, and costs only its own tools. `TOOL_POLICY = {"delete_file": "ask"}` in the file says which of its tools do
not run without asking.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from app.core.tools import Policy, Tool
from app.tools.functions import NotATool, tool_from
from app.tools.threads import in_thread

LOAD_SECONDS = 10.0
"""A file that takes longer to be imported is given up until it changes."""

_POLICIES: frozenset[Policy] = frozenset({"auto", "ask", "off"})

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Module:
    name: str
    """The file's, without its folder."""
    tools: tuple[Tool, ...] = ()
    problems: tuple[str, ...] = ()


class Modules:
    def __init__(self, load_seconds: float = LOAD_SECONDS) -> None:
        self._load_seconds = load_seconds
        self._loaded: dict[str, tuple[tuple[int, int], Module]] = {}
        """By path, with time of change in ns and size."""
        self._loading = asyncio.Lock()

    async def load(self, paths: Sequence[str]) -> Sequence[Module]:
        async with self._loading:
            return [await self._load(path) for path in paths]

    async def _load(self, path: str) -> Module:
        file = Path(path)
        stamp = _stamp(file)
        if stamp is None:
            return Module(file.name, problems=(f"{file.name}: there is no such file.",))
        if (found := self._loaded.get(path)) is not None and found[0] == stamp:
            return found[1]
        try:
            async with asyncio.timeout(self._load_seconds):
                module = await in_thread(load_module, file)
        except TimeoutError:
            module = Module(file.name, problems=(f"{file.name}: takes longer than {self._load_seconds:g} s to load.",))
        for problem in module.problems:
            _log.warning("tools not loaded", extra={"module_file": path, "problem": problem})
        self._loaded[path] = (stamp, module)
        return module


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def load_module(file: Path) -> Module:
    """Run the file and make tools of what it defines. Whatever it raises is a problem."""
    name = f"palaver_tools_{sha256(str(file).encode()).hexdigest()[:12]}"
    module = ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module  # dataclasses and type hints look their module up there
    try:
        exec(compile(file.read_bytes(), file, "exec"), module.__dict__)  # noqa: S102 - that is what the file is for
    except BaseException as error:  # noqa: BLE001 - SystemExit, too
        del sys.modules[name]
        return Module(file.name, problems=(f"{file.name}{_place(error, file)}: {_what(error)}.",))
    try:
        return _read(module, file)
    except Exception as error:  # noqa: BLE001 - what it defines is code, too: `__signature__`, a mapping of its own
        del sys.modules[name]
        return Module(file.name, problems=(f"{file.name}: its functions cannot be read ({type(error).__name__}).",))


def _read(module: ModuleType, file: Path) -> Module:
    functions = _public_functions(module)
    policies, problems = _policies(module, [function.__name__ for function in functions])
    tools: list[Tool] = []
    for function in functions:
        try:
            tools.append(tool_from(function, policy=policies.pop(function.__name__, "auto")))
        except NotATool as error:
            line = function.__code__.co_firstlineno
            problems.append(f"{file.name}, line {line}: {shown(function.__name__)} {error}.")
    problems += [f"{file.name}: TOOL_POLICY names {shown(key)}, which is no tool of this file." for key in policies]
    return Module(file.name, tuple(tools), tuple(problems))


def _public_functions(module: ModuleType) -> Sequence[Any]:
    """What the file itself defines, in its order; a leading underscore keeps a function to itself."""
    return [
        value
        for key, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and key == value.__name__ and key[0] != "_"
    ]


def _policies(module: ModuleType, names: Sequence[str]) -> tuple[dict[str, Policy], list[str]]:
    """By function. Where it cannot be understood, the user is asked."""
    said = getattr(module, "TOOL_POLICY", {})
    name = Path(module.__file__ or "").name
    if not isinstance(said, Mapping) or not all(isinstance(key, str) for key in said):
        return dict.fromkeys(names, "ask"), [
            f"{name}: TOOL_POLICY must be a dict of function names and auto, ask or off."
        ]
    wrong = [key for key, policy in said.items() if not isinstance(policy, str) or policy not in _POLICIES]
    problems = [f"{name}: TOOL_POLICY of {shown(key)} must be auto, ask or off; until then it is ask." for key in wrong]
    return {key: "ask" if key in wrong else policy for key, policy in said.items()}, problems


def _place(error: BaseException, file: Path) -> str:
    """`, line 3`: where in the file itself it went wrong."""
    if isinstance(error, SyntaxError) and error.filename == str(file) and error.lineno:
        return f", line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return f", line {lines[-1]}" if lines else ""


def _what(error: BaseException) -> str:
    """The kind of error. What it says may name paths and secrets, except where Python itself speaks of names."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    if isinstance(error, NameError | ModuleNotFoundError):
        return f"{type(error).__name__}: {error}"
    return type(error).__name__


def shown(name: str) -> str:
    return name[:80] if name.isprintable() else ascii(name[:80])
