"""`palaver doctor`, as a person runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.server_process import ROOT, clean_environment
from tests.upstream import Upstream

CONFIGURATION = """
[presets.default]
provider = "openai-chat"
base_url = "{url}"
model = "tiny"
tools = ["get_wether"]
tool_policy = {{ calculate = "ask", calculat = "off" }}

[presets.typo]
provider = "openai-chat"
base_url = "{url}"
model = "tiyn"

[mcp.files]
command = "no-such-program"
"""


def doctor(folder: Path, configuration: str) -> subprocess.Popen[str]:
    (folder / "palaver.toml").write_text(configuration)
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "app",
            "doctor",
            "--config",
            str(folder / "palaver.toml"),
            "--data",
            str(folder / "data"),
        ],
        cwd=ROOT,
        env=clean_environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_doctor_tells_what_is_wrong_with_presets_and_tools(tmp_path: Path) -> None:
    with Upstream(models=("tiny",)) as upstream:
        said, complaints = doctor(tmp_path, CONFIGURATION.format(url=upstream.base_url)).communicate(timeout=60)
    assert "ok    default" in said
    assert "FAIL  typo" in said
    assert "note  The preset 'default' offers 'get_wether'" in said
    assert "note  The preset 'default' has a tool_policy for 'calculat'," in said
    assert "'calculate'" not in said
    assert "MCP server files" in said
    assert "Traceback" not in complaints
    assert not (tmp_path / "data").exists()


def test_a_wrong_preset_is_the_exit_code(tmp_path: Path) -> None:
    with doctor(tmp_path, '[presets.default]\nprovider = "anthropic"\n') as process:
        assert process.wait(60) == 1


def test_whoever_reads_only_the_beginning_gets_no_traceback(tmp_path: Path) -> None:
    """`palaver doctor | head -1`"""
    process = doctor(tmp_path, '[presets.default]\nprovider = "echo"\n')
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait(60) == 0
