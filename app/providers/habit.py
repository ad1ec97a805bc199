"""What the events of an answer have in common: a service repeats the same JSON around each piece of a text.

Two events that were the same but for one plain text, and brought just that text, show the place. Where the next event
differs from them in that place alone, it can bring nothing else, and need not be decoded. Any event that differs in
another way is read as it always was.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.core.events import ModelEvent, TextDelta

_NEVER = b"\n"
"""No event begins with it."""
_MOST_TRIES = 20
"""After so many texts without a habit there is none: some services fill their events up with random characters."""
_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*')
"""What can stand between the quotation marks of JSON."""


class Habit:
    """Of one answer."""

    __slots__ = ("_after", "_before", "_seen", "_tries", "part")

    def __init__(self) -> None:
        self.part = ""
        """The id of the text that events with the habit add to."""
        self._before = self._after = _NEVER
        self._seen: tuple[bytes, bytes, str] | None = None
        """Around the text of the last event, and what it was part of."""
        self._tries = 0

    def text(self, data: bytes) -> str | None:
        """The text that an event brings; None if it has to be read."""
        before, after = self._before, self._after
        if not data.startswith(before) or not data.endswith(after):
            return None
        try:
            text = data[len(before) : -len(after)].decode()
        except UnicodeDecodeError:
            return None
        # Only what JSON has as it is: escapes, and characters that must have one, are for its parser.
        return text if text and text.isprintable() and '"' not in text and "\\" not in text else None

    def learn(self, data: bytes, brought: Sequence[ModelEvent]) -> None:
        """Note an event that was read, and what it brought. Anything but a text may change what a text means."""
        if len(brought) != 1 or type(brought[0]) is not TextDelta:
            self._before = self._after = _NEVER
            self._seen = None
            return
        if self._tries > _MOST_TRIES or self._fits(data):
            return
        self._before = self._after = _NEVER
        self._tries += 1
        delta = brought[0]
        text = b'"%b"' % delta.delta.encode(errors="replace") if type(delta.delta) is str else b""
        seen, self._seen = self._seen, None
        if delta.delta and data.count(text) == 1 and delta.delta.isprintable() and "\\" not in delta.delta:
            before, after = data.split(text)
            self._seen = (before + b'"', b'"' + after, delta.id)
            if self._seen == seen:
                self._before, self._after, self.part = seen
                self._tries = 0

    def _fits(self, data: bytes) -> bool:
        """It has the habit, and a text that only the parser can read."""
        before, after = self._before, self._after
        inside = len(before), len(data) - len(after)
        return (
            data.startswith(before)
            and data.endswith(after)
            and inside[0] <= inside[1]
            and _STRING.fullmatch(data, *inside) is not None
        )
