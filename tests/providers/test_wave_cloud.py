"""Wave Cloud, spoken to over a real WebSocket on loopback."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.server import Request, Response, Server, ServerConnection, serve

from app.core.errors import (
    ProviderBroken,
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
)
from app.core.events import CallWarning, ModelFinish, TextDelta, Usage
from app.core.model import ModelMessage, ModelRequest, Preset, Reasoning, Text, ToolCall, ToolResult
from app.core.tools import ToolSpec
from app.providers.retry import Retry
from app.providers.sse import MAX_EVENT_BYTES
from app.providers.system_prompt import JSON_INSTRUCTION
from app.providers.unmapped import Unmapped
from app.providers.wave_cloud import cloud_request
from tests.providers.asking import Answer, Naps, ask, impatient, opened, request
from tests.upstream import Reply, Upstream

pytestmark = pytest.mark.anyio

CLIENT_ID = "0c9d1f0e-5e11-4a53-9f0a-1d6cbd1d2f11"
USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}


@dataclass
class Cloud:
    """The service: plays one script a connection, the last one again and again. A step is a frame, or what to do."""

    scripts: list[Sequence[Any]]
    refusal: tuple[int, dict[str, str], str] | None = None
    asked: list[Any] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def answer(self, client: ServerConnection) -> None:
        self.asked.append(json.loads(await client.recv()))
        self.arrived.set()
        assert client.request is not None
        self.headers.append(client.request.headers)
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        for step in script:
            match step:
                case "hold":
                    await client.wait_closed()
                case "reset":
                    client.transport.abort()
                case str() | bytes():
                    await client.send(step)
                case _:
                    await client.send(json.dumps(step))
        await client.close()
        self.gone.set()

    def refuse(self, client: ServerConnection, asked: Request) -> Response | None:
        if self.refusal is None:
            return None
        status, headers, body = self.refusal
        response = client.respond(HTTPStatus(status), body)
        for name, value in headers.items():
            response.headers[name] = value
        return response


@asynccontextmanager
async def cloud(*scripts: Sequence[Any], **fields: Any) -> AsyncGenerator[Cloud, None]:
    service = Cloud(list(scripts) or [[]], **fields)
    async with serve(service.answer, "127.0.0.1", 0, process_request=service.refuse) as server:
        service.url = f"ws://127.0.0.1:{port_of(server)}"
        yield service


def port_of(server: Server) -> int:
    port: int = next(iter(server.sockets)).getsockname()[1]
    return port


def says(*texts: str, end: str | None = "EOF", **last: Any) -> list[Any]:
    frames: list[Any] = [{"type": "openai", "model": "m", "created": 1}]
    frames += [{"type": "openai", "index": 0, "text": text} for text in texts]
    frames.append({"type": "openai", "finish_reason": "stop", "usage": USAGE, "index": 0, **last})
    return [*frames, *([{"type": "openai", "error": end}] if end else [])]


async def ask_cloud(
    service: Cloud, asked: ModelRequest | None = None, *, client_id: str = CLIENT_ID, naps: Naps | None = None, **f: Any
) -> Answer:
    preset = Preset(**{"name": "mine", "provider": "wave-cloud", "base_url": service.url, **f})
    async with opened({"WAVE_CLIENT_ID": client_id}, retry=Retry(sleep=(naps or Naps()).sleep)) as registry:
        return await ask(registry.open(preset), asked or request(model="wave-cloud"))


async def test_a_question_and_its_answer() -> None:
    async with cloud(says("Hel", "lo 🎈\u2028!")) as service:
        asked = request("Hi", model="wave-cloud", system="Be kind.", max_tokens=100)
        got = await ask_cloud(service, asked, headers={"X-Team": "blue"})
    assert (got.text, got.error) == ("Hello 🎈\u2028!", None)
    assert got.finish == ModelFinish("stop", Usage(12, 3))
    assert service.asked == [
        {
            "type": "openai-cloudreq",
            "clientid": CLIENT_ID,
            "prompt": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
            "maxtokens": 100,
        }
    ]
    assert service.headers[0]["X-Team"] == "blue"
    assert CLIENT_ID not in str(service.headers[0])


async def test_without_an_id_of_its_own_the_client_keeps_one_as_long_as_the_server_runs() -> None:
    async with cloud(says("Hello")) as service:
        for _ in range(2):
            await ask_cloud(service, client_id="")
    first, second = (asked["clientid"] for asked in service.asked)
    assert first == second
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", first)


async def test_the_service_is_asked_without_a_key_at_its_own_address_too() -> None:
    async with opened({}) as registry:
        assert registry.open(Preset("mine", "wave-cloud")).takes == frozenset()


async def test_words_arrive_while_the_service_is_still_speaking() -> None:
    async with cloud([*says("Hello", end=None), "hold"]) as service, opened() as registry:
        provider = registry.open(Preset("mine", "wave-cloud", base_url=service.url))
        async with aclosing(provider.stream(request(model="wave-cloud"))) as batches:
            assert TextDelta("text-0", "Hello") in await anext(batches)
        async with asyncio.timeout(10):  # closed with the stream, the socket lets the service go on
            await service.gone.wait()


async def test_cancelling_before_the_first_word_closes_the_socket() -> None:
    async with cloud(["hold"]) as service, opened() as registry:
        provider = registry.open(Preset("mine", "wave-cloud", base_url=service.url))
        task = asyncio.create_task(ask(provider, request(model="wave-cloud")))
        async with asyncio.timeout(10):
            await service.arrived.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await service.gone.wait()


async def test_an_answer_is_whole_although_the_socket_stays_open() -> None:
    async with cloud([*says("Hello"), "hold"]) as service:
        got = await ask_cloud(service)
    assert (got.text, got.error) == ("Hello", None)


@pytest.mark.parametrize(
    ("reason", "finish"), [("length", "length"), ("content_filter", "content-filter"), ("x", "other"), ("", "stop")]
)
async def test_finish_reasons(reason: str, finish: str) -> None:
    async with cloud(says("Hello", finish_reason=reason)) as service:
        got = await ask_cloud(service)
    assert got.finish is not None
    assert got.finish.reason == finish


async def test_frames_may_be_printed_prettily_and_be_binary() -> None:
    frame = json.dumps({"text": "Hello", "index": 0}, indent=2)
    async with cloud([frame.replace("\n", "\r\n"), frame.encode(), {"error": "EOF"}]) as service:
        got = await ask_cloud(service)
    assert (got.text, got.error) == ("HelloHello", None)


@pytest.mark.parametrize("ends", [[], ["reset"]], ids=["closed", "reset"])
async def test_a_socket_that_closes_without_eof_has_cut_the_answer_off(ends: list[str]) -> None:
    async with cloud([*says("Hello", end=None), *ends]) as service:
        got = await ask_cloud(service)
    assert (got.text, got.finish) == ("Hello", None)
    assert isinstance(got.error, ProviderBroken)


async def test_any_other_error_is_the_error_and_its_words_stay_in_the_log() -> None:
    async with cloud(says("Well", end=f"no more for {CLIENT_ID}")) as service:
        got = await ask_cloud(service)
    assert got.text == "Well"
    assert isinstance(got.error, ProviderError)
    assert got.error.message == "Wave Cloud reported an error while it answered preset 'mine'. Try again."


async def test_a_connection_lost_before_the_first_word_is_tried_again() -> None:
    naps = Naps()
    async with cloud(["reset"], says("Hello")) as service:
        got = await ask_cloud(service, naps=naps)
    assert (got.text, got.error, len(naps.taken)) == ("Hello", None, 1)


async def test_a_service_that_is_not_there_is_named() -> None:
    async with cloud() as service:
        url = service.url
    got = await ask_cloud(Cloud([[]], url=url))
    assert isinstance(got.error, ProviderUnavailable)
    assert got.error.message.startswith("Wave Cloud does not answer at 127.0.0.1:")


async def test_a_refused_handshake_is_told_by_its_status() -> None:
    async with cloud(refusal=(401, {}, f"who is {CLIENT_ID}?")) as service:
        got = await ask_cloud(service)
    assert isinstance(got.error, ProviderRejected)
    assert got.error.message == "Wave Cloud refuses the key of preset 'mine'. Check WAVE_CLIENT_ID."


async def test_a_redirect_is_not_followed() -> None:
    async with cloud(says("Hello")) as other, cloud(refusal=(302, {"Location": other.url}, "")) as service:
        got = await ask_cloud(service)
    assert isinstance(got.error, ProviderRejected)
    assert other.asked == []


async def test_a_service_that_has_trouble_is_asked_again_when_it_says() -> None:
    naps = Naps()
    async with cloud(refusal=(503, {"Retry-After": "2"}, "")) as service:
        got = await ask_cloud(service, naps=naps)
    assert isinstance(got.error, ProviderUnavailable)
    assert naps.taken == [2, 2]


async def test_something_that_is_no_websocket_says_what_to_check() -> None:
    with Upstream(models_reply=Reply([], 101, {"upgrade": "tea"}, "eof")) as other:
        got = await ask_cloud(Cloud([[]], url=f"ws://127.0.0.1:{other.port}/models"))
    assert isinstance(got.error, ProviderBroken)
    assert "base_url" in got.error.message


@pytest.mark.parametrize("frame", ["no JSON", "[]", json.dumps({"text": "x" * MAX_EVENT_BYTES})])
async def test_a_frame_that_is_not_the_formats_is_an_error(frame: str) -> None:
    async with cloud([frame]) as service:
        got = await ask_cloud(service)
    assert isinstance(got.error, ProviderBroken)


async def test_silence_has_an_end() -> None:
    async with cloud([*says("Hel", end=None), "hold"]) as service:
        got = await ask_cloud(service, timeouts=impatient(between_events=0.3))
    assert (got.text, type(got.error)) == ("Hel", ProviderTimeout)


async def test_a_handshake_has_an_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        got = await ask_cloud(Cloud([[]], url=url), timeouts=impatient(connect=0.05))
    assert isinstance(got.error, ProviderUnavailable)


async def test_what_the_service_has_no_words_for_is_left_out_with_a_word() -> None:
    asked = request(
        model="gpt-6.1-terra",
        tools=(ToolSpec("now", "The time.", {"type": "object"}),),
        temperature=0.5,
        thinking="high",
        stop=("END",),
    )
    async with cloud(says("Hello")) as service:
        got = await ask_cloud(service, asked)
    warned = [event.setting for event in got.events if isinstance(event, CallWarning)]
    assert warned == ["model", "tools", "temperature", "stop", "thinking"]
    assert sorted(service.asked[0]) == ["clientid", "prompt", "type"]


def test_only_what_was_said_in_words_is_sent() -> None:
    unmapped = Unmapped()
    messages = (
        ModelMessage("user", (Text("One."), Text("Two."))),
        ModelMessage("assistant", (Reasoning("Hm."), Text("Let me "), Text("look."), ToolCall("t", "now", {}))),
        ModelMessage("tool", (ToolResult("t", "now", "12:00"),)),
        ModelMessage("assistant", (Text("It is noon."),)),
    )
    sent = cloud_request(ModelRequest("m", messages, response_format="json"), "id", unmapped)
    assert sent["prompt"] == [
        {"role": "system", "content": JSON_INSTRUCTION},
        {"role": "user", "content": "One.\n\nTwo."},
        {"role": "assistant", "content": "Let me look."},
        {"role": "assistant", "content": "It is noon."},
    ]
    assert unmapped.counts == {
        "wave_cloud: Reasoning in the history": 1,
        "wave_cloud: ToolCall in the history": 1,
        "wave_cloud: ToolResult in the history": 1,
    }


async def test_a_second_choice_is_counted() -> None:
    async with cloud([{"index": 1, "text": "Or else"}, *says("Hello")]) as service, opened() as registry:
        provider = registry.open(Preset("mine", "wave-cloud", base_url=service.url))
        assert (await ask(provider, request(model="wave-cloud"))).text == "Hello"
        assert registry.unmapped.counts == {"wave_cloud: a second choice": 1}
