"""What was measured, in which versions."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version

from bench.servers import NODE

PACKAGES = (
    *("palaver", "uvicorn", "uvloop", "httptools", "starlette", "sse-starlette", "httpx2"),
    *("openai", "anthropic", "pydantic", "aiosqlite", "jiter"),
)


def versions() -> dict[str, str]:
    """By name; what is not here is left out."""
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found | _of_node()


def _of_node() -> dict[str, str]:
    node = shutil.which("node")
    if node is None or not (NODE / "node_modules").is_dir():
        return {}
    found = {
        "Node": subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip("v\n")
    }
    for name in json.loads((NODE / "package.json").read_text())["dependencies"]:
        found[name] = json.loads((NODE / "node_modules" / name / "package.json").read_text())["version"]
    return found
