from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import aclosing

import pytest

from app.core.errors import (
    ProviderBroken,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
)
from app.core.events import TextDelta
from app.providers.retry import Retry
from tests.providers.asking import FORMATS, KEY, Naps, ask, ask_upstream, impatient, opened, preset, request
from tests.upstream import (
    Gate,
    Reply,
    Step,
    Upstream,
    anthropic_answer,
    anthropic_frames,
    byte_by_byte,
    chat_answer,
    chat_frames,
    html_reply,
    json_reply,
    one_write,
    with_crlf,
)

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("format_", FORMATS)]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


def answer(format_: str, *texts: str, finish: bool = True) -> list[bytes]:
    if format_ == "anthropic":
        return anthropic_answer(*texts, finish="end_turn" if finish else None)
    return chat_answer(*texts, finish="stop" if finish else None)


def in_band_error(format_: str, kind: str) -> bytes:
    error = {"error": {"type": kind, "message": "something, and https://internal.example/ too"}}
    return anthropic_frames([{"type": "error", **error}])[0] if format_ == "anthropic" else chat_frames([error])[0]


async def test_an_answer_comes_as_text_with_usage_and_finish(format_: str, upstream: Upstream) -> None:
    upstream.reply(answer(format_, "Hel", "lo", " 🎈\u2028!"))
    got = await ask_upstream(format_, upstream)
    assert (got.text, got.error) == ("Hello 🎈\u2028!", None)
    assert got.finish is not None
    assert (got.finish.reason, got.finish.usage.input_tokens, got.finish.usage.output_tokens) == ("stop", 9, 12)
    assert got.events[-1] is got.finish


@pytest.mark.parametrize("cut", [one_write, byte_by_byte, with_crlf, lambda steps: byte_by_byte(with_crlf(steps))])
async def test_how_the_network_cuts_an_answer_does_not_matter(format_: str, upstream: Upstream, cut) -> None:
    upstream.reply(cut(answer(format_, "Grüße", " 🎈", " und Ende")))
    got = await ask_upstream(format_, upstream)
    assert (got.text, got.error) == ("Grüße 🎈 und Ende", None)


async def test_words_arrive_while_the_service_is_still_speaking(format_: str, upstream: Upstream) -> None:
    gate = Gate()
    start = answer(format_, "first", finish=False)
    upstream.reply([*start, gate, *answer(format_, "first", " second")[len(start) :]])
    seen = ""
    async with opened() as registry, aclosing(registry.open(preset(format_, upstream)).stream(request())) as batches:
        async for batch in batches:
            seen += "".join(event.delta for event in batch if isinstance(event, TextDelta))
            if seen == "first":
                gate.open()  # without this the rest never comes
    assert seen == "first second"


async def test_closing_the_stream_closes_the_connection(format_: str, upstream: Upstream) -> None:
    upstream.reply([*answer(format_, "first", finish=False), "hold"])
    async with opened() as registry:
        async with aclosing(registry.open(preset(format_, upstream)).stream(request())) as batches:
            await anext(batches)
        await upstream.requests[0].gone.opened()


