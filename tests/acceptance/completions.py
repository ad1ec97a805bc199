"""Chat completions in their dialects: how a scripted answer streams, and how it must come back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tests.acceptance.said import Called, Said, as_text, pieces
from tests.upstream import chat_chunk, chat_frames


@dataclass(frozen=True)
class Completions:
    """One service's way to speak."""

    thinks_in: Literal["reasoning_content", "reasoning", "content", "details"]
    """The field of a delta; `content`: blocks as Mistral has them; `details`: OpenRouter's."""
    calls_in: Literal["pieces", "one delta each", "one delta"]
    call_id: Callable[[Called], str]
    index: Callable[[int], dict[str, int]] = lambda place: {"index": place}
    """The `index` of a call, by its place."""
    usage_in: Literal["a chunk of its own", "the last chunk"] = "a chunk of its own"
    cached_as: Literal["details", "hits", "nothing"] = "details"
    thoughts_back: Literal["never", "with calls", "always"] = "never"
    keeps_ids: bool = True
    """The ids of its calls are good enough to go back."""

    def frames(self, said: Said, *, finish: str | None = None) -> list[bytes]:
        deltas = [{"role": "assistant", "content": "" if self.thinks_in != "content" else None}]
        deltas += self._thoughts(said)
        deltas += [{"content": piece} for piece in pieces(said.text) if piece]
        deltas += self._calls(said)
        usage = self._usage(said)
        last = chat_chunk({}, finish or ("tool_calls" if said.calls else "stop"))
        if self.usage_in == "the last chunk":
            last |= {"usage": usage, "x_groq": {"usage": usage}}
            ends = [last]
        else:
            ends = [last, {**chat_chunk({}), "choices": [], "usage": usage}]
        return chat_frames([*map(chat_chunk, deltas), *ends])

    def prompt(self, body: Mapping[str, Any]) -> list[Any]:
        return [*body.get("tools", ()), *body["messages"]]

    def sent_back(self, said: Said, outputs: Sequence[Any], ids: Sequence[str] = ()) -> list[Any]:
        """`ids`: those of the server, where it had to make its own."""
        ids = [self.call_id(call) for call in said.calls] if self.keeps_ids else ids
        message: dict[str, Any] = {"role": "assistant", "content": said.text or None}
        if said.calls:
            message["tool_calls"] = [
                {
                    "id": call_id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)},
                }
                for call, call_id in zip(said.calls, ids, strict=True)
            ]
        if self.thinks_in == "details":
            if said.calls and said.thought:
                message["reasoning_details"] = [details(said)]
        elif self.thoughts_back == "always" or (self.thoughts_back == "with calls" and said.calls and said.thought):
            message[self.thinks_in] = said.thought
        results = [
            {"role": "tool", "tool_call_id": call_id, "content": as_text(output)}
            for call_id, output in zip(ids, outputs, strict=True)
        ]
        return [message, *results]

    def question(self, text: str) -> Any:
        return {"role": "user", "content": text}

    def _thoughts(self, said: Said) -> Iterator[dict[str, Any]]:
        for place, piece in enumerate(pieces(said.thought) if said.thought else ()):
            if self.thinks_in == "content":
                yield {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": piece}]}]}
            elif self.thinks_in == "details":
                signed = {"signature": details(said)["signature"]} if place == 2 else {}
                yield {
                    "reasoning": piece,
                    "reasoning_details": [{"type": "reasoning.text", "text": piece, "index": 0, **signed}],
                }
            else:
                yield {"content": None, self.thinks_in: piece}

    def _calls(self, said: Said) -> list[dict[str, Any]]:
        heads = [
            {**self.index(place), "id": self.call_id(call), "type": "function", "function": {"name": call.name}}
            for place, call in enumerate(said.calls)
        ]
        texts = [json.dumps(call.arguments) for call in said.calls]
        if self.calls_in != "pieces":
            whole = [
                {**head, "function": {**head["function"], "arguments": text}}
                for head, text in zip(heads, texts, strict=True)
            ]
            return [{"tool_calls": [call]} for call in whole] if "each" in self.calls_in else [{"tool_calls": whole}]
        deltas: list[dict[str, Any]] = []
        for place, (head, text) in enumerate(zip(heads, texts, strict=True)):
            deltas.append({"tool_calls": [{**head, "function": {**head["function"], "arguments": ""}}]})
            for piece in pieces(text):
                deltas.append({"tool_calls": [{**self.index(place), "function": {"arguments": piece}}]})
        return deltas

    def _usage(self, said: Said) -> dict[str, Any]:
        tokens = said.tokens
        usage: dict[str, Any] = {
            "prompt_tokens": tokens.sent,
            "completion_tokens": tokens.said,
            "total_tokens": tokens.sent + tokens.said,
            "completion_tokens_details": {"reasoning_tokens": tokens.thought},
        }
        if self.cached_as == "details":
            usage["prompt_tokens_details"] = {"cached_tokens": tokens.read}
        elif self.cached_as == "hits":
            usage["prompt_cache_hit_tokens"] = tokens.read
        return usage


def details(said: Said) -> dict[str, Any]:
    """OpenRouter's, put together."""
    return {"type": "reasoning.text", "text": said.thought, "index": 0, "signature": f"T3BlblJvdXRlcg{said.number}"}


OPENAI = Completions(
    "reasoning_content", "pieces", lambda call: f"call_AbCdEfGhIj{call.number}", thoughts_back="with calls"
)
GROQ = Completions("reasoning", "one delta each", lambda call: f"fc_0123456789{call.number}", usage_in="the last chunk")
MISTRAL = Completions(
    "content",
    "one delta",
    lambda call: f"aB3dE6{call.number:03}",
    index=lambda _: {},
    usage_in="the last chunk",
    cached_as="nothing",
)
DEEPSEEK = Completions(
    "reasoning_content",
    "pieces",
    lambda call: f"call_00_DeepSeek{call.number}",
    usage_in="the last chunk",
    cached_as="hits",
    thoughts_back="always",
)
OLLAMA = Completions(
    "reasoning",
    "one delta each",
    lambda call: f"call_ol4ma{call.number:03}",
    index=lambda _: {"index": 0},
    cached_as="nothing",
    thoughts_back="with calls",
)
LM_STUDIO = Completions(
    "reasoning_content", "pieces", lambda call: str(call.number % 10), cached_as="nothing", keeps_ids=False
)
"""Numbers its calls anew in each answer."""
OPENROUTER = Completions("details", "pieces", lambda call: f"tool_0_rain_{call.number}")
