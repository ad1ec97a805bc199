from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count

import pytest

from app.chat.answerers import Answerers
from app.chat.attachments import Attachments
from app.chat.gateway_keys import GatewayKeys
from app.chat.live import LiveRuns
from app.chat.prompts import Prompts
from app.chat.run import Clock
from app.chat.turns import Turns
from app.chat.usage import UsageBook
from app.core.model import Configuration, Preset
from app.core.tools import Offered, names_tool
from app.core.values import Values
from app.storage.files import FileFolder
from app.storage.gateway_keys import SqliteGatewayKeys
from app.storage.prompt_templates import SqliteTemplateStore
from app.storage.sqlite import open_store
from app.storage.tools import SqliteToolLedger
from app.storage.usage import SqliteUsageLedger
from app.streams.memory import MemoryStreamLog

CONFIGURATION = Configuration(
    {
        name: Preset(name, "echo", values=Values(model=f"{name}-model", system="Be kind.", tools=("*",)))
        for name in ("default", "other")
    }
)


class Box:
    """A `ToolBox` with the tools that a test puts in."""

    def __init__(self, *tools):
        self.by_name = {tool.spec.name: tool for tool in tools}
        self.problems = ()

    async def tools(self, names):
        chosen = [tool for name, tool in self.by_name.items() if any(names_tool(each, name) for each in names)]
        return Offered(tuple(chosen), self.problems)


class Recorder:
    """An `Encoder` that only notes what it is told."""

    def __init__(self):
        self.format = f"recorder {id(self)}"
        self.events = []

    def encode(self, events):
        self.events += events
        return b"."

    def end(self):
        return b"end"


class House:
    """Turns and runs over a real store and a real log, with a provider of the test's choice."""

    def __init__(self, store, files, tasks):
        numbers = count(1)
        clock = Clock(now=lambda: datetime(2026, 11, 21, tzinfo=UTC), monotonic=lambda: 0.0)
        self.store = store
        self.ledger = SqliteToolLedger(store.database)
        self.box = Box()
        self.usage = UsageBook(SqliteUsageLedger(store.database), lambda *_: None, clock.now)
        self.configuration = CONFIGURATION
        self.files = files
        self.attachments = Attachments(files, store)
        self.log = MemoryStreamLog()
        self.runs = LiveRuns(self.log, store, tasks, clock)
        self.new_id = lambda: f"id{next(numbers)}"
        self.keys = GatewayKeys(
            SqliteGatewayKeys(store.database), lambda: self.configuration, clock.now, clock.monotonic
        )
        self.prompts = Prompts(SqliteTemplateStore(store.database, clock.now), store, self.new_id)

    def turns(self, provider):
        return Turns(
            configuration=lambda: self.configuration,
            answerers=Answerers(provider, self.usage),
            conversations=self.store,
            attachments=self.attachments,
            tools=self.box,
            calls=self.ledger,
            usage=self.usage,
            runs=self.runs,
            prompts=self.prompts,
            new_id=self.new_id,
        )

    async def replayed(self, run):
        """What a client gets that attaches to the run and has nothing of it."""
        encoder = Recorder()
        receiver = self.runs.follow(run, encoder, whole=True)
        async for _ in receiver.pieces(None):
            pass
        receiver.close()
        return encoder.events

    async def events(self, run):
        return [event for batch in [batch async for batch in self.runs.read(run)] for event in batch]


@asynccontextmanager
async def open_house(folder) -> AsyncGenerator[House, None]:
    store = await open_store(folder / "palaver.db", now=lambda: datetime.now(UTC))
    try:
        async with asyncio.TaskGroup() as tasks:
            house = House(store, FileFolder(folder / "files"), tasks)
            yield house
            await house.runs.drain(0)
    finally:
        await store.close()


@pytest.fixture
async def house(tmp_path):
    async with open_house(tmp_path) as house:
        yield house
