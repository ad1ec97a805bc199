"""Leaving is not stopping, unless the turn or the block says that it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.durability.answers import steps_of
from tests.durability.client import Chat, rows, user, wait_until
from tests.upstream import Gate, Upstream

QUESTION = user("question", "Tell me a story")


@pytest.fixture(params=["the turn", "the block"])
def options(request: pytest.FixtureRequest, chat: Chat) -> dict[str, object]:
    """Leaving is stopping; where that stands."""
    if request.param == "the turn":
        return {"options": {"onDisconnect": "cancel"}}
    assert chat.request("PATCH", f"/api/ai/blocks/{chat.block}", {"ai:ondisconnect": "cancel"}).json()["metadata"]
    return {}


def test_who_leaves_before_the_first_word_ends_the_call(
    chat: Chat, upstream: Upstream, options: dict[str, object]
) -> None:
    upstream.reply(["hold"])
    already = len(upstream.requests)
    stream = chat.ask(QUESTION, **options)
    asked = upstream.wait_for_requests(already + 1)[-1]
    stream.close()
    asked.gone.wait()
    wait_until(lambda: not chat.running())
    assert chat.said() == [("user", "Tell me a story")]


def test_who_leaves_in_mid_answer_ends_the_call_and_keeps_what_was_said(
    chat: Chat, folder: Path, upstream: Upstream, options: dict[str, object], measured: Callable[[str], None]
) -> None:
    upstream.reply(steps_of(["Once upon"], ends=False))
    stream = chat.ask(QUESTION, **options).read_text(9)
    begun = time.monotonic()
    stream.close()
    upstream.requests[-1].gone.wait()
    measured(f"left: the model's connection closed after {(time.monotonic() - begun) * 1000:.0f} ms")
    wait_until(lambda: [status for _, _, status, _ in rows(folder, chat.block)] == ["complete", "stopped"])
    assert chat.said()[-1] == ("assistant", "Once upon")


def test_only_the_last_one_who_leaves_ends_the_call(chat: Chat, upstream: Upstream, options: dict[str, object]) -> None:
    gate = Gate()
    upstream.reply(steps_of(["Once upon", gate, " a time"], ends=False))
    first = chat.ask(QUESTION, **options).read_text(9)
    second = chat.resume().read_text(9)
    first.close()
    gate.open()
    second.read_text(16)
    assert not upstream.requests[-1].gone.is_open()
    second.close()
    upstream.requests[-1].gone.wait()


@pytest.mark.parametrize("protocol", ["ui", "data", "text", "wave"])
def test_it_holds_in_every_format(chat: Chat, upstream: Upstream, protocol: str) -> None:
    upstream.reply(steps_of(["Once upon"], ends=False))
    body = {"messages": [QUESTION], "options": {"onDisconnect": "cancel"}}
    stream = chat.request("POST", f"{chat.chat}?protocol={protocol}", body)
    assert stream.status == 200
    stream.close()
    upstream.requests[-1].gone.wait()


def test_otherwise_the_answer_goes_on_and_is_kept(chat: Chat, upstream: Upstream) -> None:
    gate = Gate()
    upstream.reply(steps_of(["Once upon", gate, " a time"]))
    chat.ask(QUESTION).read_text(9).close()
    gate.open()
    wait_until(lambda: not chat.running())
    assert chat.said()[-1] == ("assistant", "Once upon a time")


def test_who_leaves_before_the_first_word_finds_the_answer_later(chat: Chat, upstream: Upstream) -> None:
    gate = Gate()
    upstream.reply(steps_of([gate, "Once upon a time"]))
    already = len(upstream.requests)
    stream = chat.ask(QUESTION)
    upstream.wait_for_requests(already + 1)
    stream.close()
    gate.open()
    wait_until(lambda: not chat.running())
    assert chat.said()[-1] == ("assistant", "Once upon a time")
