"""What a turn with tools has used and cost: summed in the message, one line for each call in the books."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import SETTINGS
from tests.acceptance.said import Said, Tokens, calling
from tests.acceptance.services import SERVICES
from tests.acceptance.use_chat import UseChat
from tests.durability.client import wait_until

FIRST = Tokens(sent=1000, read=200, written=0, said=30, thought=10)
SECOND = Tokens(sent=1200, read=900, written=0, said=20, thought=0)
TITLE = Tokens(sent=60, read=0, written=0, said=4, thought=0)
INPUT, OUTPUT, READ, WRITE = 1000e-6, 3000e-6, 100e-6, 1250e-6
"""The prices of the presets, for one token."""


@pytest.fixture(params=SERVICES)
def service(request):
    return SERVICES[request.param]


def test_steps_and_titles_are_counted_and_priced(service, upstream, palaver):
    replies = (
        calling(1, "rain", "wind", tokens=FIRST),
        Said("It rains.", number=2, tokens=SECOND),
        Said("Rain in Tromsø", number=3, tokens=TITLE),
    )
    upstream.reply(*map(service.dialect.frames, replies))
    naming = f'[settings]\n"ai:titlepreset" = "{service.provider}"\n{SETTINGS}'
    with palaver(service.preset(upstream), naming) as client:
        chat = UseChat(client, "b1", service.provider)
        chat.send("How is it?")
        wait_until(lambda: client.get("/api/ai/usage").json()["total"]["calls"] == 3)
        books = client.get("/api/ai/usage").json()
        stored = chat.stored()
    read = 1100 if service.reports_cache else 0
    metadata = chat.last["metadata"]
    assert stored[-1]["metadata"] == metadata
    assert (metadata["usage"]["inputTokens"], metadata["usage"]["outputTokens"]) == (2200, 50)
    assert metadata["usage"].get("cachedInputTokens", 0) == read
    cost = (2200 - read) * INPUT + read * READ + 50 * OUTPUT
    assert metadata["costUsd"] == pytest.approx(cost)

    purposes = {entry["purpose"]: entry for entry in books["byPurpose"]}
    assert {name: entry["calls"] for name, entry in purposes.items()} == {"chat": 2, "title": 1}
    assert purposes["chat"]["costUsd"] == pytest.approx(cost)
    assert purposes["title"]["costUsd"] == pytest.approx(60 * INPUT + 4 * OUTPUT)
    assert books["total"]["inputTokens"] == 2260
    assert "tools" not in upstream.requests[2].json


def test_what_anthropic_writes_to_its_cache_has_its_own_price(upstream, palaver):
    service = SERVICES["anthropic"]
    writes = Tokens(sent=1000, read=0, written=800, said=10, thought=0)
    upstream.reply(service.dialect.frames(Said("Hello.", tokens=writes)))
    with palaver(service.preset(upstream)) as client:
        chat = UseChat(client, "b1", service.provider)
        chat.send("Hello?")
    assert chat.last["metadata"]["usage"]["cacheWriteTokens"] == 800
    assert chat.last["metadata"]["costUsd"] == pytest.approx(200 * INPUT + 800 * WRITE + 10 * OUTPUT)


def test_an_answer_that_is_gone_on_with_adds_up_over_both_turns(upstream, palaver):
    service = SERVICES["anthropic"]
    replies = (calling(1, "launch", tokens=FIRST), Said("It flies.", number=2, tokens=SECOND))
    upstream.reply(*map(service.dialect.frames, replies))
    with palaver(service.preset(upstream)) as client:
        chat = UseChat(client, "b1", service.provider)
        chat.send("Launch it.")
        first = dict(chat.last["metadata"])
        chat.answer_approvals(True)
        books = client.get("/api/ai/usage").json()
    assert first["usage"]["inputTokens"] == 1000
    assert chat.last["metadata"]["usage"]["inputTokens"] == 2200
    assert books["total"]["calls"] == 2
    assert books["total"]["costUsd"] == pytest.approx(chat.last["metadata"]["costUsd"])
