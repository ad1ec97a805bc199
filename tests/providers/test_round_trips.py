"""A conversation with thinking and tools moves from service to service: each takes it, each gets back what it signed
itself, byte for byte, and nothing of the others'.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from app.core.convert import to_prompt
from app.core.events import (
    CallWarning,
    MessageStart,
    ModelFinish,
    StepStart,
    ToolInputAvailable,
    ToolOutputAvailable,
)
from app.core.fold import Draft
from app.core.messages import TextPart, UIMessage
from app.core.model import ModelRequest
from app.core.tools import ToolRecord, ToolSpec
from app.providers.registry import Registry
from tests.providers.asking import ask, opened, preset
from tests.providers.services import check_body
from tests.upstream import Upstream, anthropic_frames, chat_chunk, chat_frames

pytestmark = pytest.mark.anyio

KEYS = {"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k", "GEMINI_API_KEY": "k", "MISTRAL_API_KEY": "k"}
SIGNATURE = "QW50aHJvcGljIHNpZ25lZA=="
FOUND = {
    "type": "web_search_result",
    "url": "https://a.example",
    "title": "A",
    "encrypted_content": "QW50aHJvcGljIGZvdW5k",
}
ENCRYPTED = "T3BlbkFJIGVuY3J5cHRlZA=="
THOUGHT = "R29vZ2xlIHRob3VnaHQ="
THANKS = "R29vZ2xlIHNhaWQ="
ADD = ToolSpec("add", "Add numbers.", {"type": "object", "properties": {"a": {"type": "integer"}}})


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def anthropic(*blocks: Sequence[dict[str, Any]], stop: str) -> list[bytes]:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None}
    usage = {"input_tokens": 9, "output_tokens": 1}
    end = {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 7}}
    events = [event for events in blocks for event in events]
    start = {"type": "message_start", "message": {**message, "usage": usage}}
    return anthropic_frames([start, *events, end, {"type": "message_stop"}])


def anthropic_text(index: int, text: str) -> list[dict[str, Any]]:
    return block(index, {"type": "text", "text": ""}, {"type": "text_delta", "text": text})


ANTHROPIC = [
    anthropic(
        block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "Search, then add."},
            {"type": "signature_delta", "signature": SIGNATURE},
        ),
        block(
            1,
            {"type": "server_tool_use", "id": "srvtoolu_N", "name": "web_search", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"query": "one"}'},
        ),
        block(2, {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_N", "content": [FOUND]}),
        anthropic_text(3, "Let me add."),
        block(
            4,
            {"type": "tool_use", "id": "toolu_N", "name": "add", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"a": 1}'},
        ),
        stop="tool_use",
    ),
    anthropic(anthropic_text(0, "Anthropic says two."), stop="end_turn"),
]

_ASKED_TO_THINK = {"type": "reasoning", "id": "rs_N", "summary": [], "encrypted_content": None}
_THOUGHT = {
    "type": "reasoning",
    "id": "rs_N",
    "summary": [{"type": "summary_text", "text": "Add again."}],
    "encrypted_content": ENCRYPTED,
}
_ADDING = {"type": "function_call", "id": "fc_N", "call_id": "call_N", "name": "add", "arguments": '{"a":2}'}


def responses(*events: dict[str, Any]) -> list[bytes]:
    made = {"id": "resp_1", "object": "response", "model": "m", "status": "in_progress", "output": []}
    usage = {"input_tokens": 9, "output_tokens": 7, "total_tokens": 16}
    done = {"type": "response.completed", "response": {**made, "status": "completed", "usage": usage}}
    return anthropic_frames([{"type": "response.created", "response": made}, *events, done])


def responses_text(index: int, text: str) -> list[dict[str, Any]]:
    item = {"type": "message", "id": f"msg_{index}", "role": "assistant", "status": "in_progress", "content": []}
    part = {"type": "output_text", "text": "", "annotations": []}
    place = {"output_index": index, "item_id": item["id"], "content_index": 0}
    said = {**part, "text": text}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": item},
        {"type": "response.content_part.added", **place, "part": part},
        {"type": "response.output_text.delta", **place, "delta": text},
        {"type": "response.output_text.done", **place, "text": text},
        {"type": "response.content_part.done", **place, "part": said},
        {
            "type": "response.output_item.done",
            "output_index": index,
            "item": {**item, "status": "completed", "content": [said]},
        },
    ]


OPENAI = [
    responses(
        {"type": "response.output_item.added", "output_index": 0, "item": _ASKED_TO_THINK},
        {
            "type": "response.reasoning_summary_part.added",
            "output_index": 0,
            "summary_index": 0,
            "part": {"type": "summary_text", "text": ""},
        },
        {
            "type": "response.reasoning_summary_text.delta",
            "output_index": 0,
            "summary_index": 0,
            "delta": "Add again.",
        },
        {"type": "response.output_item.done", "output_index": 0, "item": _THOUGHT},
        {"type": "response.output_item.added", "output_index": 1, "item": {**_ADDING, "arguments": ""}},
        {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": '{"a":2}'},
        {"type": "response.function_call_arguments.done", "output_index": 1, "arguments": '{"a":2}'},
        {"type": "response.output_item.done", "output_index": 1, "item": _ADDING},
    ),
    responses(*responses_text(0, "OpenAI says four.")),
]


def gemini(*parts: dict[str, Any]) -> list[bytes]:
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 7, "totalTokenCount": 16}
    chunks = [{"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}]} for part in parts]
    end = {"candidates": [{"finishReason": "STOP", "index": 0}], "usageMetadata": usage}
    return chat_frames([*chunks, end], done=False)


GEMINI = [
    gemini(
        {"text": "Once more.", "thought": True},
        {"functionCall": {"name": "add", "args": {"a": 3}}, "thoughtSignature": THOUGHT},
        {"functionCall": {"name": "add", "args": {"a": 4}}},
    ),
    gemini({"text": "Gemini says "}, {"text": "eight."}, {"text": "", "thoughtSignature": THANKS}),
]


def mistral(*deltas: dict[str, Any], finish: str) -> list[bytes]:
    return chat_frames([*(chat_chunk(delta) for delta in deltas), chat_chunk({}, finish)])


MISTRAL = [
    mistral(
        {"tool_calls": [{"id": "abcDEF_N", "function": {"name": "add", "arguments": '{"a": 5}'}}]}, finish="tool_calls"
    ),
    mistral({"content": "Mistral says ten."}, finish="stop"),
]

SCRIPTS = {"anthropic": ANTHROPIC, "openai": OPENAI, "google": GEMINI, "mistral": MISTRAL}
MODELS = {"anthropic": "claude-sonnet-4-6", "openai": "gpt-6.1-terra", "google": "gemini-3.8-flash", "mistral": "m"}


@dataclass
class Conversation:
    """A chat that runs its tools at once."""

    registry: Registry
    upstream: Upstream
    history: list[UIMessage] = field(default_factory=list)
    calls: dict[str, ToolRecord] = field(default_factory=dict)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    """Of the last turn."""

    async def turn(self, name: str) -> None:
        """A question to a service that calls a tool and then answers."""
        self.bodies = []
        number = len(self.history)
        question = {"id": f"q{number}", "role": "user", "parts": [TextPart(text=f"Question {number}")]}
        self.history.append(UIMessage.model_validate(question))
        draft = Draft(None)
        draft.apply(MessageStart(f"a{number}", {}))
        for step in SCRIPTS[name]:  # no service uses the id of a call twice
            await self._step(name, [frame.replace(b"_N", b"_%d" % number) for frame in step], draft)
        answer = draft.message()
        assert answer is not None
        self.history.append(answer)

    async def _step(self, name: str, step: list[bytes], draft: Draft) -> None:
        answer = draft.message()
        assert answer is not None
        history = [*self.history, answer] if answer.parts else self.history
        prompt = to_prompt(history, calls=self.calls)
        assert prompt.repairs == ()
        self.upstream.reply(step)
        base_url = self.upstream.url if name == "anthropic" else self.upstream.base_url
        provider = self.registry.open(preset(name, self.upstream, base_url=base_url))
        request = ModelRequest(MODELS[name], prompt.messages, tools=(ADD,), thinking=2048)
        answered = await ask(provider, request)
        assert answered.error is None
        assert answered.finish is not None
        body = self.upstream.requests[-1].json
        check_body(name, body)
        self.bodies.append(body)
        draft.apply(StepStart())
        for event in answered.events:
            if isinstance(event, ToolInputAvailable):
                runs = "provider" if event.provider_executed else "server"
                self.calls[event.tool_call_id] = ToolRecord(
                    event.tool_call_id,
                    answer.id,
                    event.tool_name,
                    event.input,
                    runs,
                    "open",
                    call_metadata=event.provider_metadata,
                )
            if isinstance(event, ToolOutputAvailable):
                record = self.calls[event.tool_call_id].settled("done", output=event.output)
                self.calls[event.tool_call_id] = replace(record, result_metadata=event.provider_metadata)
            if not isinstance(event, ModelFinish | CallWarning):
                draft.apply(event)
        for call_id, record in self.calls.items():
            if record.state == "open":
                output = {"sum": record.input["a"] * 2}
                self.calls[call_id] = record.settled("done", output=output)
                draft.apply(ToolOutputAvailable(call_id, output))

    def sent(self, word: str) -> bool:
        """Whether the last request holds it."""
        return word in json.dumps(self.bodies[-1])


SAYS = {
    "anthropic": "Anthropic says two.",
    "openai": "OpenAI says four.",
    "google": "eight.",
    "mistral": "Mistral says ten.",
}

SECRETS = {
    "anthropic": (SIGNATURE, FOUND["encrypted_content"], "srvtoolu"),
    "openai": (ENCRYPTED, "rs_", "fc_"),
    "google": (THOUGHT, THANKS),
    "mistral": (),
}
"""What a service says for itself alone."""


def own(name: str, number: int) -> list[dict[str, Any]]:
    """What stands in a service's later requests just as it came in turn `number`."""
    match name:
        case "anthropic":
            return [
                {"type": "thinking", "thinking": "Search, then add.", "signature": SIGNATURE},
                {
                    "type": "server_tool_use",
                    "id": f"srvtoolu_{number}",
                    "name": "web_search",
                    "input": {"query": "one"},
                },
                {"type": "web_search_tool_result", "tool_use_id": f"srvtoolu_{number}", "content": [FOUND]},
                {"type": "tool_use", "id": f"toolu_{number}", "name": "add", "input": {"a": 1}},
            ]
        case "openai":
            return [{**_THOUGHT, "id": f"rs_{number}"}]
        case "google":
            return [{"text": "", "thoughtSignature": THANKS}]
        case _:
            return []


