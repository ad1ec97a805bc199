"""Every command and snippet of the README works. A fenced block is run by its language; an unknown one is an error.

sh             run by bash, line by line, against a real server; a line of REPLACED is tried as said there
python         run against the same server; one with tools is loaded as the server does it
toml, json     a configuration file that the server takes
tsx            verbatim a file of the React client, which the end-to-end tests open in a browser
text           what a program prints: not run
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.tools.modules import load_module
from tests.server_process import README_ADDRESS, ROOT, ServerProcess, clean_environment, server_process

README = (ROOT / "README.md").read_text()
SNIPPETS = sorted((ROOT / "e2e/react/src").glob("Readme*.tsx"))


@dataclass(frozen=True, slots=True)
class Block:
    line: int
    language: str
    text: str


def blocks() -> list[Block]:
    fences = re.finditer(r"^```(\S*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [Block(README.count("\n", 0, fence.start()) + 1, fence[1], fence[2]) for fence in fences]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with server_process(tmp_path_factory.mktemp("server")) as running:
        yield running


@dataclass(frozen=True, slots=True)
class Here:
    server: ServerProcess
    folder: Path

    def run(self, *command: str) -> str:
        """What the command prints, run as if the server of the README listened where the README says."""
        done = subprocess.run(
            [part.replace(README_ADDRESS, self.server.url) for part in command],
            cwd=self.folder,
            env=clean_environment(self.folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def try_start(line: str, here: Here) -> None:
    """The server starts with the variables before `make run` and the arguments behind it, and answers."""
    words = shlex.split(line)
    variables = dict(word.split("=", 1) for word in words if "=" in word)
    arguments = shlex.split(variables.pop("ARGS", ""))
    with (
        server_process(here.folder, *arguments, environment=variables) as started,
        urllib.request.urlopen(f"{started.url}/health") as answer,
    ):
        assert answer.status == 200


def check_that_ci_runs_it(line: str, here: Here) -> None:
    assert line in (ROOT / ".ci/run").read_text().splitlines()


def leave(line: str, here: Here) -> None:
    """Nothing to try: it is what brought the reader here."""


REPLACED: dict[str, Callable[[str, Here], None]] = {
    r'(\w+=\S+ )*make run( ARGS=".*")?': try_start,
    r"make (test|check)": check_that_ci_runs_it,
    r"git clone \S+( palaver)?|cd palaver": leave,
}


def run_shell(block: Block, here: Here) -> None:
    lines = [re.sub(r"(^|\s+)#.*", "", line).strip() for line in block.text.splitlines()]
    known = {line: replace for line in lines for pattern, replace in REPLACED.items() if re.fullmatch(pattern, line)}
    if not known:
        (here.folder / ".curlrc").write_text("fail-with-body\nsilent\nshow-error\n")
        assert here.run("bash", "-euo", "pipefail", "-c", block.text), "a command that prints nothing shows nothing"
    for line in filter(None, lines if known else ()):
        assert line in known, f"{line!r} cannot stand in one block with a command that the test replaces"
        known[line](line, here)


def run_python(block: Block, here: Here) -> None:
    """A program prints something; a file of tools has tools that nothing is wrong with."""
    if "TOOL_POLICY" not in block.text:
        assert here.run(sys.executable, "-c", block.text)
        return
    file = here.folder / "my_tools.py"
    file.write_text(block.text)
    module = load_module(file)
    assert module.problems == ()
    assert {tool.spec.name: tool.policy for tool in module.tools} == {"get_weather": "auto", "delete_note": "ask"}


def load_configuration(block: Block, here: Here) -> None:
    file = here.folder / f"presets.{block.language}"
    file.write_text(block.text)
    printed = here.run("palaver", "presets", "--config", str(file))
    for name in re.findall(r'^\[presets\.([\w-]+)\]|"ai@([\w-]+)"', block.text, re.MULTILINE):
        assert "".join(name) in printed


def compare_snippet(block: Block, here: Here) -> None:
    assert block.text in [path.read_text() for path in SNIPPETS]


def show(block: Block, here: Here) -> None:
    """Output of a program, for the reader's eyes."""


KINDS = {
    "sh": run_shell,
    "python": run_python,
    "toml": load_configuration,
    "json": load_configuration,
    "tsx": compare_snippet,
    "text": show,
}


@pytest.mark.parametrize("block", blocks(), ids=lambda block: f"line {block.line}")
def test_what_the_readme_says_works(block: Block, server: ServerProcess, tmp_path: Path) -> None:
    assert block.language in KINDS, f"line {block.line}: what kind of block is {block.language!r}?"
    KINDS[block.language](block, Here(server, tmp_path))


@pytest.mark.parametrize("path", SNIPPETS, ids=lambda path: path.name)
def test_every_snippet_of_the_react_client_is_in_the_readme(path: Path) -> None:
    assert path.read_text() in [block.text for block in blocks() if block.language == "tsx"]


@pytest.mark.parametrize("command", ["make run", "make test"])
def test_the_two_commands_are_there(command: str) -> None:
    assert any(command in block.text for block in blocks() if block.language == "sh")
