"""The built-in demo model: no network, no key, and everything the page can show, by commands that `help` explains."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from app.core.convert import FILE_MADE
from app.core.errors import ProviderBroken, ProviderUnavailable
from app.core.events import (
    FinishReason,
    ModelEvent,
    ModelFinish,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    TextDelta,
    TextEnd,
    TextStart,
    Usage,
)
from app.core.files import IMAGE_TYPES
from app.core.model import GO_ON, Media, ModelRequest, Text
from app.providers.echo import texts
from app.providers.echo.tools import calls_for, is_tool_command, results_in

SECONDS_PER_WORD = 0.015
SLOW_SECONDS_PER_WORD = 0.1
MOST_WORDS = 20_000
_WORDS_PER_BATCH = 50
"""Of an answer that comes as fast as it can."""


@dataclass(frozen=True, slots=True)
class _Script:
    """What will be said, and how."""

    text: str
    thought: str = ""
    pause: float | None = None
    """Seconds after each word; None: as usual, 0: as fast as it goes."""
    breaks: bool = False
    """Fail in the middle of the text."""


class Echo:
    """A `Provider` that follows a script."""

    def __init__(
        self, pause: float = SECONDS_PER_WORD, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        self.takes = IMAGE_TYPES
        self._pause = pause
        self._sleep = sleep

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        prompt, _ = _last_user_message(request)
        if calls := calls_for(prompt, request):
            for call in calls:
                for events in call.batches():
                    yield events
                    await self._sleep(self._pause)
            yield [ModelFinish("tool-calls", _usage(request, " ".join(call.name for call in calls), ""))]
            return
        script = _script(request)
        text, reason = _limited(script.text, request)
        pause = self._pause if script.pause is None else script.pause
        if script.thought:
            yield [ReasoningStart("reasoning-0")]
            for words in _batches(script.thought, pause):
                yield [ReasoningDelta("reasoning-0", word) for word in words]
                await self._sleep(pause)
            yield [ReasoningEnd("reasoning-0")]
        breaking_point = len(text) // 2 if script.breaks else None
        said = 0
        yield [TextStart("text-0")]
        for words in _batches(text, pause):
            yield [TextDelta("text-0", word) for word in words]
            await self._sleep(pause)
            said += sum(map(len, words))
            if breaking_point is not None and said >= breaking_point:
                raise ProviderBroken("Echo was asked to fail in the middle of its answer, and just did. Try again.")
        yield [TextEnd("text-0"), ModelFinish(reason, _usage(request, text, script.thought))]


def _script(request: ModelRequest) -> _Script:
    prompt, images = _last_user_message(request)
    if results := results_in(request):
        return _Script(results)
    if prompt == GO_ON:
        return _rest(request)
    if is_tool_command(prompt):  # and yet there is nothing to call
        return _Script(texts.NO_TOOL)
    command, rest = (*prompt.split(maxsplit=1), "", "")[:2]
    script = _command(command.lower().rstrip(".!?"), rest, images) or _Script(_echoed(prompt, images))
    if request.response_format == "json":
        script = replace(script, text=json.dumps({"model": "echo", "demo": True, "you_said": prompt}, indent=2))
    if request.thinking not in (None, "off", 0) and not script.thought:
        script = replace(script, thought=texts.THOUGHT)
    return script


def _rest(request: ModelRequest) -> _Script:
    """What an answer that was cut off has not said yet."""
    *asked, answer, _ = request.messages
    script = _script(replace(request, messages=tuple(asked)))
    said = "".join(item.text for item in answer.content if isinstance(item, Text))
    return replace(script, text=script.text.removeprefix(said), thought="", breaks=False)


def _command(command: str, rest: str, images: Sequence[Media]) -> _Script | None:
    match command:
        case "help":
            return _Script(texts.HELP)
        case "markdown":
            return _Script(texts.MARKDOWN)
        case "think":
            return _Script(texts.THOUGHTFUL, thought=texts.THOUGHT)
        case "slow":
            return _Script(texts.some_words(_number(rest, 50)), pause=SLOW_SECONDS_PER_WORD)
        case "long":
            return _Script(texts.some_paragraphs(_number(rest, 20)), pause=0)
        case "error":
            if rest.lower().startswith("midway"):
                return _Script(texts.BREAKING, breaks=True)
            raise ProviderUnavailable("Echo was asked to fail before its first word, and just did. Try again.")
        case "json":
            return _Script(texts.JSON)
        case "html":
            return _Script(texts.HTML)
        case "image":
            return _Script(_described(images) or texts.NO_IMAGE)
        case "say" if rest:
            return _Script(rest)
        case _:
            return None


def _last_user_message(request: ModelRequest) -> tuple[str, list[Media]]:
    content = next((message.content for message in reversed(request.messages) if message.role == "user"), ())
    text = "\n\n".join(item.text for item in content if isinstance(item, Text) and item.text != FILE_MADE)
    return text.strip(), [item for item in content if isinstance(item, Media)]


def _echoed(prompt: str, images: Sequence[Media]) -> str:
    quoted = "\n".join(f"> {line}".rstrip() for line in prompt.splitlines())
    said = [f"You said:\n\n{quoted}"] if prompt else []
    return "\n\n".join([*said, *([_described(images)] if images else []), texts.ABOUT])


def _described(images: Sequence[Media]) -> str:
    lines = [f"- {image.media_type}, {len(image.data) * 3 // 4 - image.data.count('='):,} bytes" for image in images]
    kind = "an image" if len(lines) == 1 else f"{len(lines)} images"
    return f"I got {kind}, and all that a demo can see is this:\n\n" + "\n".join(lines) if lines else ""


def _number(text: str, default: int) -> int:
    match = re.match(r"\d{1,9}", text)
    return min(max(int(match[0]), 1), MOST_WORDS) if match else default


def _words(text: str) -> list[str]:
    """The text in pieces of one word and the space before it, as models say it."""
    return re.findall(r"\s*\S+|\s+$", text)


def _batches(text: str, pause: float) -> Iterator[list[str]]:
    words = _words(text)
    size = 1 if pause else _WORDS_PER_BATCH
    return (words[start : start + size] for start in range(0, len(words), size))


def _limited(text: str, request: ModelRequest) -> tuple[str, FinishReason]:
    """What `stop` and `max_tokens` leave of the text; a word counts as a token."""
    ends = [position for stop in request.stop if (position := text.find(stop)) >= 0]
    text = text[: min(ends)] if ends else text
    words = _words(text)
    if request.max_tokens is not None and len(words) > request.max_tokens:
        return "".join(words[: request.max_tokens]), "length"
    return text, "stop"


def _usage(request: ModelRequest, text: str, thought: str) -> Usage:
    sent = [request.system or ""]
    sent += [item.text for message in request.messages for item in message.content if isinstance(item, Text)]
    thoughts = len(_words(thought))
    return Usage(
        input_tokens=sum(len(_words(part)) for part in sent),
        output_tokens=len(_words(text)) + thoughts,
        reasoning_tokens=thoughts or None,
    )
