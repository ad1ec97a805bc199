"""One conversation that moves from service to service, with thinking and tools, and ends where it began."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.said import Said, calling
from tests.acceptance.services import SERVICES
from tests.acceptance.use_chat import UseChat
from tests.llama import llama_server

RAIN = {"city": "Tromsø", "mm": 7.5}
WIND = "Tromsø: 9 m/s"
REAL = """
[presets.llamacpp]
provider = "{provider}"
base_url = "{base_url}"
model = "any"
max_tokens = 12
tools = ["rain", "wind", "launch"]
"""


@pytest.fixture(scope="module")
def llama() -> Iterator[str]:
    with llama_server() as base_url:
        yield base_url


def scripted(service, number):
    """A turn: two calls, then a sentence."""
    asked = calling(number, "rain", "wind", thought=f"{service.provider} thinks.", text="Let me look.")
    return asked, Said(f"{service.provider} has looked.", number=number + 1)


@pytest.mark.parametrize(
    "route",
    [
        ("anthropic", "openai", "google", "llamacpp", "anthropic"),
        ("google", "mistral", "llamacpp", "deepseek", "openai", "google"),
        ("openai", "lmstudio", "llamacpp", "openrouter", "anthropic", "openai"),
    ],
    ids=" ".join,
)
def test_every_service_takes_the_conversation_and_has_back_what_it_signed(route, llama, upstream, palaver, ran):
    others = [SERVICES[name] for name in set(route) - {"llamacpp"}]
    presets = REAL.format(provider="llamacpp", base_url=llama) + "".join(service.preset(upstream) for service in others)
    rows = {}
    with palaver(presets) as client:
        chat = UseChat(client, "b1", route[0])
        for place, name in enumerate(route):
            chat.preset = name
            if name == "llamacpp":
                chat.send("And you?")
                assert chat.last["metadata"]["finishReason"] in ("stop", "length", "tool-calls")
                continue
            service = SERVICES[name]
            upstream.reply(*map(service.dialect.frames, (turn := scripted(service, 10 * place + 1))))
            chat.send(f"Question {place}")
            bodies = [request.json for request in upstream.requests[-2:]]
            for body in bodies:
                service.check(body)
            row = service.dialect.prompt(bodies[-1])
            back = service.dialect.sent_back(turn[0], [RAIN, WIND], chat.call_ids)
            assert row[-len(back) :] == back
            if name in rows:  # what was said here before stands there as it stood then
                assert row[: len(rows[name])] == rows[name]
            rows.setdefault(name, row)
        stored = chat.stored()
    assert [message["parts"] for message in stored] == [message["parts"] for message in chat.messages]
    assert len(ran()) >= 2 * (len(route) - 1)


REAL_FORMATS = pytest.mark.parametrize("provider", ["llamacpp", "openai-responses", "anthropic"])
"""The formats that llama.cpp speaks."""


@REAL_FORMATS
def test_a_real_server_ends_a_turn_with_tools_well_and_takes_its_own_history(provider, llama, palaver):
    with palaver(REAL.format(provider=provider, base_url=llama)) as client:
        chat = UseChat(client, "b1", "llamacpp")
        for turn in range(4):
            chat.send(f"How is the weather, for the {turn}th time?")
            metadata = chat.last["metadata"]
            assert metadata["finishReason"] in ("stop", "length", "tool-calls")
            assert metadata["usage"]["inputTokens"] > 10
        stored = chat.stored()
    assert len(stored) == 8
    assert [message["parts"] for message in stored] == [message["parts"] for message in chat.messages]


@REAL_FORMATS
def test_a_real_server_goes_on_after_calls_of_another(provider, llama, upstream, palaver):
    service = SERVICES["openai-chat"]
    upstream.reply(*map(service.dialect.frames, scripted(service, 1)))
    with palaver(REAL.format(provider=provider, base_url=llama) + service.preset(upstream)) as client:
        chat = UseChat(client, "b1", "openai-chat")
        chat.send("How is it in Tromsø?")
        chat.preset = "llamacpp"
        chat.send("And what do you say?")
        assert chat.last["metadata"]["model"] == "any"
        assert chat.last["metadata"]["finishReason"] in ("stop", "length", "tool-calls")
        assert "repairs" not in chat.last["metadata"]


@pytest.mark.parametrize(("asks", "goes_on"), [("anthropic", "openai"), ("openai", "google"), ("google", "anthropic")])
def test_a_call_that_one_service_made_is_approved_under_another(asks, goes_on, upstream, palaver, ran):
    one, other = SERVICES[asks], SERVICES[goes_on]
    asked = calling(1, "launch", "rain", thought="Up it goes.", text="Let me launch one.")
    told = Said("It flies.", number=2)
    upstream.reply(one.dialect.frames(asked), other.dialect.frames(told), one.dialect.frames(Said("Bye.", number=3)))
    with palaver(one.preset(upstream) + other.preset(upstream)) as client:
        chat = UseChat(client, "b1", asks)
        chat.send("Launch it.")
        chat.preset = goes_on
        chat.answer_approvals(True)
        assert chat.text == "Let me launch one.It flies."
        chat.preset = asks
        ids = chat.call_ids
        chat.send("Thanks.")
        assert [message["parts"] for message in chat.stored()] == [message["parts"] for message in chat.messages]
    first, second, third = (request.json for request in upstream.requests)
    for service, body in ((one, first), (other, second), (one, third)):
        service.check(body)
    row, back = one.dialect.prompt(first), one.dialect.sent_back(asked, ["It flies.", RAIN], ids)
    assert one.dialect.prompt(third)[: len(row) + len(back)] == [*row, *back]
    assert sorted(ran()) == ["launch Tromsø", "rain Tromsø"]
