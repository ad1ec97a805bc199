from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, aclosing, contextmanager

import pytest

from app.core.errors import (
    AppError,
    PresetRefused,
    ProviderBroken,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
)
from app.core.events import ModelEvent, Status, TextDelta
from app.core.model import Preset
from app.providers.retry import Retry
from tests.providers.asking import (
    FORMATS,
    KEY,
    Answer,
    Naps,
    ask,
    ask_upstream,
    impatient,
    no_sleep,
    opened,
    preset,
    request,
)
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
    responses_answer,
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
    if format_ == "openai-responses":
        return responses_answer(*texts, finish="completed" if finish else None)
    return chat_answer(*texts, finish="stop" if finish else None)


def in_band_error(format_: str, kind: str) -> bytes:
    error = {"error": {"type": kind, "message": "something, and https://internal.example/ too"}}
    return chat_frames([error])[0] if format_ == "openai-chat" else anthropic_frames([{"type": "error", **error}])[0]


def error_of(got: Answer) -> AppError:
    assert got.error is not None
    return got.error


@contextmanager
def full_house() -> Iterator[int]:
    """A port where connections are neither taken nor refused: its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, ExitStack() as stack:
        port = server.getsockname()[1]
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield port


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
    "another format": (b'data: {"object": "something.else", "choices": 5}\n\n', "hold"),
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
        ("authentication_error", PresetRefused),
        ("not_found_error", PresetRefused),
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


async def test_a_long_wait_is_announced_before_it_begins(format_: str, upstream: Upstream) -> None:
    upstream.reply(json_reply(429, {}, {"retry-after": "3"}), answer(format_, "second try"))
    seen: list[list[ModelEvent]] = []
    seen_when_asleep: list[int] = []

    async def sleep(seconds: float) -> None:
        seen_when_asleep.append(len(seen))

    async with opened(retry=Retry(sleep=sleep)) as registry:
        provider = registry.open(preset(format_, upstream))
        async with aclosing(provider.stream(request())) as batches:
            async for batch in batches:
                seen.append(list(batch))
    [status] = seen[0]
    assert isinstance(status, Status)
    assert (status.code, status.seconds) == ("retrying", 3)
    assert status.text.endswith("is busy; trying again in 3 seconds.")
    assert seen_when_asleep == [1]
    assert not any(isinstance(event, Status) for batch in seen[1:] for event in batch)


@pytest.mark.parametrize("headers", [{}, {"retry-after": "0.5"}, {"retry-after-ms": "30"}])
async def test_a_short_wait_is_silent(format_: str, upstream: Upstream, headers: dict[str, str]) -> None:
    upstream.reply(json_reply(503, {}, headers), answer(format_, "second try"))
    got = await ask_upstream(format_, upstream)
    assert got.text == "second try"
    assert not any(isinstance(event, Status) for event in got.events)


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


async def test_a_service_that_fails_again_and_again_is_left_alone(format_: str, upstream: Upstream) -> None:
    down = json_reply(503, {})
    async with opened(retry=Retry(attempts=1)) as registry:
        mine, other = (registry.open(preset(format_, upstream, name=name)) for name in ("mine", "other"))
        upstream.reply(*[down] * 8)
        for _ in range(4):
            assert "status 503" in error_of(await ask(mine)).message
            assert "status 503" in error_of(await ask(other)).message
        refused = error_of(await ask(mine))
    assert len(upstream.requests) == 8
    assert type(refused) is ProviderUnavailable
    assert refused.retry_after is not None
    assert 0 < refused.retry_after <= 15
    assert "preset 'mine'" in refused.message
    assert "seconds" in refused.message


async def test_another_key_at_the_same_address_is_not_left_alone(format_: str, upstream: Upstream) -> None:
    upstream.reply(*[json_reply(503, {})] * 8)
    async with opened(retry=Retry(attempts=1)) as registry:
        for _ in range(8):
            await ask(registry.open(preset(format_, upstream)))
        got = await ask(registry.open(preset(format_, upstream, api_key="another")))
    assert got.text == "Hello from upstream."


@pytest.mark.parametrize("status", [400, 401, 404, 409, 429])
async def test_a_service_that_refuses_is_not_down(format_: str, upstream: Upstream, status: int) -> None:
    upstream.reply(*[json_reply(status, {"error": {"message": "no"}})] * 9)
    async with opened(retry=Retry(attempts=1)) as registry:
        provider = registry.open(preset(format_, upstream))
        for _ in range(9):
            assert (await ask(provider)).error is not None
        assert (await ask(provider)).text == "Hello from upstream."


@pytest.mark.parametrize(
    ("reply", "check"),
    [
        (json_reply(401, {"error": {"message": "Incorrect API key provided"}}), "_API_KEY"),
        (json_reply(400, {"error": {"message": "API key not valid. Please pass a valid API key."}}), "_API_KEY"),
        (json_reply(403, {"error": {"message": "no"}}), "rights of its key"),
        (json_reply(404, {"error": {"message": "The model `tiny` does not exist"}}), "Check the model"),
        (json_reply(404, {"error": {"message": "Not found"}}), "base_url"),
        (html_reply(404), "base_url"),
        (html_reply(405), "base_url"),
        (html_reply(200), "base_url"),
        (Reply([], 302, {"location": "https://example.com"}), "base_url"),
        (json_reply(402, {"error": {"message": "pay"}}), "billing"),
        (json_reply(400, {"error": {"message": "max_tokens is too large"}}), "max_tokens is too large"),
        (Reply([], 422), "Check the model and the options"),
        (json_reply(429, {}, {"retry-after": "90"}), "in 90 seconds"),
    ],
)
async def test_a_failure_names_the_preset_and_what_to_check(
    format_: str, upstream: Upstream, reply: Reply, check: str
) -> None:
    upstream.reply(reply)
    failure = error_of(await ask_upstream(format_, upstream))
    assert "preset 'mine'" in failure.message
    assert check in failure.message


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
    upstream.reply([line + b"x", *[b"x" * 1_000_000] * 6, "hold"])
    got = await ask_upstream(format_, upstream)
    assert isinstance(got.error, ProviderBroken)


async def test_an_error_without_end_is_cut_off(format_: str, upstream: Upstream) -> None:
    upstream.reply(Reply([*[b"x" * 500_000] * 4, "hold"], 400))
    got = await ask_upstream(format_, upstream)
    assert isinstance(got.error, ProviderBroken)


@pytest.mark.parametrize("steps", [["hold"], [b": still here\n\n", "hold"]], ids=["silent", "comments only"])
async def test_a_service_that_never_begins_is_given_up(format_: str, upstream: Upstream, steps: list[Step]) -> None:
    upstream.reply(steps)
    got = await ask_upstream(format_, upstream, timeouts=impatient(first_event=0.3))
    assert isinstance(got.error, ProviderTimeout)
    assert "first word" in got.error.message
    assert len(upstream.requests) == 1


async def test_a_service_that_stalls_is_given_up(format_: str, upstream: Upstream) -> None:
    upstream.reply([*answer(format_, "shown", finish=False), "hold"])
    got = await ask_upstream(format_, upstream, timeouts=impatient(between_events=0.3))
    assert got.text == "shown"
    assert isinstance(got.error, ProviderTimeout)
    assert "next word" in got.error.message


async def test_the_whole_answer_has_a_limit_before_it_begins(format_: str, upstream: Upstream) -> None:
    upstream.reply(["hold"])
    failure = error_of(await ask_upstream(format_, upstream, timeouts=impatient(total=0.05)))
    assert isinstance(failure, ProviderTimeout)
    assert "whole answer" in failure.message


async def test_a_host_that_does_not_take_connections_is_given_up(format_: str) -> None:
    with full_house() as port:
        address = Preset("mine", format_, base_url=f"http://127.0.0.1:{port}", timeouts=impatient(connect=0.05))
        async with opened(retry=Retry(attempts=2, sleep=no_sleep)) as registry:
            failure = error_of(await ask(registry.open(address)))
    assert isinstance(failure, ProviderUnavailable)
    assert f"does not answer at 127.0.0.1:{port}" in failure.message


async def test_closing_the_stream_while_it_waits_for_another_attempt_ends_it(format_: str, upstream: Upstream) -> None:
    upstream.reply(json_reply(429, {}, {"retry-after": "9"}))
    async with opened() as registry, aclosing(registry.open(preset(format_, upstream)).stream(request())) as batches:
        [status] = await anext(batches)
    assert isinstance(status, Status)
    assert len(upstream.requests) == 1


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


async def test_an_answer_that_is_broken_off_before_its_first_word_is_an_answer_that_failed(
    format_: str, upstream: Upstream
) -> None:
    """What it was told of before stays: the request was taken, so it is no refusal of the request."""
    begun = answer(format_, "never")[0]
    upstream.reply([begun, in_band_error(format_, "insufficient_quota")])
    got = await ask_upstream(format_, upstream)
    assert [event.code for event in got.events if isinstance(event, Status)] == ["failed"]
    assert isinstance(error_of(got), ProviderError)
