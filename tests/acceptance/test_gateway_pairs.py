"""Every client of the gateway with every service behind it: a tool conversation of two turns goes there and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import anthropic
import openai
import pytest

from tests.acceptance import anthropic as anthropic_dialect
from tests.acceptance.said import Said, calling
from tests.acceptance.services import SERVICES, Service
from tests.llama import llama_server
from tests.server_process import ServerProcess, server_process
from tests.upstream import Reply, Upstream, json_reply

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = {"rain": "How much it rains.", "wind": "How strong the wind is."}
RAIN, WIND = "7.5 mm — und es regnet", "9 m/s"
ASKED = calling(1, "rain", "wind", thought="Both — at once.", text="Let me look.")
TOLD = Said("It rains, and the wind blows.", number=2)
AGAIN = calling(3, "wind", thought="Only the wind.")


@dataclass
class Answer:
    text: str
    thought: str
    calls: Sequence[tuple[str, str, Any]]
    """Id, name and arguments."""
    finish: str | None


class Client(Protocol):
    """A program that keeps its history as its SDK gives it."""

    calls_finish: str
    messages: list[Any]
    tools: Mapping[str, str]

    def ask(self, text: str) -> Answer: ...

    def give(self, outputs: Sequence[str]) -> Answer:
        """The outputs of the last answer's calls."""
        ...


