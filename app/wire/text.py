"""The text protocol: just the answer's text (`TextStreamChatTransport`; `streamProtocol: "text"` in SDK 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.core.events import Abort, StreamError, StreamEvent, TextDelta


class BrokenText(Exception):
    """The answer failed or was stopped in mid-stream; this format can say so only by breaking the connection."""


class TextEncoder:
    format = "text"
    media_type = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = {}
    keep_alive = b""

    def __init__(self) -> None:
        self._failed = False

    def encode(self, events: Sequence[StreamEvent]) -> bytes:
        self._failed = self._failed or any(isinstance(event, StreamError | Abort) for event in events)
        return "".join(event.delta for event in events if isinstance(event, TextDelta)).encode("utf-8", "replace")

    def end(self) -> bytes:
        if self._failed:
            raise BrokenText
        return b""
