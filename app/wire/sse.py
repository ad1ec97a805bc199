"""Server-sent events: the frames that every event-stream format here is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.wire.json import dump_json

MEDIA_TYPE = "text/event-stream; charset=utf-8"
HEADERS: Mapping[str, str] = {"cache-control": "no-cache", "x-accel-buffering": "no"}
KEEP_ALIVE = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"


def frame(value: Any) -> bytes:
    """One event with one JSON document. JSON has no raw line ends, so one `data:` line is enough."""
    return b"data: " + dump_json(value) + b"\n\n"