def holds(value: Any, wanted: dict[str, Any]) -> bool:
    if value == wanted:
        return True
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(holds(item, wanted) for item in inner)


@pytest.mark.parametrize(
    "route",
    [
        ("anthropic", "openai", "google", "anthropic"),
        ("openai", "google", "anthropic", "openai"),
        ("google", "anthropic", "openai", "google"),
        ("anthropic", "mistral", "google", "mistral", "openai"),
    ],
    ids=" ".join,
)
async def test_a_conversation_moves_between_services(route):
    with Upstream() as upstream:
        async with opened(KEYS) as registry:
            conversation = Conversation(registry, upstream)
            for place, name in enumerate(route):
                await conversation.turn(name)
                others = [secret for other in SECRETS if other != name for secret in SECRETS[other]]
                assert [secret for secret in others if conversation.sent(secret)] == []
                for before, other in enumerate(route[:place]):
                    assert conversation.sent(f"Question {2 * before}")
                    assert conversation.sent(SAYS[other])
                    if other == name:
                        assert [
                            part for part in own(name, 2 * before) if not holds(conversation.bodies[-1], part)
                        ] == []


async def test_gemini_gets_each_signature_back_on_the_part_that_it_came_with():
    with Upstream() as upstream:
        async with opened(KEYS) as registry:
            conversation = Conversation(registry, upstream)
            await conversation.turn("google")
            await conversation.turn("google")
            contents = conversation.bodies[0]["contents"]
    calls, _, said = (content["parts"] for content in contents[1:4])
    assert [part.get("thoughtSignature") for part in calls if "functionCall" in part] == [THOUGHT, None]
    assert said == [{"text": "Gemini says eight."}, {"text": "", "thoughtSignature": THANKS}]
