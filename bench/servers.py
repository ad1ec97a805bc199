"""The servers that are compared, each in a process of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.ways import HOST, PAGE_PRESET

ROOT = Path(__file__).parent.parent
NODE = ROOT / "bench" / "node"
START_SECONDS = 30.0

_ADDRESS = re.compile(r"(?:port |http://127\.0\.0\.1:)(\d+)")
_POLL_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    port: int


def available() -> dict[str, list[str]]:
    """The commands of the servers that can run here; `{port}` is that of the model service."""
    python = sys.executable
    servers = {
        "direct": [],
        "proxy": [python, "-m", "bench.proxy", "{port}", "raw"],
        "transform": [python, "-m", "bench.proxy", "{port}", "transform"],
        "palaver": [python, "-m", "app", "serve", "--port", "0"],
        "naive": [python, "-m", "bench.naive", "{port}"],
    }
    if (node := shutil.which("node")) is not None and (NODE / "node_modules").is_dir():
        servers["node"] = [node, str(NODE / "server.mjs"), "{port}"]
    return servers


def install_node(tell: Callable[[str], None]) -> None:
    """The packages of the AI SDK's server, where npm is there to install them."""
    if (NODE / "node_modules").is_dir():
        return
    if (npm := shutil.which("npm")) is None or shutil.which("node") is None:
        tell("Node and npm are not installed: the AI SDK's server is left out.")
        return
    tell("installing the AI SDK")
    subprocess.run([npm, "ci", "--loglevel=error"], cwd=NODE, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def upstream() -> Iterator[Process]:
    """The model service, on the cores of the load."""
    command = [sys.executable, "-m", "bench.upstream"]
    with _folder() as folder, _process(command, folder, cores=machine.LOAD_CORES) as running:
        yield running


@contextmanager
def server(name: str, service: Process, *, page_model: str = "paced-1-1") -> Iterator[Process]:
    """One of the servers of `available`, with nothing in its storage."""
    if name == "direct":
        yield service
        return
    with _folder() as folder:
        command = [part.format(port=service.port) for part in available()[name]]
        if name == "palaver":
            config = folder / "palaver.toml"
            config.write_text(_configuration(service.port, page_model))
            command += ["--config", str(config), "--data", str(folder / "data")]
        with _process(command, folder, cores=machine.SERVER_CORES) as running:
            yield running


@contextmanager
def servers(
    names: Iterable[str], service: Process, *, page_model: str = "paced-1-1"
) -> Iterator[Mapping[str, Process]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(server(name, service, page_model=page_model)) for name in names}


def _configuration(port: int, page_model: str) -> str:
    return f"""\
[settings]
"ai:preset" = "openai"

[presets.openai]
provider = "openai-chat"
base_url = "http://127.0.0.1:{port}/v1"
model = "none"

[presets.anthropic]
provider = "anthropic"
base_url = "http://127.0.0.1:{port}"
model = "none"
api_key_env = "BENCH_KEY"

[presets.{PAGE_PRESET}]
provider = "openai-chat"
base_url = "http://127.0.0.1:{port}/v1"
model = "{page_model}"
"""


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="palaver-bench-") as folder:
        yield Path(folder)


@contextmanager
def _process(command: Sequence[str], folder: Path, *, cores: set[int]) -> Iterator[Process]:
    log = folder / "log"
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "NODE_ENV": "production"}
    environment |= {"PALAVER_ALLOWED_HOSTS": HOST, "BENCH_KEY": "none"}
    with log.open("wb") as output, machine.pinned(cores):
        started = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield Process(started.pid, _announced_port(started, log))
    finally:
        started.kill()  # nothing of what it has is needed, and a server in good order would end its streams first
        started.wait()


def _announced_port(started: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and started.poll() is None:
        if (found := _ADDRESS.search(log.read_text())) is not None:
            return int(found[1])
        time.sleep(_POLL_SECONDS)
    raise RuntimeError(f"A server did not start:\n{log.read_text()[-2000:]}")
