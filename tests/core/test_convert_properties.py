"""What holds of the prompt of any history, however broken: it is in order, and it only ever grows at its end."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.core.convert import Prompt, to_prompt
from app.core.errors import UnsupportedContent
from app.core.messages import StepStartPart, UIMessage
from app.core.model import Media, ModelMessage, Reasoning, Text, ToolCall, ToolResult
from app.core.tools import ToolRecord
from tests.histories import histories, ledgers

sound = st.lists(
    st.tuples(st.sampled_from(["Hello.", "And now?"]), st.sampled_from(["Hi!", "That is all."])), max_size=4
)


def prompt_of(history: Sequence[UIMessage], calls: Mapping[str, ToolRecord]) -> Prompt:
    try:
        return to_prompt(history, calls=calls)
    except UnsupportedContent:
        assume(False)
        raise


@given(history=histories, calls=ledgers)
@settings(max_examples=200, deadline=None)
def test_every_history_becomes_a_prompt_in_order(history, calls):
    messages = prompt_of(history, calls).messages
    for before, message in zip((None, *messages), messages, strict=False):
        last = before.role if before is not None else None
        assert message.content
        match message.role:
            case "user":
                assert last in (None, "assistant")
                assert all(isinstance(item, Text | Media) for item in message.content)
                assert all(item.text.strip() for item in message.content if isinstance(item, Text))
            case "assistant":
                assert last in ("user", "tool")
                _check_answer(message)
            case "tool":
                assert [_signs(item) for item in message.content] == [_signs(call) for call in _calls(before)]
    for before, message in pairwise(messages):
        assert (message.role == "tool") == bool(_calls(before))
    ids = [item.id for message in messages for item in message.content if isinstance(item, ToolCall)]
    assert len(ids) == len(set(ids))
    assert set(ids) <= calls.keys()


def _check_answer(message: ModelMessage) -> None:
    assert all(isinstance(item, Text | Reasoning | ToolCall | ToolResult) for item in message.content)
    assert not isinstance(message.content[-1], Reasoning)
    assert _calls(message) or any(isinstance(item, Text) and item.text.strip() for item in message.content)
    for item in message.content:
        if isinstance(item, ToolCall):
            assert item.provider_executed or re.fullmatch(r"[A-Za-z0-9_-]{1,64}", item.name)
            assert isinstance(item.input, Mapping)
    own = [item for item in message.content if isinstance(item, ToolResult)]
    assert all(item.provider_executed for item in own)
    assert {item.id for item in own} <= {item.id for item in message.content if isinstance(item, ToolCall)}


def _calls(message: ModelMessage | None) -> list[ToolCall]:
    assert message is not None
    if message.role != "assistant":
        return []
    return [item for item in message.content if isinstance(item, ToolCall) and not item.provider_executed]


def _signs(item: object) -> tuple[str, str, bool]:
    assert isinstance(item, ToolCall | ToolResult)
    return item.id, item.name, item.provider_executed


@given(history=histories, calls=ledgers, cut=st.floats(0, 1))
@settings(max_examples=200, deadline=None)
def test_a_longer_history_begins_as_the_shorter_one_did(history, calls, cut):
    for shorter in (history[: int(cut * len(history))], _without_the_last_step(history)):
        before, after = prompt_of(shorter, calls), prompt_of(history, calls)
        *same, last = before.messages or (ModelMessage("user", ()),)
        assert list(after.messages[: len(same)]) == same
        if before.messages:
            grown = after.messages[len(same)]
            assert grown.content[: len(last.content)] == last.content
            assert grown == last or grown.role == last.role == "user" or _is_joined(grown, last, after)


def _is_joined(grown: ModelMessage, last: ModelMessage, prompt: Prompt) -> bool:
    """Calls that were never ours stood between the two: nothing that the server said itself is like that."""
    left_out = {"unknown-call", "unfinished-call"} & {repair.kind for repair in prompt.repairs}
    return bool(left_out) and grown.role == last.role == "assistant"


def _without_the_last_step(history: Sequence[UIMessage]) -> Sequence[UIMessage]:
    if not history or history[-1].role != "assistant":
        return history
    parts = history[-1].parts
    marks = [index for index, part in enumerate(parts) if isinstance(part, StepStartPart)]
    return [*history[:-1], history[-1].model_copy(update={"parts": parts[: marks[-1]] if marks else parts})]


@given(history=histories, calls=ledgers)
@settings(max_examples=100, deadline=None)
def test_the_same_history_gives_the_same_prompt(history, calls):
    assert prompt_of(history, calls) == prompt_of(history, dict(reversed(calls.items())))


@given(turns=sound)
def test_a_sound_history_needs_no_repair(turns):
    said = [text for turn in turns for text in turn]
    history = [
        UIMessage.model_validate(
            {
                "id": str(number),
                "role": "assistant" if number % 2 else "user",
                "parts": [{"type": "text", "text": text}],
            }
        )
        for number, text in enumerate(said)
    ]
    prompt = to_prompt(history)
    assert prompt.repairs == ()
    assert [message.content for message in prompt.messages] == [(Text(text),) for text in said]
