"""The search by meaning, over a real store: everything gets its vectors once, and is found by what it means."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from app.chat.embedding import Embeddings
from app.chat.gateway_keys import GatewayKeys
from app.chat.search import Search, fused
from app.chat.search_index import AT_ONCE, SearchIndex
from app.chat.usage import UsageBook
from app.core.conversations import ConversationSummary
from app.core.embeddings import BatchLimits, Embedded, Progress, to_vector
from app.core.errors import InvalidRequest, ProviderRejected, ProviderUnavailable
from app.core.events import Usage
from app.core.messages import parse_messages
from app.core.model import Configuration, Preset
from app.core.values import Values
from app.storage.usage import SqliteUsageLedger
from app.storage.vectors import SqliteVectors
from tests.chat.key_store import KeyStore
from tests.embeddings import vector_of

pytestmark = pytest.mark.anyio


class Meanings:
    """An embedder of known words, and its own `Providers`."""

    def __init__(self):
        self.requests = []
        self.fails = None
        """What every request raises."""
        self.refuses = None
        """A word that it does not take."""
        self.holds = None
        """What every request waits for."""
        self.asked = asyncio.Event()

    def embedder(self, preset):
        return self

    def prefix(self, model, input_type):
        return f"{input_type}: " if model == "prefixed" else ""

    def limits(self, model):
        return BatchLimits()

    async def embed(self, request):
        self.requests.append(request)
        self.asked.set()
        if self.holds is not None:
            await self.holds.wait()
        if self.fails is not None:
            raise self.fails
        if self.refuses is not None and any(self.refuses in text for text in request.texts):
            raise ProviderRejected("Too long.")
        return Embedded([to_vector(vector_of(text)) for text in request.texts], Usage(len(request.texts), 0))

    @property
    def documents(self):
        return [text for request in self.requests if request.input_type == "document" for text in request.texts]

    @property
    def queries(self):
        return [text for request in self.requests if request.input_type == "query" for text in request.texts]


class Vectors(SqliteVectors):
    """Where NumPy is missing."""

    def problem(self):
        return "There is no NumPy."


class Library:
    def __init__(self, store, tasks):
        self.store, self.tasks = store, tasks
        self.meanings = Meanings()
        self.naps = []
        self.model = "m"
        self.ledger = SqliteUsageLedger(store.database)
        self.vectors = SqliteVectors(store.database)
        self.open()

    def open(self):
        """As after a new start."""
        book = UsageBook(self.ledger, lambda *_: None, lambda: datetime(2026, 11, 22, tzinfo=UTC))
        keys = GatewayKeys(KeyStore(), self.configuration, lambda: datetime.now(UTC), lambda: 0.0)
        self.embeddings = Embeddings(configuration=self.configuration, providers=self.meanings, usage=book, keys=keys)
        self.index = SearchIndex(self.vectors, self.embeddings, self.tasks, self.nap)
        self.search = Search(self.store, self.vectors, self.embeddings)

    def configuration(self):
        if self.model is None:
            return Configuration({})
        return Configuration({"e": Preset("e", "ollama", values=Values(model=self.model))}, embed_preset="e")

    async def nap(self, seconds):
        self.naps.append(seconds)
        await asyncio.sleep(0)

    async def say(self, block_id, *texts):
        messages = [
            {"id": f"m{n}", "role": "assistant" if n % 2 else "user", "parts": [{"type": "text", "text": text}]}
            for n, text in enumerate(texts)
        ]
        await self.store.save(block_id, parse_messages(messages), placement="merge")

    async def found(self, query, **how):
        result = await self.search.page(query=query, **how)
        return [item.block_id for item in result.page.items]


@pytest.fixture
async def library(house):
    async with asyncio.TaskGroup() as tasks:
        library = Library(house.store, tasks)
        yield library
        await library.index.drain()


# Indexing


async def test_everything_gets_its_vectors_and_nothing_is_sent_twice(library):
    await library.say("a", "my automobile", "a cat")
    await library.say("b", "my automobile")
    await library.index.sweep()
    await library.index.sweep()
    library.open()
    await library.index.sweep()
    assert library.meanings.documents == ["my automobile", "a cat"]
    state = await library.index.state()
    assert (state.preset, state.model, state.progress, state.problem) == ("e", "m", Progress(3, 3), None)


async def test_what_a_turn_has_said_is_taken_up_behind_it(library):
    await library.say("a", "a car")
    await library.say("b", "a cat")
    library.index.after_turn("a")
    await asyncio.gather(*library.index._running.values())
    assert library.meanings.documents == ["a car"]


async def test_an_index_that_is_broken_off_goes_on_where_it_stopped(library):
    for n in range(100):
        await library.say(f"b{n}", f"car number {n}")

    async def nap(_):
        library.meanings.asked.clear()
        library.meanings.holds = asyncio.Event()  # the second request is never answered

    library.index = SearchIndex(library.vectors, library.embeddings, library.tasks, nap)
    sweep = asyncio.create_task(library.index.sweep())
    while len(library.meanings.requests) < 2:
        await library.meanings.asked.wait()
        await asyncio.sleep(0)
    sweep.cancel()
    await asyncio.wait([sweep])
    done = (await library.vectors.progress("ollama/m")).done
    assert 0 < done < 100
    library.meanings.holds = None
    library.meanings.requests.clear()
    library.open()
    await library.index.sweep()
    assert len(library.meanings.documents) == 100 - done
    assert (await library.index.state()).progress == Progress(100, 100)


async def test_no_more_than_so_many_are_sent_at_once_and_then_there_is_a_pause(library):
    await library.say("a", *("\n\n".join(f"{n} {m} " + "word " * 220 for m in range(30)) for n in range(10)))
    await library.index.sweep()
    sizes = [len(request.texts) for request in library.meanings.requests]
    assert max(sizes) <= AT_ONCE
    assert sum(sizes) == 300
    assert len(library.naps) == len(sizes)


async def test_a_text_that_the_service_refuses_does_not_hold_up_the_others(library):
    library.meanings.refuses = "poison"
    await library.say("a", "a car", "the poison", "a cat")
    await library.index.sweep()
    assert (await library.index.state()).progress == Progress(3, 3)
    assert await library.found("feline", mode="semantic") == ["a"]
    library.meanings.requests.clear()
    await library.index.sweep()
    assert library.meanings.requests == []


async def test_a_service_that_refuses_everything_leaves_everything_to_do(library):
    library.meanings.fails = ProviderRejected("Bad key.")
    await library.say("a", "a car")
    with pytest.raises(ProviderRejected):
        await library.index.sweep()
    assert (await library.index.state()).progress == Progress(0, 1)
    library.meanings.fails = None
    await library.index.sweep()
    assert (await library.index.state()).progress == Progress(1, 1)


async def test_another_model_makes_other_vectors_and_the_old_ones_go_when_it_is_done(library):
    await library.say("a", "a car")
    await library.index.sweep()
    library.model = "n"
    assert (await library.index.state()).progress == Progress(0, 1)
    await library.index.sweep()
    assert await library.vectors.known("ollama/m", ["a car"]) == [None]
    assert library.meanings.documents == ["a car", "a car"]


async def test_everything_is_made_anew_when_somebody_asks(library):
    await library.say("a", "a car")
    await library.index.sweep()
    await library.index.restart()
    assert (await library.index.state()).progress == Progress(0, 1)
    await library.index.sweep()
    assert library.meanings.documents == ["a car", "a car"]


async def test_the_index_keeps_itself_through_failures_and_new_configurations(library):
    library.model = None
    await library.say("a", "a car")
    keeping = asyncio.create_task(library.index.keep())
    await asyncio.sleep(0)
    library.model = "m"
    library.meanings.fails = ProviderUnavailable("It is down.")
    await library.index.restart()
    await library.meanings.asked.wait()
    while (state := await library.index.state()).problem is None:
        await asyncio.sleep(0)
    assert state.problem == "It is down."
    library.meanings.fails = None
    await library.index.restart()
    while (await library.index.state()).progress.done == 0:
        await asyncio.sleep(0)
    keeping.cancel()
    await asyncio.wait([keeping])


async def test_without_numpy_nothing_is_sent(library):
    library.vectors = Vectors(library.store.database)
    library.open()
    await library.say("a", "a car")
    library.index.after_turn("a")
    with pytest.raises(InvalidRequest, match="no NumPy"):
        await library.index.sweep()
    assert (await library.index.state()).problem == "There is no NumPy."
    found = await library.search.page(query="a car")
    assert ([item.block_id for item in found.page.items], found.mode) == (["a"], "text")
    assert found.problem == "There is no NumPy."
    assert library.meanings.requests == []


async def test_what_is_sent_stands_in_the_books(library):
    await library.say("a", "a car", "a cat")
    await library.index.sweep()
    await library.found("automobile")
    [purpose] = (await library.ledger.report()).purposes
    assert (purpose.name, purpose.calls, purpose.usage.input_tokens) == ("embedding", 2, 3)


# Searching


@pytest.fixture
async def shelves(library):
    await library.say("driving", "Which automobile shall I buy?")
    await library.say("pets", "My kitten sleeps.")
    await library.say("cars", "The word car stands here.")
    await library.say("food", "A loaf of bread.")
    await library.index.sweep()
    return library


async def test_a_search_finds_words_and_meanings_and_the_words_first(shelves):
    found = await shelves.search.page(query="car")
    assert [item.block_id for item in found.page.items] == ["cars", "driving"]
    assert (found.mode, found.problem) == ("hybrid", None)
    words, meaning = found.page.items
    assert words.match is not None
    assert ("car", True) in words.match.snippet
    assert meaning.match is not None
    assert meaning.match.snippet == (("Which automobile shall I buy?", False),)


async def test_each_way_of_searching_can_be_asked_for(shelves):
    assert await shelves.found("car", mode="text") == ["cars"]
    assert shelves.meanings.queries == []
    assert set(await shelves.found("vehicle", mode="semantic")) == {"cars", "driving"}
    assert await shelves.found("vehicle", mode="text") == []
    assert await shelves.found("feline") == ["pets"]


async def test_a_ranking_is_paged(shelves):
    for n in range(7):
        await shelves.say(f"more{n}", f"one more car {n}")
    await shelves.index.sweep()
    seen, cursor = [], None
    while True:
        found = await shelves.search.page(query="car", limit=4, cursor=cursor)
        seen += [item.block_id for item in found.page.items]
        cursor = found.page.next_cursor
        if cursor is None:
            break
    assert sorted(seen) == sorted(["cars", "driving", *(f"more{n}" for n in range(7))])
    with pytest.raises(InvalidRequest):
        await shelves.search.page(query="car", cursor="rank-1x")


async def test_a_query_is_sent_once(shelves):
    for query in ("car", "car", " car "):
        await shelves.found(query)
    assert shelves.meanings.queries == ["car"]


@pytest.mark.parametrize("query", ["", "  ", "a"])
async def test_what_means_nothing_is_not_sent(shelves, query):
    found = await shelves.search.page(query=query)
    assert found.mode == ("text" if query.strip() else None)
    assert shelves.meanings.queries == []


async def test_words_answer_while_the_service_is_down_and_say_so(shelves):
    shelves.meanings.fails = ProviderUnavailable("It is down.")
    found = await shelves.search.page(query="car")
    assert ([item.block_id for item in found.page.items], found.mode) == (["cars"], "text")
    assert found.problem == "It is down."
    assert (await shelves.search.page(query="car", cursor="rank-0")).mode == "text"


async def test_a_service_that_does_not_answer_holds_up_nobody(shelves):
    shelves.meanings.holds = asyncio.Event()
    found = await Search(shelves.store, shelves.vectors, shelves.embeddings, seconds=0.01).page(query="car")
    assert ([item.block_id for item in found.page.items], found.mode) == (["cars"], "text")
    assert found.problem is not None


async def test_without_a_preset_there_are_words_alone(shelves):
    shelves.model = None
    found = await shelves.search.page(query="car")
    assert (found.mode, found.problem) == ("text", None)
    assert "ai:embedpreset" in ((await shelves.search.page(query="car", mode="hybrid")).problem or "")


async def test_what_was_deleted_is_not_found(shelves):
    await shelves.store.delete("driving")
    assert await shelves.found("automobile") == ["cars"]


def test_what_stands_in_both_lists_comes_first():
    def item(name):
        return ConversationSummary(name, name, "", "", 1, pinned=False, archived=False)

    ranked = fused([item("a"), item("b"), item("c")], [item("d"), item("c")])
    assert [each.block_id for each in ranked] == ["c", "a", "d", "b"]