async def test_cancelling_before_the_first_byte_closes_the_connection(format_: str, upstream: Upstream) -> None:
    upstream.reply(["hold"])
    async with opened() as registry:
        task = asyncio.create_task(ask(registry.open(preset(format_, upstream))))
        await upstream.arrived(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await upstream.requests[0].gone.opened()


async def test_the_next_turn_uses_the_same_connection_pool(format_: str, upstream: Upstream) -> None:
    async with opened() as registry:
        provider = registry.open(preset(format_, upstream))
        first, second = await ask(provider), await ask(provider)
    assert (first.text, second.text) == ("Hello from upstream.", "Hello from upstream.")
    assert len(upstream.requests) == 2


FAULTS: dict[str, Sequence[Step]] = {
    "a clean end": (),
    "a cut": ("cut",),
    "a reset": ("reset",),
    "broken JSON": (b'data: {"type": "content_block_delta", "delta": \n\n', "hold"),
    "invalid UTF-8": (b'data: {"type": "\xff\xfe", "choices": []}\n\n', "hold"),
    "null": (b"data: null\n\n", "hold"),
    "another format": (b'data: {"type": "content_block_stop", "index": 77, "choices": 5}\n\n', "hold"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_torn_answer_is_shown_and_then_an_error_and_never_asked_again(
    format_: str, upstream: Upstream, fault: str
) -> None:
    upstream.reply([*answer(format_, "shown", finish=False), *FAULTS[fault]])
    got = await ask_upstream(format_, upstream)
    assert got.text == "shown"
    assert isinstance(got.error, ProviderBroken)
    assert got.finish is None
    assert len(upstream.requests) == 1


async def test_a_body_that_ends_with_its_connection_is_complete_only_with_the_end_mark(
    format_: str, upstream: Upstream
) -> None:
    upstream.reply(
        Reply(answer(format_, "whole"), framing="eof"), Reply(answer(format_, "half", finish=False), framing="eof")
    )
    whole, half = await ask_upstream(format_, upstream), await ask_upstream(format_, upstream)
    assert (whole.text, whole.error) == ("whole", None)
    assert half.text == "half"
    assert half.error is not None
    assert "stopped before its end" in half.error.message


async def test_what_came_in_the_same_read_as_the_fault_is_still_shown(format_: str, upstream: Upstream) -> None:
    upstream.reply(one_write([*answer(format_, "shown", finish=False), b"data: {broken\n\n"]))
    got = await ask_upstream(format_, upstream)
    assert (got.text, type(got.error)) == ("shown", ProviderBroken)


async def test_an_answer_is_whole_although_the_connection_stays_open(format_: str, upstream: Upstream) -> None:
    upstream.reply([*answer(format_, "whole"), "hold"])
    got = await ask_upstream(format_, upstream)
    assert (got.text, got.error) == ("whole", None)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("overloaded_error", ProviderUnavailable),
        ("server_error", ProviderUnavailable),
        ("rate_limit_error", ProviderRateLimited),
        ("authentication_error", ProviderRejected),
        ("not_found_error", ProviderRejected),
        ("invalid_request_error", ProviderRejected),
        ("timeout_error", ProviderTimeout),
        ("whatever", ProviderError),
    ],
)
async def test_an_error_inside_the_answer_is_an_error(
    format_: str, upstream: Upstream, kind: str, error: type[ProviderError]
) -> None:
    upstream.reply([*answer(format_, "shown", finish=False), in_band_error(format_, kind), "hold"])
    got = await ask_upstream(format_, upstream)
    assert got.text == "shown"
    assert type(got.error) is error
    assert "internal.example" not in got.error.message


async def test_an_overload_reported_before_the_first_word_is_tried_again(format_: str, upstream: Upstream) -> None:
    upstream.reply([in_band_error(format_, "overloaded_error")], answer(format_, "second try"))
    got = await ask_upstream(format_, upstream)
    assert (got.text, got.error) == ("second try", None)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
async def test_trouble_before_the_first_word_is_tried_again(format_: str, upstream: Upstream, status: int) -> None:
    upstream.reply(json_reply(status, {}, {"retry-after": "1"}), answer(format_, "second try"))
    naps = Naps()
    got = await ask_upstream(format_, upstream, retry=Retry(sleep=naps.sleep))
    assert (got.text, got.error) == ("second try", None)
    assert naps.taken == [1.0]


async def test_a_permanent_trouble_ends_after_three_attempts(format_: str, upstream: Upstream) -> None:
    upstream.reply(*[json_reply(503, {})] * 5)
    naps = Naps()
    got = await ask_upstream(format_, upstream, retry=Retry(sleep=naps.sleep))
    assert isinstance(got.error, ProviderUnavailable)
    assert len(upstream.requests) == 3
    assert len(naps.taken) == 2


async def test_a_long_retry_after_is_told_and_not_slept(format_: str, upstream: Upstream) -> None:
    upstream.reply(json_reply(429, {}, {"retry-after": "3600"}))
    naps = Naps()
    got = await ask_upstream(format_, upstream, retry=Retry(sleep=naps.sleep))
    assert isinstance(got.error, ProviderRateLimited)
    assert got.error.retry_after == 3600
    assert (naps.taken, len(upstream.requests)) == ([], 1)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
async def test_a_refusal_is_not_tried_again(format_: str, upstream: Upstream, status: int) -> None:
    upstream.reply(json_reply(status, {"error": {"message": "no"}}))
    got = await ask_upstream(format_, upstream)
    assert isinstance(got.error, ProviderRejected)
    assert len(upstream.requests) == 1


async def test_a_connection_lost_before_the_first_word_is_tried_again(format_: str, upstream: Upstream) -> None:
    upstream.reply(["reset"], ["cut"], answer(format_, "third try"))
    got = await ask_upstream(format_, upstream)
    assert (got.text, got.error) == ("third try", None)


async def test_a_service_that_is_not_there_is_named(format_: str, upstream: Upstream) -> None:
    with Upstream() as gone:
        address = preset(format_, gone)
    async with opened(retry=Retry(sleep=Naps().sleep)) as registry:
        got = await ask(registry.open(address))
    assert isinstance(got.error, ProviderUnavailable)
    assert f"does not answer at 127.0.0.1:{gone.port}" in got.error.message


async def test_a_proxys_error_page_is_trouble_and_not_shown(format_: str, upstream: Upstream) -> None:
    upstream.reply(*[html_reply(502)] * 3)
    got = await ask_upstream(format_, upstream)
    assert isinstance(got.error, ProviderUnavailable)
    assert "status 502" in got.error.message
    assert "log in" not in got.error.message


async def test_a_quota_that_is_used_up_is_not_tried_again(format_: str, upstream: Upstream) -> None:
    upstream.reply(json_reply(429, {"error": {"type": "insufficient_quota", "message": "You exceeded your quota"}}))
    got = await ask_upstream(format_, upstream)
    assert isinstance(got.error, ProviderRejected)
    assert "credit" in got.error.message


async def test_a_redirect_is_not_followed(format_: str, upstream: Upstream) -> None:
    with Upstream() as elsewhere:
        upstream.reply(Reply([], 307, {"location": elsewhere.base_url + "/chat/completions"}))
        got = await ask_upstream(format_, upstream)
        assert isinstance(got.error, ProviderRejected)
        assert "redirects" in got.error.message
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    "reply",
    [
        html_reply(),
        Reply([]),
        json_reply(200, {"hello": "world"}),
        json_reply(200, "nonsense"),
        Reply([b"not json at all"], 200, {"content-type": "application/json"}),
        Reply([b"nothing that looks like an event\n\n"]),
    ],
    ids=["html", "empty", "json", "json text", "no json", "text"],
)
async def test_a_200_that_is_no_answer_is_an_error(format_: str, upstream: Upstream, reply: Reply) -> None:
    upstream.reply(reply)
    got = await ask_upstream(format_, upstream)
    assert (got.events, type(got.error)) == ([], ProviderBroken)


