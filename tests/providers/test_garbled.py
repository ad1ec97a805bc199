"""However a stream is broken, what is made of it is something that a run can end well: events in order, then the end
or a ProviderError.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import ProviderError
from app.core.events import (
    CallWarning,
    MessageStart,
    ModelEvent,
    ModelFinish,
    ReasoningEnd,
    ReasoningStart,
    Status,
    StepStart,
    TextEnd,
    TextStart,
    ToolInputAvailable,
    ToolInputError,
    ToolInputStart,
)
from app.core.fold import Draft
from tests.providers.asking import Answer
from tests.providers.test_exchange_properties import NAMES, replay
from tests.upstream import chat_chunk, chat_frames, fixture

names = st.sampled_from(NAMES)
anything = st.sampled_from([None, "", "x", 0, -1, True, [], {}, [None], {"type": "text"}])


def check(answer: Answer) -> None:
    """That the events make a message, and that they end as they must."""
    draft = Draft(None)
    draft.apply(MessageStart("m", {}))
    draft.apply(StepStart())
    open_parts: set[tuple[str, str]] = set()
    for event in answer.events:
        assert not isinstance(event, ModelFinish) or event is answer.events[-1], "something after the end"
        if not isinstance(event, CallWarning | Status | ModelFinish):
            draft.apply(event)
        _keep_track(event, open_parts)
    json.dumps([part.to_wire() for part in draft.message().parts], allow_nan=False)
    if answer.error is None:
        assert answer.finish is not None
        assert open_parts == set(), "an answer that ended with open parts"
    else:
        assert isinstance(answer.error, ProviderError)
        assert answer.finish is None


def _keep_track(event: ModelEvent, open_parts: set[tuple[str, str]]) -> None:
    match event:
        case TextStart(part_id):
            open_parts.add(("text", part_id))
        case ReasoningStart(part_id):
            open_parts.add(("reasoning", part_id))
        case TextEnd(part_id):
            open_parts.discard(("text", part_id))
        case ReasoningEnd(part_id):
            open_parts.discard(("reasoning", part_id))
        case ToolInputStart(call_id):
            open_parts.add(("input", call_id))
        case ToolInputAvailable(call_id) | ToolInputError(call_id):
            open_parts.discard(("input", call_id))


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_stream_is_in_order(name):
    answer = replay(name, fixture(name))
    assert answer.error is None
    check(answer)


@given(name=names, places=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=3)), min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_bytes_that_were_changed(name, places):
    body = bytearray(b"".join(fixture(name)))
    for place, noise in places:
        start = int(place * len(body))
        body[start : start + len(noise)] = noise
    check(replay(name, [bytes(body)]))


@given(name=names, order=st.data())
@settings(max_examples=150, deadline=None)
def test_events_that_are_missing_doubled_or_in_another_order(name, order):
    frames = fixture(name)
    kept = order.draw(st.lists(st.sampled_from(range(len(frames))), min_size=1, max_size=len(frames) + 2))
    check(replay(name, [frames[index] for index in (sorted(kept) if order.draw(st.booleans()) else kept)]))


@given(name=names, data=st.data())
@settings(max_examples=300, deadline=None)
def test_values_that_are_not_what_they_should_be(name, data):
    frames = fixture(name)
    index = data.draw(st.integers(0, len(frames) - 1))
    head, mark, body = frames[index].rpartition(b"data: ")
    if body.strip() != b"[DONE]":
        event = json.loads(body)
        path = data.draw(st.sampled_from(list(_paths(event))))
        _put(event, path, data.draw(anything))
        frames[index] = head + mark + json.dumps(event).encode() + b"\n\n"
    check(replay(name, frames))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_none_reaches_nobody(number):
    """No browser can read it: it would end the chat there."""
    call = {"index": 0, "id": "call_1", "function": {"name": "add", "arguments": f'{{"a": {number}}}'}}
    answer = replay("openai_chat/x", chat_frames([chat_chunk({"tool_calls": [call]}), chat_chunk({}, "tool_calls")]))
    check(answer)
    assert any(isinstance(event, ToolInputError) for event in answer.events)


@given(
    name=names, words=st.sampled_from(["\n\n", "data: {\n\n", "data: null\n\n", "data: []\n\n", "<html>", ": hi\n\n"])
)
@settings(max_examples=60, deadline=None)
def test_lines_that_are_none(name, words):
    frames = fixture(name)
    check(replay(name, [*frames[:2], words.encode(), *frames[2:]]))


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _paths(item, (*path, key))


def _put(value: Any, path: Sequence[Any], new: Any) -> None:
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = new


RECORDED = os.environ.get("PALAVER_RECORDED")
"""A folder of recorded streams, for whoever has one: they are cut and changed like ours."""


def test_whole_streams_however_they_are_cut():
    ours = [(name, b"".join(fixture(name))) for name in NAMES]
    streams = [*ours, *(_recorded(Path(RECORDED)) if RECORDED else ())]

    @given(stream=st.sampled_from(streams), cut=st.floats(0, 1), garbled=st.booleans(), data=st.data())
    @settings(max_examples=1000 if RECORDED else 100, deadline=None)
    def holds(stream: tuple[str, bytes], cut: float, garbled: bool, data: st.DataObject) -> None:
        name, body = stream
        kept = body[: int(cut * len(body))]
        if garbled:
            place = data.draw(st.integers(0, len(kept)))
            kept = kept[:place] + data.draw(st.binary(min_size=1, max_size=3)) + kept[place + 1 :]
        answer = replay(name, [kept])
        check(answer)
        if answer.finish is not None and not garbled:
            assert answer.events[:-1] == replay(name, [body]).events[:-1]

    holds()


_FOLDERS = {"anthropic": "anthropic", "responses": "openai_responses", "google": "google"}


def _recorded(folder: Path) -> list[tuple[str, bytes]]:
    """The streams' formats and bytes."""
    folder /= "fixtures"
    streams = []
    for entry in json.loads((folder / "index.json").read_text())["fixtures"].values():
        lines = (folder / entry["stream"]).read_bytes().split(b"\n")
        body = b"".join(b"data: %b\n\n" % line for line in lines if line)
        streams.append((f"{_FOLDERS.get(entry['wire'], 'chat')}/x", body))
    return streams
