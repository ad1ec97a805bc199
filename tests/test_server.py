from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.server import listen
from app.settings.errors import ConfigurationError
from tests.durability.client import wait_until
from tests.server_process import ROOT, server_process

LIMITED = """
import json, resource, sys
from app.server import raise_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, tuple(json.loads(sys.argv[1])))
raise_file_limit()
print(json.dumps(resource.getrlimit(resource.RLIMIT_NOFILE)))
"""


def raised(soft: int, hard: int) -> tuple[list[int], str]:
    """The limits afterwards, and what was logged."""
    command = [sys.executable, "-c", LIMITED, json.dumps([soft, hard])]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return json.loads(done.stdout), done.stderr


def test_as_many_files_may_be_open_as_the_system_lets_us() -> None:
    assert raised(256, 4096) == ([4096, 4096], "")


def test_a_system_that_lets_us_open_few_files_is_named() -> None:
    limits, logged = raised(128, 512)
    assert limits == [512, 512]
    assert "few open files allowed" in logged


@pytest.mark.parametrize("host", ["192.0.2.1", "x" * 70])
def test_an_address_that_is_not_ours_is_not_taken_for_a_lack_of_ports(host: str) -> None:
    with pytest.raises(ConfigurationError, match="Choose another --host"):
        listen(host, None)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux changes the limits of another process")
def test_a_server_that_can_open_no_more_files_says_so(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(server_process(tmp_path))
        address = urlsplit(server.url)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (64, 64))
        for _ in range(100):
            stack.enter_context(socket.create_connection((address.hostname, address.port), timeout=20))
        wait_until(lambda: any("no more files may be opened" in line for line in server.log))
