from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.tools import ToolContext
from app.tools.modules import Module, Modules

pytestmark = pytest.mark.anyio

GOOD = '''
from dataclasses import dataclass
from json import dumps

TOOL_POLICY = {"delete_file": "ask"}


@dataclass
class Weather:
    city: str


async def get_weather(city: str) -> Weather:
    """Tell the weather.

    Args:
        city: in English
    """
    return Weather(_clean(city))


def delete_file(name: str) -> str:
    """Delete a file."""
    return dumps(name)


def _clean(city: str) -> str:
    return city.strip()


helper = _clean
'''


async def load(folder: Path, text: str | bytes) -> Module:
    file = folder / "my_tools.py"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    (module,) = await Modules().load([str(file)])
    return module


async def test_public_functions_of_a_file_are_tools(tmp_path: Path) -> None:
    module = await load(tmp_path, GOOD)
    assert (module.name, module.problems) == ("my_tools.py", ())
    weather, delete = module.tools
    assert (weather.spec.name, weather.spec.description, weather.policy) == ("get_weather", "Tell the weather.", "auto")
    assert weather.spec.input_schema["properties"] == {"city": {"type": "string", "description": "in English"}}
    assert (delete.spec.name, delete.policy) == ("delete_file", "ask")
    assert weather.execute is not None
    assert await weather.execute({"city": " Rome "}, ToolContext("b", "c")) == {"city": "Rome"}  # type: ignore[misc]


BROKEN = {
    "def f(:\n": "my_tools.py, line 1: SyntaxError: invalid syntax.",
    "\n\nimport nothing_of_this_name\n": (
        "my_tools.py, line 3: ModuleNotFoundError: No module named 'nothing_of_this_name'."
    ),
    "\nx = y\n": "my_tools.py, line 2: NameError: name 'y' is not defined.",
    "def f():\n    open('/etc/secret/key')\nf()\n": "my_tools.py, line 2: FileNotFoundError.",
    "raise ValueError('sk-test-SECRET')": "my_tools.py, line 1: ValueError.",
    "import sys\nsys.exit('bye')": "my_tools.py, line 2: SystemExit.",
    b"x = '\xff'": "my_tools.py, line 1: SyntaxError: (unicode error)",
    b"\0": "my_tools.py: ",
    "def f(): ...\nf.__signature__ = 5": "my_tools.py: its functions cannot be read (TypeError).",
}


@pytest.mark.parametrize("text", BROKEN)
async def test_a_broken_file_costs_its_tools_and_says_where(tmp_path: Path, text: str | bytes) -> None:
    module = await load(tmp_path, text)
    assert module.tools == ()
    (problem,) = module.problems
    assert problem.startswith(BROKEN[text])
    assert str(tmp_path) not in problem
    assert not [
        name for name, kept in sys.modules.items() if getattr(kept, "__file__", "") == str(tmp_path / "my_tools.py")
    ]


async def test_one_function_that_is_no_tool_costs_only_itself(tmp_path: Path) -> None:
    module = await load(
        tmp_path,
        "def good(): ...\n\ndef bad(*x): ...\n\ndef größe(): ...\n\nTOOL_POLICY = {'gone': 'ask', 'good': 'maybe'}\n",
    )
    assert [(tool.spec.name, tool.policy) for tool in module.tools] == [("good", "ask")]
    assert module.problems == (
        "my_tools.py: TOOL_POLICY of good must be auto, ask or off; until then it is ask.",
        "my_tools.py, line 3: bad has a parameter *x, which cannot be named in a call.",
        "my_tools.py, line 5: größe has a name that no service takes: at most 64 of A-Z, a-z, 0-9 and _.",
        "my_tools.py: TOOL_POLICY names gone, which is no tool of this file.",
    )


async def test_a_policy_of_another_type_is_asked_about(tmp_path: Path) -> None:
    module = await load(tmp_path, "TOOL_POLICY = {'a': ['auto']}\ndef a(): ...")
    assert module.problems == ("my_tools.py: TOOL_POLICY of a must be auto, ask or off; until then it is ask.",)
    assert [tool.policy for tool in module.tools] == ["ask"]


async def test_a_policy_that_is_no_table_is_reported(tmp_path: Path) -> None:
    module = await load(tmp_path, "TOOL_POLICY = ['a']\ndef a(): ...")
    assert module.problems == ("my_tools.py: TOOL_POLICY must be a dict of function names and auto, ask or off.",)
    assert [tool.policy for tool in module.tools] == ["ask"]


async def test_a_file_that_is_not_there_is_a_problem_until_it_is(tmp_path: Path) -> None:
    modules, file = Modules(), tmp_path / "later.py"
    assert await modules.load([str(file)]) == [Module("later.py", (), ("later.py: there is no such file.",))]
    file.write_text("def now(): ...")
    (module,) = await modules.load([str(file)])
    assert [tool.spec.name for tool in module.tools] == ["now"]


async def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(tmp_path: Path) -> None:
    modules, file = Modules(), tmp_path / "my_tools.py"
    for name in ("one", "two"):  # as quickly after each other, and as long, as nobody writes them
        file.write_text(f"def {name}(): ...")
        os.utime(file, ns=(len(name), 5 if name == "one" else 6))
        (module,) = await modules.load([str(file)])
        assert [tool.spec.name for tool in module.tools] == [name]
        assert await modules.load([str(file)]) == [module]
        assert (await modules.load([str(file)]))[0] is module
    assert list(tmp_path.iterdir()) == [file]  # no __pycache__ beside people's files


async def test_a_file_that_hangs_when_it_is_imported_is_given_up(tmp_path: Path) -> None:
    file = tmp_path / "my_tools.py"
    file.write_text("import threading\nthreading.Event().wait(60)\n")
    modules = Modules(load_seconds=0.05)
    (module,) = await modules.load([str(file)])
    assert module == Module("my_tools.py", (), ("my_tools.py: takes longer than 0.05 s to load.",))
    assert (await modules.load([str(file)]))[0] is module


def test_a_tool_that_hangs_does_not_keep_the_program_from_ending(tmp_path: Path) -> None:
    (tmp_path / "my_tools.py").write_text("import threading\ndef hang(): threading.Event().wait()\n")
    program = f"""
import asyncio
from app.core.tools import ToolContext
from app.tools.modules import Modules
async def main():
    (module,) = await Modules().load([{str(tmp_path / "my_tools.py")!r}])
    try:
        async with asyncio.timeout(0.05):
            await module.tools[0].execute({{}}, ToolContext("b", "c"))
    except TimeoutError:
        print("given up")
asyncio.run(main())
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert result.stdout == "given up\n"
