"""What a log line looks like, and what never stands in one."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Iterator

import pytest

from app.log import LineFormatter, configure_logging

KEY = "key-of-a-service-0123456789"


@pytest.fixture
def logs() -> Iterator[Callable[..., io.StringIO]]:
    """Configure logging into a text, and put everything back afterwards."""
    root = logging.getLogger()
    loggers = [
        root,
        *(logging.getLogger(name) for name in ("app", "uvicorn", "uvicorn.error", "uvicorn.access")),
    ]
    before = [(logger, logger.level, logger.handlers[:], logger.propagate, logger.disabled) for logger in loggers]

    def configure(level: str = "INFO", secrets: tuple[str, ...] = (KEY,)) -> io.StringIO:
        stream = io.StringIO()
        configure_logging(level, secrets, stream)
        return stream

    yield configure
    for logger, level, handlers, propagate, disabled in before:
        logger.setLevel(level)
        logger.handlers, logger.propagate, logger.disabled = handlers, propagate, disabled


def line_of(message: str, *arguments: object, secrets: tuple[str, ...] = (), **fields: object) -> str:
    record = logging.LogRecord("app.x", logging.INFO, "x.py", 1, message, arguments, None)
    record.__dict__.update(fields)
    return LineFormatter(secrets).format(record)


def test_a_record_is_one_line_with_its_facts(logs: Callable[..., io.StringIO]) -> None:
    stream = logs()
    facts = {"block_id": "b1", "seconds": 1.23456789, "title": "two words", "tokens": 12, "nothing": None}
    logging.getLogger("app.chat.run").info("turn finished", extra=facts)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO app\.chat\.run turn finished "
        r'block_id=b1 seconds=1\.23457 title="two words" tokens=12 nothing=None\n',
        stream.getvalue(),
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x0b", "\x1b[2J", "\x85", "\u2028", "\0"])
def test_nothing_that_is_logged_begins_a_line(end: str) -> None:
    forged = f"x{end}2026-01-01T00:00:00.000Z INFO app.x all is well"
    line = line_of(f"unknown %s{end}!", forged, field=forged)
    assert len(line.splitlines()) == 1
    assert line.isprintable()


def test_a_traceback_follows_indented(logs: Callable[..., io.StringIO]) -> None:
    stream = logs()
    try:
        raise ValueError("first\n2026-01-01T00:00:00.000Z INFO app.x forged")
    except ValueError:
        logging.getLogger("app.web").exception("unexpected error", extra={"request_id": "req_1"})
    first, *rest = stream.getvalue().rstrip("\n").split("\n")
    assert first.endswith(" ERROR app.web unexpected error request_id=req_1")
    assert rest[0] == "  Traceback (most recent call last):"
    assert all(line.startswith("  ") for line in rest)


@pytest.mark.parametrize(
    "text",
    [
        f"key is {KEY}",
        f"key is {KEY.upper()}",
        f"https://{KEY}@example.com/?key={KEY}&x=1",
        "Incorrect API key provided: sk-proj-AbCd_1234-5678.",
        "sk-ant-api03-abcdefgh",
        "Authorization: Bearer abc.def-ghi~jkl",
        "{'authorization': 'Bearer abcdefgh'}",
        "[(b'authorization', b'bearer abcdefgh'), (b'x-api-key', b'abcdefgh')]",
        "x-api-key: abcdefgh",
        "X-Api-Key=abcdefgh",
        "{'x-api-key': 'abcdefgh', 'host': 'x'}",
        '{"x-api-key":"abcdefgh"}',
    ],
)
def test_a_secret_is_blacked_out_wherever_it_stands(text: str) -> None:
    """GLOB-06, LEAK-04"""
    for line in (
        line_of(text, secrets=(KEY,)),
        line_of("it said %s", text, secrets=(KEY,)),
        line_of("it said", secrets=(KEY,), answer=text),
        line_of("it said", secrets=(KEY,), exc_info=(ValueError, ValueError(text), None)),
    ):
        assert "[redacted]" in line
        assert not re.search(f"{KEY}|abcdefgh|AbCd|abc.def", line, re.IGNORECASE)


def test_what_stands_around_a_secret_stays() -> None:
    line = line_of("{'x-api-key': 'abcdefgh', 'host': 'x'} Bearer abcdefgh sk-short", secrets=(KEY,))
    assert line.endswith("{'x-api-key': '[redacted]', 'host': 'x'} Bearer [redacted] sk-short")


def test_the_longest_secret_goes_first() -> None:
    assert line_of("a secret-and-more", secrets=("secret", "secret-and-more")).endswith("a [redacted]")


def test_a_secret_too_short_to_be_one_blacks_out_nothing() -> None:
    assert line_of("all is well", secrets=("", "a", "is")).endswith("all is well")


def test_a_secret_is_no_pattern() -> None:
    assert line_of("abbbbbc a.b*c+", secrets=("a.b*c+",)).endswith("abbbbbc [redacted]")


@pytest.mark.parametrize("name", ["sse_starlette.sse", "httpx2", "openai._base_client", "anthropic", "aiosqlite"])
def test_libraries_that_log_what_people_write_are_held_at_warning(logs: Callable[..., io.StringIO], name: str) -> None:
    stream = logs("DEBUG")
    logger = logging.getLogger(name)
    logger.debug("chunk: a private sentence")
    logger.info("HTTP Request")
    assert stream.getvalue() == ""
    logger.warning("it broke")
    assert f" WARNING {name} it broke\n" in stream.getvalue()


def test_the_level_is_for_our_own_records(logs: Callable[..., io.StringIO]) -> None:
    stream = logs("warning")
    logging.getLogger("app.web").info("quiet")
    logging.getLogger("app.web").warning("heard")
    assert "quiet" not in stream.getvalue()
    assert "heard" in stream.getvalue()


def test_uvicorn_speaks_through_us_and_keeps_no_access_log(logs: Callable[..., io.StringIO]) -> None:
    stream = logs()
    logging.getLogger("uvicorn.error").info("Started server process [%d]", 7)
    logging.getLogger("uvicorn.error").warning("Process [%d] is slow", 7, extra={"color_message": "\x1b[1m"})
    logging.getLogger("uvicorn.access").info("GET /c/private")
    assert stream.getvalue().endswith(" WARNING uvicorn.error Process [7] is slow\n")
    assert stream.getvalue().count("\n") == 1


def test_configuring_twice_logs_once(logs: Callable[..., io.StringIO]) -> None:
    logs()
    stream = logs()
    logging.getLogger("app").warning("once")
    assert stream.getvalue().count("once") == 1
