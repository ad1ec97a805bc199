"""Starting: the time to the first answer, and the memory of a server that nobody has asked anything."""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Callable

from bench import machine
from bench.plan import Plan
from bench.servers import Process, server
from bench.ways import HOST

REST_SECONDS = 1.0
_HEALTH = f"GET /health HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n".encode()


def start(plan: Plan, service: Process, tell: Callable[[str], None]) -> dict[str, float]:
    seconds, megabytes = [], []
    for number in range(1, plan.starts + 1):
        began = time.monotonic()
        with server("palaver", service) as process:
            _answer_of(process.port)
            seconds.append(time.monotonic() - began)
            time.sleep(REST_SECONDS)
            megabytes.append(machine.resident_bytes(process.pid) / 2**20)
        tell(f"{number} of {plan.starts}: {seconds[-1]:.2f} s, {megabytes[-1]:.1f} MB")
    return {"seconds": round(statistics.median(seconds), 3), "megabytes": round(statistics.median(megabytes), 1)}


def _answer_of(port: int) -> None:
    """The first one, which must be a 200."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(_HEALTH)
        status = connection.recv(64)
    if b" 200 " not in status:
        raise RuntimeError(f"/health answered {status!r}.")
