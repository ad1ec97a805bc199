"""Server-sent events as model services send them: bytes in, the data of events out, nothing lost between two reads.

Format: the WHATWG HTML standard, "Server-sent events". Lines end with CRLF, LF or CR and with nothing else: JSON may
hold U+2028 and its kin as they are, so `splitlines()` would cut an answer in two.
"""

from __future__ import annotations

MAX_EVENT_BYTES = 4_000_000

_BOM = b"\xef\xbb\xbf"
_DATA = b"data: "
_DATA_SIZE = len(_DATA)


class EventTooLongError(ValueError):
    """A service sent more than MAX_EVENT_BYTES without ending the event."""


class Splitter:
    """Cuts a stream of bytes into events, wherever the network cut it into reads."""

    __slots__ = ("_at_start", "_pieces", "_size", "_skip_lf")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        """The event that has not ended yet, and its size: joined once, not once per read."""
        self._size = 0
        self._at_start = True
        self._skip_lf = False
        """The last read ended with a CR: an LF that follows belongs to it."""

    def feed(self, data: bytes) -> list[bytes]:
        """The data of the events that `data` completes.

        Raises:
            EventTooLongError: the service does not end its event; memory is not endless.
        """
        if self._skip_lf or b"\r" in data:
            data = self._with_lf(data)
        if self._pieces:
            if b"\n\n" not in self._pieces[-1][-1:] + data:
                self._keep(data)
                return []
            data = b"".join((*self._pieces, data))
            self._pieces.clear()
            self._size = 0
        *blocks, rest = data.split(b"\n\n")
        if rest:
            self._keep(rest)
        if blocks and self._at_start:
            self._at_start = False
            blocks[0] = blocks[0].removeprefix(_BOM)
        events = []
        for block in blocks:
            # Nearly all are a line of data and nothing else: no call for those.
            event = block[_DATA_SIZE:] if block.startswith(_DATA) and b"\n" not in block else _data(block)
            if event is not None:
                events.append(event)
        return events

    def flush(self) -> list[bytes]:
        """What stands at the end of the body without the blank line that should follow it."""
        return self.feed(b"\n\n")

    def _keep(self, data: bytes) -> None:
        if data:
            self._pieces.append(data)
            self._size += len(data)
            if self._size > MAX_EVENT_BYTES:
                raise EventTooLongError

    def _with_lf(self, data: bytes) -> bytes:
        if self._skip_lf and data:
            data = data.removeprefix(b"\n")
            self._skip_lf = False
        if data.endswith(b"\r"):
            self._skip_lf = True
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _data(block: bytes) -> bytes | None:
    """The data of one event. Its name says nothing that the data does not."""
    name, mark, data = block.partition(b"data: ")
    if mark and b"\n" not in data and (not name or (name.startswith(b"event: ") and name.find(b"\n") == len(name) - 1)):
        return data  # as nearly all look
    lines: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            lines.append(value.removeprefix(b" "))
    return b"\n".join(lines) if lines else None
