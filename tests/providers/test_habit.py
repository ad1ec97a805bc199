"""What is not decoded because an answer repeats itself says the same as if it had been."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.events import ModelEvent, ReasoningDelta, TextDelta
from app.providers.anthropic.answer import AnthropicAnswer
from app.providers.dialects import Dialect
from app.providers.habit import Habit
from app.providers.openai_chat.answer import OpenAIChatAnswer
from app.providers.parsing import Parser
from app.providers.reader import Answer
from app.providers.unmapped import Unmapped
from tests.providers.asking import request


def chunk(*, ascii_only: bool = True, finish: str | None = None, **delta: object) -> bytes:
    value = {"id": "c", "model": "tiny", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return json.dumps(value, ensure_ascii=ascii_only).encode()


def block(text: str) -> bytes:
    delta = {"type": "text_delta", "text": text}
    return json.dumps({"type": "content_block_delta", "index": 0, "delta": delta}, ensure_ascii=False).encode()


BLOCK_START = json.dumps(
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
).encode()


def chat() -> Answer:
    return OpenAIChatAnswer("openai", Dialect(), Unmapped())


def read(answer: Answer, frames: list[bytes], habit: Habit | None) -> tuple[list[ModelEvent], int]:
    """The events, and how many frames were not decoded."""
    parse, out, spared = Parser(), [], 0
    for data in frames:
        if habit is not None and (text := habit.text(data)) is not None:
            out.append(TextDelta(habit.part, text))
            spared += 1
            continue
        before = len(out)
        answer.read(parse(data), out)
        if habit is not None:
            habit.learn(data, out[before:])
    return out, spared


def test_from_the_third_text_on_nothing_is_decoded() -> None:
    frames = [chunk(role="assistant", content=""), *(chunk(content=f"word {n}") for n in range(10))]
    told, spared = read(chat(), frames, Habit())
    assert told == read(chat(), frames, None)[0]
    assert spared == 10 - 3, "the first begins the part, and the next two show the habit"


def test_anthropics_events_are_spared_as_well() -> None:
    frames = [BLOCK_START, *(block(f"word {n}") for n in range(10))]
    told, spared = read(AnthropicAnswer(request(), Unmapped()), frames, Habit())
    assert told == read(AnthropicAnswer(request(), Unmapped()), frames, None)[0]
    assert spared == 10 - 3


@pytest.mark.parametrize(
    "text", ['a "word"', "two\nlines", "back\\slash", "\x00", "tab\t", "\u2028", "😀", '","x":"', ""]
)
def test_texts_that_only_a_parser_can_read_are_parsed_and_the_habit_stays(text: str) -> None:
    frames = [*(chunk(content=f"word {n}") for n in range(5)), chunk(content=text), *[chunk(content="more")] * 2]
    told, _ = read(chat(), frames, Habit())
    assert told == read(chat(), frames, None)[0]


def test_what_ends_or_changes_the_text_is_read() -> None:
    words = [chunk(content=f"word {n}") for n in range(5)]
    call = {"index": 0, "id": "c1", "function": {"name": "look", "arguments": "{}"}}
    frames = [*words, chunk(reasoning_content="hm"), *words, chunk(tool_calls=[call]), *words]
    frames += [chunk(content="the end", finish="stop"), *words]
    told, spared = read(chat(), frames, Habit())
    assert told == read(chat(), frames, None)[0]
    assert spared > 0
    assert len({event.id for event in told if type(event) is TextDelta}) > 1, "each text has an id of its own"


def test_thoughts_are_always_read() -> None:
    frames = [chunk(reasoning_content=f"word {n}") for n in range(10)]
    told, spared = read(chat(), frames, Habit())
    assert spared == 0
    assert sum(type(event) is ReasoningDelta for event in told) == 10


def test_an_event_with_more_between_the_quotation_marks_than_a_text_is_read() -> None:
    frames = [chunk(content=f"word {n}") for n in range(5)]
    sly = frames[0].replace(b"word 0", b'a"}, "finish_reason": "stop", "x": {"y": "b')
    frames += [sly, *frames]
    told, _ = read(chat(), frames, Habit())
    assert told == read(chat(), frames, None)[0]


def test_a_service_without_a_habit_is_given_up() -> None:
    frames = [chunk(content=f"word {n}", padding="x" * n) for n in range(100)]
    frames += [chunk(content=f"word {n}") for n in range(10)]
    told, spared = read(chat(), frames, Habit())
    assert told == read(chat(), frames, None)[0]
    assert spared == 0


texts = st.lists(st.text(max_size=8) | st.sampled_from(["tiny", "c", ":", ",", ": ", ", ", "content", "delta", "0"]))


@given(texts, st.booleans())
def test_whatever_is_said_is_told_the_same(said: list[str], ascii_only: bool) -> None:
    said = [text for text in said if not any("\ud800" <= letter <= "\udfff" for letter in text)]
    frames = [chunk(content=text, ascii_only=ascii_only) for text in said]
    assert read(chat(), frames, Habit())[0] == read(chat(), frames, None)[0]