async def test_a_json_error_with_status_200_is_understood(format_: str, upstream: Upstream) -> None:
    upstream.reply(json_reply(200, {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}))
    got = await ask_upstream(format_, upstream, retry=Retry(attempts=1))
    assert isinstance(got.error, ProviderRateLimited)


async def test_compression_is_not_asked_for_and_not_taken(format_: str, upstream: Upstream) -> None:
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    upstream.reply(Reply([b"\x1f\x8b"], 200, headers))
    got = await ask_upstream(format_, upstream)
    assert isinstance(got.error, ProviderBroken)
    assert upstream.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("line", [b"data: ", b": ", b""], ids=["event", "comment", "nothing"])
async def test_an_event_without_end_is_cut_off(format_: str, upstream: Upstream, line: bytes) -> None:
    upstream.reply([line, *[b"x" * 1_000_000] * 6, "hold"])
    got = await ask_upstream(format_, upstream)
    assert isinstance(got.error, ProviderBroken)


async def test_an_error_without_end_is_cut_off(format_: str, upstream: Upstream) -> None:
    upstream.reply(Reply([*[b"x" * 500_000] * 4, "hold"], 400))
    got = await ask_upstream(format_, upstream)
    assert isinstance(got.error, ProviderBroken)


@pytest.mark.parametrize("steps", [["hold"], [b": still here\n\n", "hold"]], ids=["silent", "comments only"])
async def test_a_service_that_never_begins_is_given_up(format_: str, upstream: Upstream, steps: list[Step]) -> None:
    upstream.reply(steps)
    got = await ask_upstream(format_, upstream, timeouts=impatient(first_event=0.05))
    assert isinstance(got.error, ProviderTimeout)
    assert "first word" in got.error.message
    assert len(upstream.requests) == 1


async def test_a_service_that_stalls_is_given_up(format_: str, upstream: Upstream) -> None:
    upstream.reply([*answer(format_, "shown", finish=False), "hold"])
    got = await ask_upstream(format_, upstream, timeouts=impatient(between_events=0.05))
    assert got.text == "shown"
    assert isinstance(got.error, ProviderTimeout)
    assert "next word" in got.error.message


async def test_the_whole_answer_has_a_limit_too(format_: str, upstream: Upstream) -> None:
    upstream.reply([*answer(format_, "shown", finish=False), "hold"])
    got = await ask_upstream(format_, upstream, timeouts=impatient(total=0.2))
    assert isinstance(got.error, ProviderTimeout)
    assert "whole answer" in got.error.message


@pytest.mark.parametrize("status", [400, 401, 403, 500])
async def test_a_quoted_key_is_neither_shown_nor_logged(
    format_: str, upstream: Upstream, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "app.providers")
    message = f"Bad key {KEY}, see https://api.example.com/{KEY}?x=1; also sk-te********cdef. Use a smaller max_tokens."
    upstream.reply(*[json_reply(status, {"error": {"type": "invalid_request_error", "message": message}})] * 3)
    got = await ask_upstream(format_, upstream)
    assert got.error is not None
    logged = " ".join(str(vars(record)) for record in caplog.records if record.name.startswith("app.providers"))
    for secret in (KEY, "api.example.com", "cdef"):
        assert secret not in got.error.message
        assert secret not in logged
    assert ("smaller max_tokens" in got.error.message) == (status == 400)


async def test_half_an_emoji_in_each_of_two_events_is_one_emoji(format_: str, upstream: Upstream) -> None:
    steps = answer(format_, "a SPLIT", "HERE b", "SPLIT", "HERE")
    halves = [step.replace(b"SPLIT", rb"\ud83c").replace(b"HERE", rb"\udf88") for step in steps]
    upstream.reply(halves)
    got = await ask_upstream(format_, upstream)
    assert (got.text, got.error) == ("a 🎈 b🎈", None)
    assert all(got.batches)


async def test_half_an_emoji_that_stays_alone_becomes_a_replacement(format_: str, upstream: Upstream) -> None:
    steps = answer(format_, "a SPLIT", " b SPLIT")
    upstream.reply([step.replace(b"SPLIT", rb"\ud83c") for step in steps])
    got = await ask_upstream(format_, upstream)
    assert (got.text, got.error) == ("a \ufffd b \ufffd", None)