@dataclass
class OpenAIClient:
    sdk: openai.OpenAI
    model: str
    streams: bool
    messages: list[Any] = field(default_factory=list)
    tools: Mapping[str, str] = field(default_factory=lambda: TOOLS)
    calls_finish = "tool_calls"

    def ask(self, text: str) -> Answer:
        return self._send({"role": "user", "content": text})

    def give(self, outputs: Sequence[str]) -> Answer:
        calls = self.messages[-1]["tool_calls"]
        results = [
            {"role": "tool", "tool_call_id": call["id"], "content": output}
            for call, output in zip(calls, outputs, strict=True)
        ]
        return self._send(*results)

    def _send(self, *messages: Any) -> Answer:
        self.messages += messages
        tools: Any = [
            {"type": "function", "function": {"name": name, "description": said, "parameters": SCHEMA}}
            for name, said in self.tools.items()
        ]
        asked: Any = {"model": self.model, "messages": self.messages, "tools": tools or openai.omit}
        if self.streams:
            with self.sdk.chat.completions.stream(**asked) as stream:
                try:
                    choice: Any = stream.get_final_completion().choices[0]
                except openai.LengthFinishReasonError as cut:
                    choice = cut.completion.choices[0]
        else:
            choice = self.sdk.chat.completions.create(**asked).choices[0]
        message = choice.message.model_dump(exclude_none=True)
        self.messages.append(message)
        calls = [
            (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in message.get("tool_calls", ())
        ]
        return Answer(message.get("content", ""), message.get("reasoning_content", ""), calls, choice.finish_reason)


@dataclass
class AnthropicClient:
    sdk: anthropic.Anthropic
    model: str
    streams: bool
    messages: list[Any] = field(default_factory=list)
    tools: Mapping[str, str] = field(default_factory=lambda: TOOLS)
    calls_finish = "tool_use"

    def ask(self, text: str) -> Answer:
        return self._send(text)

    def give(self, outputs: Sequence[str]) -> Answer:
        calls = [block for block in self.messages[-1]["content"] if block["type"] == "tool_use"]
        return self._send(
            [
                {"type": "tool_result", "tool_use_id": call["id"], "content": output}
                for call, output in zip(calls, outputs, strict=True)
            ]
        )

    def _send(self, content: Any) -> Answer:
        self.messages.append({"role": "user", "content": content})
        tools: Any = [{"name": name, "description": said, "input_schema": SCHEMA} for name, said in self.tools.items()]
        asked: Any = {"model": self.model, "messages": self.messages, "tools": tools, "max_tokens": 20}
        if self.streams:
            with self.sdk.messages.stream(**asked) as stream:
                message: Any = stream.get_final_message()
        else:
            message = self.sdk.messages.create(**asked)
        blocks = [block.model_dump(exclude_none=True) for block in message.content]
        self.messages.append({"role": "assistant", "content": blocks})
        return Answer(
            "".join(block["text"] for block in blocks if block["type"] == "text"),
            "".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
            [(block["id"], block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"],
            message.stop_reason,
        )


NewClient = Callable[[str, bool], Client]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture(scope="module")
def palaver(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with llama_server() as llama:
        local = f'[presets.llama]\nprovider = "llamacpp"\nbase_url = "{llama}"\nmodel = "any"\nmax_tokens = 20\n'
        presets = [service.preset(upstream) for service in SERVICES.values()]
        config = '[presets.default]\nprovider = "echo"\n' + local + "".join(presets)
        folder = tmp_path_factory.mktemp("gateway")
        with server_process(folder, config=config, environment={"TEST_KEY": "not-a-key"}) as running:
            yield running


@pytest.fixture(params=["openai", "anthropic"])
def new_client(request: pytest.FixtureRequest, palaver: ServerProcess) -> Iterator[NewClient]:
    with ExitStack() as stack:

        def start(model: str, streams: bool) -> Client:
            if request.param == "openai":
                sdk = stack.enter_context(openai.OpenAI(base_url=f"{palaver.url}/v1", api_key="unused", max_retries=0))
                return OpenAIClient(sdk, model, streams)
            other = stack.enter_context(anthropic.Anthropic(base_url=palaver.url, api_key="unused", max_retries=0))
            return AnthropicClient(other, model, streams)

        yield start


def without_what_texts_carry(row: Sequence[Any]) -> list[Any]:
    """Gemini signs its texts and OpenAI gives them a phase: both may be missed, and other APIs have no room for it."""
    rest = [item for item in row if not (isinstance(item, tuple) and item[1].get("text") == "")]
    return [
        {key: value for key, value in item.items() if key != "phase"} if isinstance(item, dict) else item
        for item in rest
    ]


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", SERVICES)
def test_a_tool_conversation_goes_there_and_back(
    new_client: NewClient, upstream: Upstream, name: str, *, streams: bool
) -> None:
    service = SERVICES[name]
    before = len(upstream.requests)
    client = new_client(name, streams)
    is_relayed = isinstance(client, AnthropicClient) and name == "anthropic"
    for said in (ASKED, TOLD, AGAIN, replace(TOLD, number=4)):
        upstream.reply(relayed(said) if is_relayed and not streams else Reply(service.dialect.frames(said)))

    first = client.ask("How is it in Tromsø?")
    assert first.text == ASKED.text
    assert first.thought == ASKED.thought
    assert first.finish == client.calls_finish
    assert [(called, arguments) for _, called, arguments in first.calls] == [
        (call.name, call.arguments) for call in ASKED.calls
    ]
    assert client.give([RAIN, WIND]).text == TOLD.text
    third = client.ask("And now?")
    assert [called for _, called, _ in third.calls] == ["wind"]
    assert client.give(["calm"]).text == TOLD.text

    bodies = [request.json for request in upstream.requests[before:]]
    if is_relayed:
        assert [body["messages"] for body in bodies] == [client.messages[:length] for length in (1, 3, 5, 7)]
        return
    for body in bodies:
        service.check(body)
    rows = [without_what_texts_carry(service.dialect.prompt(body)) for body in bodies]
    assert rows[1] == [*rows[0], *sent_back(service, ASKED, [RAIN, WIND], first)]
    assert rows[2] == [*rows[1], *sent_back(service, TOLD, []), service.dialect.question("And now?")]
    assert rows[3] == [*rows[2], *sent_back(service, AGAIN, ["calm"], third)]


def relayed(said: Said) -> Reply:
    """The whole answer, as Anthropic gives it to whoever does not want a stream."""
    content = [
        block for role, block in anthropic_dialect.sent_back(said, [""] * len(said.calls)) if role == "assistant"
    ]
    usage = {"input_tokens": said.tokens.sent, "output_tokens": said.tokens.said}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content, "usage": usage}
    return json_reply(200, {**message, "stop_reason": "tool_use" if said.calls else "end_turn", "stop_sequence": None})


def sent_back(service: Service, said: Said, outputs: Sequence[str], answer: Answer | None = None) -> list[Any]:
    ids = [call_id for call_id, _, _ in answer.calls] if answer else ()
    return without_what_texts_carry(service.dialect.sent_back(said, outputs, ids))


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
def test_a_real_llama_cpp_server_answers(new_client: NewClient, *, streams: bool) -> None:
    client = new_client("llama", streams)
    client.tools = {}
    client.ask("Hello")
    assert client.ask("Again").finish in ("stop", "length", "end_turn", "max_tokens")
