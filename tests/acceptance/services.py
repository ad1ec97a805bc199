"""The model services that the tests of this folder play, each in its own tool dialect."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.acceptance import anthropic, completions, gemini, responses
from tests.acceptance.said import Called, Said, Tokens
from tests.providers.services import check_body
from tests.upstream import Reply, Request, Upstream, json_reply


class Dialect(Protocol):
    def frames(self, said: Said, *, finish: str | None = None) -> list[bytes]:
        """The answer as it streams. `finish`: the service's own word for an end that is not the usual one."""
        ...

    def prompt(self, body: Mapping[str, Any]) -> list[Any]:
        """Tools, system prompt and history of a request as one row, in the order in which the service reads them."""
        ...

    def question(self, text: str) -> Any:
        """What the user says, as it stands in the row."""
        ...

    def sent_back(self, said: Said, outputs: Sequence[Any], ids: Sequence[str] = ()) -> list[Any]:
        """What must stand in the row of the next request for an answer and what came of its calls; `ids` are those
        that the client was given."""
        ...


@dataclass(frozen=True)
class Service:
    provider: str
    """The row of the catalog."""
    model: str
    dialect: Dialect
    limit: str
    """Its own word for an answer that was cut off at the limit of tokens."""
    reports_cache: bool = True
    path: str = "/v1"

    def preset(self, upstream: Upstream) -> str:
        return PRESET.format(name=self.provider, base_url=upstream.url + self.path, model=self.model)

    def check(self, body: Mapping[str, Any]) -> None:
        """Raises AssertionError where the service would refuse it."""
        check_body(self.provider, body)


PRESET = """
[presets.{name}]
provider = "{name}"
base_url = "{base_url}"
api_key_env = "TEST_KEY"
model = "{model}"
thinking = "medium"
tools = ["rain", "wind", "launch"]
prices = {{ input = 1000, output = 3000, cache_read = 100, cache_write = 1250 }}
"""

SERVICES: Mapping[str, Service] = {
    service.provider: service
    for service in (
        Service("anthropic", "claude-haiku-4-5", anthropic, "max_tokens", path=""),
        Service("openai", "gpt-6.1-terra", responses, "max_output_tokens"),
        Service("openai-chat", "m", completions.OPENAI, "length"),
        Service("groq", "m", completions.GROQ, "length"),
        Service("mistral", "m", completions.MISTRAL, "length", reports_cache=False),
        Service("deepseek", "m", completions.DEEPSEEK, "length"),
        Service("ollama", "m", completions.OLLAMA, "length", reports_cache=False),
        Service("lmstudio", "m", completions.LM_STUDIO, "length", reports_cache=False),
        Service("openrouter", "m", completions.OPENROUTER, "length"),
        Service("google", "gemini-3.8-flash", gemini, "MAX_TOKENS", path="/v1beta"),
    )
}


def canonical(item: Any) -> str:
    return json.dumps(item, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


@dataclass
class Model:
    """Plays a service that answers each question with calls, and their results with a sentence."""

    service: Service
    calls: tuple[str, ...] = ("rain", "wind")
    rows: list[list[str]] = field(default_factory=list)
    """Of each request the prompt, item by item."""
    settings: list[dict[str, Any]] = field(default_factory=list)
    """Of each request everything else."""

    def reply(self, request: Request) -> Reply:
        body = request.json
        try:
            self.service.check(body)
        except AssertionError as error:
            return json_reply(400, {"error": {"message": f"The request is wrong: {error}"}})
        row = [canonical(item) for item in self.service.dialect.prompt(body)]
        tokens = self.count(body, row)
        self.rows.append(row)
        prompt = {"messages", "input", "contents", "tools", "system", "systemInstruction"}
        self.settings.append({key: value for key, value in body.items() if key not in prompt})
        return Reply(self.service.dialect.frames(self._answer(row, tokens)))

    def _answer(self, row: Sequence[str], tokens: Tokens) -> Said:
        number = len(self.rows)
        if any(word in row[-1] for word in ("tool_result", "function_call_output", "functionResponse", '"tool"')):
            return Said(f"Answer {number}.", number=number, tokens=tokens)
        calls = tuple(Called(10 * number + place, name, {"city": "Tromsø"}) for place, name in enumerate(self.calls))
        return Said("Let me look.", f"Thought {number}.", calls, number, tokens)

    def count(self, body: Mapping[str, Any], row: Sequence[str]) -> Tokens:
        """What it finds again of an earlier prompt, it has in its cache."""
        whole = _tokens(row)
        read = max((_tokens(_shared(row, earlier)) for earlier in self.rows), default=0)
        return Tokens(sent=whole, read=read)


def _tokens(row: Sequence[str]) -> int:
    return sum(map(len, row)) // 4


def _shared(row: Sequence[str], other: Sequence[str]) -> Sequence[str]:
    """What both begin with."""
    same = next((place for place, pair in enumerate(zip(row, other, strict=False)) if pair[0] != pair[1]), None)
    return row[: min(len(row), len(other)) if same is None else same]
