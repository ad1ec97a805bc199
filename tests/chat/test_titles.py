"""Titles by a model: asked in the background, taken only where nobody has set one."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

import pytest

from app.chat.answerers import Answerers
from app.chat.completions import Completions
from app.chat.titles import LONGEST, Titles, clean_title
from app.chat.usage import UsageBook
from app.core.errors import ProviderRateLimited
from app.core.messages import parse_messages
from app.core.model import Configuration, Preset, Prices, Text
from app.core.values import Values
from app.storage.usage import SqliteUsageLedger
from tests.chat.scripted import ScriptedProvider, saying

pytestmark = pytest.mark.anyio

PRESETS = {
    "default": Preset("default", "echo", values=Values(model="big", system="Be kind.")),
    "cheap": Preset("cheap", "echo", values=Values(model="small", system="Be brief.")),
}


def messages(*texts):
    return parse_messages(
        [
            {"id": f"m{i}", "role": "assistant" if i % 2 else "user", "parts": [{"type": "text", "text": text}]}
            for i, text in enumerate(texts)
        ]
    )


class Room:
    """Titles over a real store."""

    def __init__(self, house, tasks):
        self.store = house.store
        self.prompts = house.prompts
        self.keys = house.keys
        self.ledger = SqliteUsageLedger(house.store.database)
        self.tasks = tasks

    def titles(self, provider, *, preset="cheap", seconds=20.0):
        def configuration():
            return Configuration(PRESETS, title_preset=preset)

        usage = UsageBook(self.ledger, lambda *_: Prices(1, 2), lambda: datetime(2026, 11, 21, tzinfo=UTC))
        completions = Completions(
            configuration=configuration,
            providers=provider,
            answerers=Answerers(provider, usage),
            prompts=self.prompts,
            usage=usage,
            keys=self.keys,
        )
        return Titles(
            configuration=configuration,
            completions=completions,
            conversations=self.store,
            tasks=self.tasks,
            seconds=seconds,
        )

    async def say(self, *texts):
        await self.store.save("b", messages(*texts), placement="branch")

    async def title(self):
        return (await self.store.load("b")).title


@pytest.fixture
async def room(house):
    async with asyncio.TaskGroup() as tasks:
        yield Room(house, tasks)


class Asked(ScriptedProvider):
    """Tells when it is asked, and answers when it may."""

    def __init__(self, *script):
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()
        super().__init__(self.go_on, *script)

    def open(self, preset):
        self.asked.set()
        return self


async def until_named():
    """Until no title is under way."""
    if running := [task for task in asyncio.all_tasks() if task.get_name() == "title b"]:
        await asyncio.wait(running)


async def name(room, provider, **more):
    titles = room.titles(provider, **more)
    titles.after_turn("b")
    await until_named()


async def test_a_conversation_is_named_after_its_first_answer(room):
    await room.say("How do I boil an egg?", "Seven minutes.")
    provider = ScriptedProvider(*saying('"Boiling ', 'an Egg."\n'))
    await name(room, provider)
    assert await room.title() == "Boiling an Egg"
    (request,) = provider.requests
    assert request.model == "small"
    assert "title" in request.system
    assert "Be brief." not in request.system
    (message,) = request.messages
    (content,) = message.content
    assert isinstance(content, Text)
    assert "How do I boil an egg?" in content.text
    assert "Seven minutes." in content.text


async def test_what_a_title_costs_stands_in_the_books(room):
    await room.say("hi", "hello")
    await name(room, ScriptedProvider(*saying("A ", "Greeting")))
    report = await room.ledger.report()
    [purpose], [conversation], [preset], [model] = report.purposes, report.conversations, report.presets, report.models
    assert (purpose.name, conversation.name, preset.name, model.name) == ("title", "b", "cheap", "echo/small")
    assert (report.total.usage.total_tokens, report.total.cost_usd) == (4, pytest.approx(6e-6))


async def test_a_title_does_not_make_the_conversation_a_newer_one(room):
    await room.say("hi", "hello")
    before = (await room.store.load("b")).updated_at
    await name(room, ScriptedProvider(*saying("A Greeting")))
    assert (await room.store.load("b")).updated_at == before


async def test_long_messages_are_shown_to_the_model_in_part(room):
    await room.say("q" * 50_000, "a" * 50_000)
    provider = ScriptedProvider(*saying("Letters"))
    await name(room, provider)
    assert len(provider.requests[0].messages[0].content[0].text) < 5_000


@pytest.mark.parametrize("said", [("hi",), ("hi", "hello", "and?", "so."), ("", "hello"), ("hi", " ")])
async def test_only_the_first_answer_asks_for_a_title(room, said):
    await room.say(*said)
    provider = ScriptedProvider(*saying("A Greeting"))
    await name(room, provider)
    assert provider.requests == []


async def test_without_a_preset_for_it_nobody_is_asked(room):
    await room.say("hi", "hello")
    provider = ScriptedProvider(*saying("A Greeting"))
    await name(room, provider, preset=None)
    assert provider.requests == []
    assert await room.title() == "hi"


async def test_an_unknown_conversation_stays_unknown(room):
    await name(room, ScriptedProvider(*saying("A Greeting")))
    assert await room.store.block("b") == {}


async def test_a_title_that_somebody_has_set_stays(room):
    await room.say("hi", "hello")
    await room.store.patch_block("b", {"title": "Mine"})
    provider = ScriptedProvider(*saying("A Greeting"))
    await name(room, provider)
    assert await room.title() == "Mine"
    assert provider.requests == []


async def test_a_title_set_while_the_model_thinks_stays(room):
    await room.say("hi", "hello")
    provider = Asked(*saying("A Greeting"))
    room.titles(provider).after_turn("b")
    await provider.asked.wait()
    await room.store.patch_block("b", {"title": "Mine"})
    provider.go_on.set()
    await until_named()
    assert await room.title() == "Mine"


async def test_a_conversation_deleted_while_the_model_thinks_does_not_come_back(room):
    await room.say("hi", "hello")
    provider = Asked(*saying("A Greeting"))
    room.titles(provider).after_turn("b")
    await provider.asked.wait()
    await room.store.delete("b")
    provider.go_on.set()
    await until_named()
    assert await room.store.block("b") == {}


@pytest.mark.parametrize(
    ("provider", "seconds"),
    [
        (ScriptedProvider(ProviderRateLimited("Later.")), 20.0),
        (ScriptedProvider(RuntimeError("a bug")), 20.0),
        (ScriptedProvider(asyncio.Event()), 0.01),
    ],
    ids=["refused", "broken", "silent"],
)
async def test_a_failure_leaves_the_first_words_and_is_logged_once(room, caplog, provider, seconds):
    await room.say("hi", "hello")
    with caplog.at_level(logging.INFO, "app.chat.titles"):
        await name(room, provider, seconds=seconds)
    assert await room.title() == "hi"
    (record,) = caplog.records
    assert (record.message, record.block_id, record.preset) == ("no title", "b", "cheap")
    assert provider.closed.is_set() == bool(provider.requests), "no call is left open"


async def test_an_answer_without_a_title_in_it_changes_nothing(room):
    await room.say("hi", "hello")
    await name(room, ScriptedProvider(*saying('"', '"')))
    assert await room.store.block("b") == {}


async def test_one_conversation_is_named_once_at_a_time(room):
    await room.say("hi", "hello")
    provider = Asked(*saying("A Greeting"))
    titles = room.titles(provider)
    for _ in range(3):
        titles.after_turn("b")
    await provider.asked.wait()
    titles.after_turn("b")
    provider.go_on.set()
    await until_named()
    assert len(provider.requests) == 1


async def test_shutting_down_waits_for_no_title(room):
    await room.say("hi", "hello")
    provider = Asked()
    titles = room.titles(provider)
    titles.after_turn("b")
    await provider.asked.wait()
    await titles.drain()
    titles.after_turn("b")
    await until_named()
    assert provider.closed.is_set() == bool(provider.requests), "no call is left open"
    assert len(provider.requests) <= 1
    assert await room.title() == "hi"


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("Boiling an Egg", "Boiling an Egg"),
        ("  \n\n«Œufs à la coque».\nOr: eggs", "Œufs à la coque"),
        ("**Title: “Learning C#”**", "Learning C#"),
        ("# .NET or Java?", ".NET or Java?"),
        ("Titel: Eier\u202e kochen\x00\x07", "Eier kochen"),
        ("Two\u2003spaces\tand a tab", "Two spaces and a tab"),
        ("<think>\nEggs?\n</think>\n\nEggs", "Eggs"),
        ("<think>cut off", ""),
        ("“卵の茹で方。”", "卵の茹で方"),
        ("", ""),
        ("***\n---", ""),
    ],
)
def test_a_title_is_one_plain_line(said, title):
    assert clean_title(said) == title


@pytest.mark.parametrize("said", ["word " * 50, "x" * 200])
def test_a_title_is_short(said):
    title = clean_title(said)
    assert len(title) <= LONGEST
    assert title.endswith(("word…", "x…"))
