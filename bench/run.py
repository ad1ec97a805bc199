"""What Palaver costs on this machine: `make bench`.

Start to the first 200, memory at rest, and CPU per streamed delta with everything on (run log, saving, guard). CPU
comes from the process's own accounting; wall-clock figures of a shared machine are noise, so each is a median.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

STREAMS = 50
DELTAS = 200
PER_SECOND = 40
ROUNDS = 3
STARTS = 5
TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def process(*arguments: str, environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    running = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    try:
        yield running
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(15)


def first_line_with(text: str, output: IO[str] | None) -> str:
    assert output is not None
    return next(line.strip() for line in output if text in line)


@contextmanager
def palaver(folder: Path, upstream: str) -> Iterator[tuple[subprocess.Popen[str], int, float]]:
    """The server, its port, and the seconds from its start to the first answer of /health."""
    config = folder / "palaver.toml"
    config.write_text(f'[presets.default]\nprovider = "openai-chat"\nbase_url = "{upstream}"\nmodel = "none"\n')
    begun = time.monotonic()
    with process("-m", "app", "serve", "--port", "0", "--config", str(config), "--data", str(folder)) as running:
        port = int(first_line_with("http://", running.stdout).rpartition(":")[2])
        status = asyncio.run(request(port, b"GET /health HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n\r\n" % port, until=b"}"))
        assert b" 200 " in status[:20]
        yield running, port, time.monotonic() - begun


async def request(port: int, data: bytes, *, until: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    received = b""
    while until not in received[-4096:]:
        read = await reader.read(65536)
        if not read:
            break
        received += read
    writer.close()
    return received


async def stream(port: int, number: int) -> None:
    """One answer, read to its end."""
    body = {
        "messages": [{"id": f"u{number}", "role": "user", "parts": [{"type": "text", "text": "go"}]}],
        "options": {"model": f"paced-{DELTAS}-{PER_SECOND}"},
    }
    raw = json.dumps(body).encode()
    head = (
        f"POST /api/ai/chat/bench-{number} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n"
    )
    answer = await request(port, head.encode() + raw, until=b"data: [DONE]")
    assert answer.count(b'"text-delta"') == DELTAS, answer[-500:]


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024


async def streams(port: int, first: int, count: int) -> None:
    await asyncio.gather(*(stream(port, first + number) for number in range(count)))


def measure(folder: Path, upstream: str) -> dict[str, Any]:
    starts = []
    for _ in range(STARTS):
        with palaver(folder, upstream) as (_, _, seconds):
            starts.append(seconds)
    with palaver(folder, upstream) as (running, port, _):
        idle = resident_mb(running.pid)
        asyncio.run(streams(port, 0, 1))  # imports the SDK
        costs = []
        for round_number in range(ROUNDS):
            print(
                f"  round {round_number + 1} of {ROUNDS}: {STREAMS} streams, {PER_SECOND} deltas a second", flush=True
            )
            before = cpu_seconds(running.pid)
            asyncio.run(streams(port, 1000 * (round_number + 1), STREAMS))
            costs.append((cpu_seconds(running.pid) - before) / (STREAMS * DELTAS) * 1e6)
        return {
            "start to the first 200 on /health, s": round(statistics.median(starts), 2),
            "memory at rest, MB": round(idle, 1),
            "memory after the streams, MB": round(resident_mb(running.pid), 1),
            "CPU per delta, µs": round(statistics.median(costs), 1),
        }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, process("-m", "bench.upstream") as upstream:
        figures = measure(Path(folder), first_line_with("http://", upstream.stdout))
    width = max(map(len, figures))
    for name, figure in figures.items():
        print(f"{name:<{width}}  {figure:>8}")


if __name__ == "__main__":
    main()
