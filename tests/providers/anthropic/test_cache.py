"""Prompt caching, against a service that computes it from the marks of each request as the real one does."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.core.convert import to_prompt
from app.core.events import ModelFinish, StepStart, ToolInputAvailable, Usage
from app.core.fold import Draft
from app.core.messages import TextPart, UIMessage
from app.core.model import ModelRequest, Preset
from app.core.ports import Provider
from app.core.tools import ToolRecord, ToolSpec
from app.core.values import Cache
from app.providers.anthropic.adapter import prepared_message
from app.providers.anthropic.cache import mark
from app.providers.unmapped import Unmapped
from tests.providers.asking import KEY, ask, opened, request
from tests.upstream import Reply, Request, Upstream, anthropic_frames, json_reply

pytestmark = pytest.mark.anyio

TURNS = 20
SYSTEM = "You know all about the weather of the north. " * 360  # some 4,000 tokens
TOOLS = tuple(
    ToolSpec(name, f"{name} of a city", {"type": "object", "properties": {"city": {"type": "string"}}})
    for name in ("rain", "wind")
)
WEB_SEARCH = {"type": "web_search_20250305", "name": "web_search"}


def canonical(value: Any) -> str:
    """A block as the service sees it: its marks are no part of it."""
    bare = {key: item for key, item in value.items() if key != "cache_control"}
    return json.dumps(bare, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def tokens(text: str) -> int:
    return len(text) // 4


@dataclass
class Prompt:
    """A request as one row of blocks, in the order in which the service reads them."""

    blocks: list[str] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    """The positions right behind the marked blocks."""
    lifetimes: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Prompt:
        prompt = cls()
        for tool in body.get("tools", ()):
            prompt._add("tools", tool)
        for block in body.get("system", ()):
            prompt._add("system", block)
        for message in body["messages"]:
            for block in message["content"]:
                prompt._add(message["role"], block)
        return prompt

    def _add(self, place: str, block: Mapping[str, Any]) -> None:
        self.blocks.append(f"{place} {canonical(block)}\n")
        if control := block.get("cache_control"):
            assert block["type" if place != "tools" else "name"] not in {"thinking", "redacted_thinking"}
            self.marks.append(len(self.blocks))
            self.lifetimes.add(control.get("ttl", "5m"))

    def until(self, position: int) -> str:
        return "".join(self.blocks[:position])


@dataclass
class CachingService:
    """Answers each question with two calls, and their results with a sentence."""

    kept: set[str] = field(default_factory=set)
    prompts: list[Prompt] = field(default_factory=list)

    def reply(self, request: Request) -> Reply:
        prompt = Prompt.of(request.json)
        self.prompts.append(prompt)
        if len(prompt.marks) > 4:
            message = "A maximum of 4 blocks with cache_control may be provided."
            return json_reply(400, {"type": "error", "error": {"type": "invalid_request_error", "message": message}})
        return Reply(anthropic_frames(self._answer(request.json, self._usage(prompt))))

    def _usage(self, prompt: Prompt) -> dict[str, int]:
        looked_at = {position for mark in prompt.marks for position in range(max(mark - 20, 1), mark + 1)}
        found = max((p for p in looked_at if prompt.until(p) in self.kept), default=0)
        last = max(prompt.marks, default=0)
        self.kept |= {prompt.until(mark) for mark in prompt.marks}
        read, whole = tokens(prompt.until(found)), tokens(prompt.until(len(prompt.blocks)))
        written = max(tokens(prompt.until(last)) - read, 0)
        return {
            "input_tokens": whole - read - written,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": written,
            "output_tokens": 9,
        }

    def _answer(self, body: Mapping[str, Any], usage: Mapping[str, int]) -> list[dict[str, Any]]:
        number = len(self.prompts)
        if body["messages"][-1]["content"][-1]["type"] == "tool_result" or "tools" not in body:
            content = [{"type": "text", "text": f"It rains, say I for the {number}th time."}]
        else:
            thought = {"type": "thinking", "thinking": "Rain or wind?", "signature": f"c2ln{number}"}
            calls = [
                {"type": "tool_use", "id": f"toolu_{number}_{name}", "name": name, "input": {"city": "Øslo", "n": 1.5}}
                for name in ("rain", "wind")
            ]
            content = [thought, *calls]
        reason = "tool_use" if content[-1]["type"] == "tool_use" else "end_turn"
        message = {"id": f"msg_{number}", "content": content, "stop_reason": reason, "usage": usage}
        return [{"type": "message_start", "message": message}, {"type": "message_stop"}]


@dataclass
class Conversation:
    """Asks as the server does: what is stored becomes the next prompt."""

    provider: Provider
    asked: ModelRequest
    messages: list[UIMessage] = field(default_factory=list)
    calls: dict[str, ToolRecord] = field(default_factory=dict)
    usages: list[Usage] = field(default_factory=list)
    """One for each model call."""

    async def turn(self, question: str) -> None:
        number = len(self.messages)
        self.messages.append(UIMessage(id=f"u{number}", role="user", parts=(TextPart(text=question),)))
        draft = Draft(UIMessage(id=f"a{number}", role="assistant", parts=()))
        self.messages.append(self._message(draft))
        while await self._step(draft):
            self.messages[-1] = self._message(draft)
        self.messages[-1] = self._message(draft)

    async def _step(self, draft: Draft) -> bool:
        prompt = to_prompt(self.messages, calls=self.calls).messages
        got = await ask(self.provider, ModelRequest(**{**self._values(), "messages": prompt}))
        assert got.error is None
        assert got.finish is not None
        self.usages.append(got.finish.usage)
        draft.apply(StepStart())
        for event in got.events:
            if isinstance(event, ModelFinish):
                return event.reason == "tool-calls"
            draft.apply(event)  # type: ignore[arg-type]
            if isinstance(event, ToolInputAvailable):
                record = ToolRecord(
                    event.tool_call_id, "a", event.tool_name, event.input, "server", "done", output={"mm": 7}
                )
                self.calls[event.tool_call_id] = record
        raise AssertionError("no end")

    def _values(self) -> dict[str, Any]:
        return {name: getattr(self.asked, name) for name in ModelRequest.__slots__}

    @staticmethod
    def _message(draft: Draft) -> UIMessage:
        message = draft.message()
        assert message is not None
        return UIMessage.model_validate(json.loads(json.dumps(message.to_wire())))  # as from the disk


@pytest.fixture
def service() -> CachingService:
    return CachingService()


@pytest.fixture
def upstream(service: CachingService) -> Iterator[Upstream]:
    with Upstream(otherwise=service.reply) as server:
        yield server


@asynccontextmanager
async def conversation(upstream: Upstream, **values: Any) -> AsyncGenerator[Conversation, None]:
    async with opened({"ANTHROPIC_API_KEY": KEY}) as registry:
        provider = registry.open(Preset("mine", "anthropic", base_url=upstream.url))
        yield Conversation(provider, request(system=SYSTEM, **values))


async def test_over_twenty_turns_with_tools_every_request_begins_with_the_one_before(
    upstream: Upstream, service: CachingService
) -> None:
    async with conversation(upstream, tools=TOOLS, provider_tools=(WEB_SEARCH,), thinking="low") as talk:
        for number in range(TURNS):
            await talk.turn(f"Question {number}: what of tomorrow?")
    assert len(service.prompts) == 2 * TURNS
    for before, after in zip(service.prompts, service.prompts[1:], strict=False):
        assert after.until(len(after.blocks)).encode().startswith(before.until(len(before.blocks)).encode())
        assert max(before.marks) == len(before.blocks)  # all of it is kept
        assert len(after.marks) == 4
    for before, after in zip(talk.usages, talk.usages[1:], strict=False):
        assert after.cache_read_tokens == before.input_tokens


@pytest.mark.parametrize("tools", [(), TOOLS])
async def test_from_the_second_turn_on_four_fifths_of_the_prompt_are_not_paid_in_full(
    upstream: Upstream, tools: tuple[ToolSpec, ...]
) -> None:
    async with conversation(upstream, tools=tools) as talk:
        for number in range(5):
            await talk.turn(f"Question {number}?")
    first = talk.usages[0]
    assert first.input_tokens > 4000
    assert first.cache_read_tokens == 0
    for usage in talk.usages[1:]:
        assert usage.input_tokens - (usage.cache_read_tokens or 0) <= 0.2 * first.input_tokens


async def test_without_caching_nothing_is_marked_and_everything_is_paid(
    upstream: Upstream, service: CachingService
) -> None:
    async with conversation(upstream, tools=TOOLS, cache="off") as talk:
        await talk.turn("Rain?")
        await talk.turn("Wind?")
    assert all(not prompt.marks for prompt in service.prompts)
    assert {usage.cache_read_tokens for usage in talk.usages} == {0}


@pytest.mark.parametrize("lifetime", ["5m", "1h"])
async def test_marks_say_how_long_to_keep(upstream: Upstream, service: CachingService, lifetime: Cache) -> None:
    async with conversation(upstream, tools=TOOLS, cache=lifetime) as talk:
        await talk.turn("Rain?")
    assert all(prompt.lifetimes == {lifetime} for prompt in service.prompts)


def test_a_step_of_many_blocks_does_not_hide_what_came_before() -> None:
    service = CachingService()
    calls = [{"type": "tool_use", "id": f"t{n}", "name": "rain", "input": {}} for n in range(30)]
    results = [{"type": "tool_result", "tool_use_id": f"t{n}", "content": "7"} for n in range(30)]
    question: dict[str, Any] = {"role": "user", "content": [{"type": "text", "text": "Rain, everywhere?"}]}
    first: dict[str, Any] = {"messages": [question]}
    mark(first, "5m")
    service._usage(Prompt.of(first))
    del question["content"][0]["cache_control"]
    then: dict[str, Any] = {
        "messages": [question, {"role": "assistant", "content": calls}, {"role": "user", "content": results}]
    }
    mark(then, "5m")
    assert service._usage(Prompt.of(then))["cache_read_input_tokens"] > 0


def marks(asked: ModelRequest) -> list[str]:
    """What is marked, by its place."""
    body = prepared_message(asked, Unmapped()).body
    places = [("tool " + tool["name"], tool) for tool in body.get("tools", ())]
    places += [("system", block) for block in body.get("system", ())]
    places += [(message["role"], block) for message in body["messages"] for block in message["content"]]
    return [place for place, block in places if "cache_control" in block]


def test_the_ends_of_tools_system_prompt_and_history_are_marked() -> None:
    asked = request("Rain?", system="Be kind.", tools=TOOLS, provider_tools=(WEB_SEARCH,))
    assert marks(asked) == ["tool web_search", "system", "user"]
    assert marks(request("Rain?")) == ["user"]


def test_marks_of_the_presets_own_tools_count() -> None:
    own = {**WEB_SEARCH, "cache_control": {"type": "ephemeral"}}
    more = [{**own, "name": f"search_{number}"} for number in range(3)]
    assert marks(request("Rain?", system="Be kind.", tools=TOOLS, provider_tools=(own,))) == [
        "tool web_search",
        "system",
        "user",
    ]
    assert len(marks(request("Rain?", system="Be kind.", provider_tools=(own, *more)))) == 4
    assert len(marks(request("Rain?", provider_tools=(own, *more, own)))) == 5  # the preset's own doing


def test_a_tool_that_is_not_in_the_prompt_is_not_marked() -> None:
    later = {**WEB_SEARCH, "name": "later", "defer_loading": True}
    assert marks(request("Rain?", tools=TOOLS, provider_tools=(later,))) == ["tool wind", "user"]
