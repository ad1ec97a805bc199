"""What a log line looks like, and what never stands in one.

    2026-11-21T15:49:00.123Z INFO app.chat.run turn finished block_id=b1 preset=claude seconds=1.2

One record, one line: a constant sentence, then the facts as fields. A traceback follows on lines of its own, indented,
so that nothing in it can pass for a record.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TextIO

_SHORTEST_SECRET = 6
"""Anything shorter would black out ordinary words; nobody's key is that short."""

_PATTERNS = (
    r"sk-[\w-]{8,}",
    r"(?P<name>bearer\s+|x-api-key['\"]?\s*[:=,]\s*b?['\"]?)[^\s'\",;)}\]]+",
)

_SERVER_LOGGERS = ("uvicorn", "uvicorn.error")

# Attributes of every record, and one that uvicorn adds for its own formatter: none of them is a field.
_NO_FIELDS = frozenset({*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName", "color_message"})

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
_CONTROL |= {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t", 0x2028: "\\u2028", 0x2029: "\\u2029"}
_PLAIN_VALUE = re.compile(r"[^\s\"=]+")


def configure_logging(level: str, secrets: Iterable[str], stream: TextIO | None = None) -> None:
    """Send everything to one handler on `stream` (stderr), without `secrets`.

    Only our own records follow `level` (`DEBUG`, `INFO`, …). Libraries stay at WARNING: below that,
    sse_starlette, the SDKs, their HTTP client and the database driver log what people write.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(LineFormatter(secrets))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("app").setLevel(level.upper())
    for name in _SERVER_LOGGERS:  # uvicorn may have given them handlers and a level of its own
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)
    logging.getLogger("uvicorn.access").disabled = True  # a turn says more than a line per request
    logging.getLogger("mcp").setLevel(logging.CRITICAL)  # quotes what servers send; app.tools says what matters


class LineFormatter(logging.Formatter):
    """Redacts fields before they are quoted, and once more the finished text: message, arguments, traceback."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__()
        known = sorted({secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}, key=len, reverse=True)
        self._secret = re.compile("|".join([*map(re.escape, known), *_PATTERNS]), re.IGNORECASE)

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        parts = [time, record.levelname, record.name, record.getMessage().translate(_CONTROL)]
        parts += [f"{key}={self._value(value)}" for key, value in record.__dict__.items() if key not in _NO_FIELDS]
        lines = [" ".join(parts)]
        if record.exc_info:
            lines += _indented(self.formatException(record.exc_info))
        if record.stack_info:
            lines += _indented(record.stack_info)
        return self._redact("\n".join(lines))

    def _value(self, value: Any) -> str:
        if isinstance(value, float):
            return f"{value:.6g}"
        text = self._redact(str(value))
        return text if _PLAIN_VALUE.fullmatch(text) and text.isprintable() else json.dumps(text)

    def _redact(self, text: str) -> str:
        return self._secret.sub(lambda match: f"{match['name'] or ''}[redacted]", text)


def _indented(text: str) -> list[str]:
    return [f"  {line.translate(_CONTROL)}" for line in text.split("\n")]
