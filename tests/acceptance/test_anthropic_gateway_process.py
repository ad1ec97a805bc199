"""The official SDK of Anthropic and the server as it is started: what needs real connections."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import anthropic
import pytest

from tests.server_process import server_process
from tests.upstream import Gate, Upstream, anthropic_answer, chat_answer, json_reply

pytestmark = pytest.mark.anyio

CONFIG = """
[presets.default]
provider = "echo"

[presets.claude]
provider = "anthropic"
base_url = "{url}"
model = "claude-haiku-4-5"

[presets.local]
provider = "llamacpp"
base_url = "{url}/v1"
model = "tiny"

[presets.hasty]
provider = "anthropic"
base_url = "{url}"
model = "claude-haiku-4-5"
timeouts = {{ first_event = 0.3 }}
"""
QUESTION = [{"role": "user", "content": "How is it?"}]
BEGINNINGS = {
    "claude": anthropic_answer("Hel", finish=None),
    "local": chat_answer("Hel", finish=None),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with Upstream() as upstream:
        config = CONFIG.format(url=upstream.url)
        with server_process(tmp_path_factory.mktemp("gateway"), config=config) as server:
            yield server, upstream


@pytest.fixture
def upstream(running):
    upstream = running[1]
    upstream.requests.clear()
    return upstream


@pytest.fixture
async def client(running):
    async with anthropic.AsyncAnthropic(api_key="any", base_url=running[0].url, max_retries=0, timeout=10) as client:
        yield client


def arguments(model, **more):
    return {"model": model, "max_tokens": 500, "messages": QUESTION, **more}


def test_the_quickstart_works_with_the_address_alone(tmp_path, monkeypatch):
    with server_process(tmp_path) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
        with anthropic.Anthropic() as client:
            message = client.messages.create(
                model="claude-opus-5-5", max_tokens=1024, messages=[{"role": "user", "content": "say Hello, Claude"}]
            )
    assert message.content[0].text == "Hello, Claude"


async def test_an_unknown_model_is_answered_by_the_default_preset(client):
    message = await client.messages.create(**arguments("no-such-model"))
    assert message.model == "echo"
    with pytest.raises(anthropic.NotFoundError, match="no such model"):
        await client.messages.create(**arguments("nobody/no-such-model"))


async def test_the_async_client_streams(client, upstream):
    for model, answer in (("claude", anthropic_answer("Hel", "lo")), ("local", chat_answer("Hel", "lo"))):
        upstream.reply(answer)
        async with client.messages.stream(**arguments(model)) as stream:
            assert [text async for text in stream.text_stream] == ["Hel", "lo"]
        upstream.reply(answer)
        raw = await client.messages.create(**arguments(model), stream=True)
        kinds = [event.type async for event in raw]
        assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")


@pytest.mark.parametrize("model", BEGINNINGS)
async def test_a_client_that_leaves_a_stream_ends_the_call(client, upstream, model):
    """V1-05."""
    upstream.reply([*BEGINNINGS[model], "hold"])
    async with client.messages.stream(**arguments(model)) as stream:
        async for text in stream.text_stream:
            assert text == "Hel"
            break
    await upstream.requests[0].gone.opened()


@pytest.mark.parametrize("model", BEGINNINGS)
async def test_a_client_that_leaves_before_the_first_word_ends_the_call(client, upstream, model):
    upstream.reply(["hold"])
    asking = asyncio.create_task(client.messages.create(**arguments(model), stream=True))
    await upstream.arrived(1)
    asking.cancel()
    await upstream.requests[0].gone.opened()


@pytest.mark.parametrize("model", BEGINNINGS)
async def test_a_client_that_leaves_a_whole_answer_ends_the_call(client, upstream, model):
    """V1-06."""
    upstream.reply(["hold"])
    asking = asyncio.create_task(client.messages.create(**arguments(model)))
    await upstream.arrived(1)
    asking.cancel()
    await upstream.requests[0].gone.opened()


async def test_the_sdk_tries_again_where_the_server_has_given_up(client, upstream):
    overloaded = json_reply(529, {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}})
    upstream.reply(overloaded, overloaded, overloaded, anthropic_answer("Hi."))
    async with client.with_options(max_retries=1).messages.stream(**arguments("claude")) as stream:
        assert await stream.get_final_text() == "Hi."
    assert len(upstream.requests) == 4


async def test_a_service_that_says_nothing_is_given_up_in_time(client, upstream):
    upstream.reply(["hold"])
    with pytest.raises(anthropic.APIStatusError) as caught:
        await client.messages.create(**arguments("hasty"), stream=True)
    assert caught.value.status_code == 504
    await upstream.requests[0].gone.opened()


async def test_a_whole_answer_may_take_longer_than_a_first_word(client, upstream):
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "At last."}], "usage": {"input_tokens": 1, "output_tokens": 2},
    }  # fmt: skip
    reply = json_reply(200, message)
    gate = Gate()
    upstream.reply(replace(reply, steps=[gate, *reply.steps]), ["hold"])
    asking = asyncio.create_task(client.messages.create(**arguments("hasty")))
    await upstream.arrived(1)
    with pytest.raises(anthropic.APIStatusError, match="504"):  # the first word of a stream is too late by now
        await client.messages.create(**arguments("hasty"), stream=True)
    gate.open()
    assert (await asking).content[0].text == "At last."
