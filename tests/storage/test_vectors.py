"""Vectors beside the messages that they are of: found, kept in step, forgotten."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.embeddings import Indexed, Passage, Progress, to_vector
from app.storage.matrix import empty_matrix
from app.storage.single_messages import SqliteSingleMessages
from app.storage.sqlite import SqliteStore
from app.storage.vectors import SqliteVectors
from tests.embeddings import vector_of
from tests.storage.messages import Clock, assistant, connect, user

pytestmark = pytest.mark.anyio


@pytest.fixture
def vectors(store: SqliteStore) -> SqliteVectors:
    return SqliteVectors(store.database)


async def index(vectors: SqliteVectors, model: str = "m", block_id: str | None = None) -> list[str]:
    """Give vectors to all that have none; the texts."""
    texts, after = [], 0
    while after is not None:
        messages, after = await vectors.unindexed(model, after, block_id)
        indexed = [Indexed(m.row, m.text, [(Passage(0, m.text), to_vector(vector_of(m.text)))]) for m in messages]
        await vectors.put(model, indexed)
        texts += [message.text for message in messages]
    return texts


async def found(vectors: SqliteVectors, query: str, archived: bool | None = False) -> list[str]:
    near = await vectors.nearest("m", to_vector(vector_of(query)), archived=archived, limit=10)
    return [item.block_id for item in near]


def counts(path: Path) -> tuple[int, int]:
    with closing(connect(path)) as file:
        return tuple(file.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("vectors", "passages"))


async def test_what_means_the_same_is_found_the_nearest_first(store: SqliteStore, vectors: SqliteVectors) -> None:
    await store.save("a", [user("u1", "my automobile"), assistant("a1", "a feline in the vehicle")], placement="merge")
    await store.save("b", [user("u1", "a loaf")], placement="merge")
    await store.save("c", [user("u1", "a vehicle and a storm")], placement="merge")
    await index(vectors)
    near = await vectors.nearest("m", to_vector(vector_of("car")), archived=False, limit=10)
    assert [(item.block_id, item.match and item.match.message_id) for item in near] == [("a", "u1")]
    assert near[0].match is not None
    assert near[0].match.snippet == (("my automobile", False),)
    assert near[0].message_count == 2
    assert await found(vectors, "driving storm") == ["c"]


async def test_what_is_not_in_the_list_is_not_found(store: SqliteStore, vectors: SqliteVectors) -> None:
    for block_id in ("a", "b", "c"):
        await store.save(block_id, [user("u1", "a car")], placement="merge")
    await index(vectors)
    await store.patch_block("b", {"archived": True})
    await store.trash("c")
    assert await found(vectors, "automobile") == ["a"]
    assert await found(vectors, "automobile", archived=True) == ["b"]
    assert set(await found(vectors, "automobile", archived=None)) == {"a", "b"}
    assert await vectors.progress("m") == Progress(2, 2)
    await store.restore("c")
    assert set(await found(vectors, "automobile")) == {"a", "c"}


async def test_another_branch_is_found_with_the_way_to_it(store: SqliteStore, vectors: SqliteVectors) -> None:
    await store.save("a", [user("u1", "a car")], placement="merge")
    await store.save("a", [user("u2", "a loaf")], placement="branch")
    await index(vectors)
    [item] = await vectors.nearest("m", to_vector(vector_of("vehicle")), archived=False, limit=10)
    assert item.match is not None
    assert item.match.branch is not None
    conversation = await store.choose("a", item.match.branch)
    assert conversation.messages[0].text == "a car"


async def test_chats_that_shall_not_be_stored_get_no_vectors(store: SqliteStore, vectors: SqliteVectors) -> None:
    await store.save("a", [user("u1", "a secret car")], placement="merge")
    await store.patch_block("a", {"ai:store": False})
    await store.save("b", [user("u1", "a car")], placement="merge")
    await store.patch_block("b", {"ai:store": True})
    assert await index(vectors) == ["a car"]


async def test_an_answer_gets_vectors_when_it_is_whole(store: SqliteStore, vectors: SqliteVectors) -> None:
    await store.save("a", [user("u1", " \n"), user("u2", "question")], placement="merge")
    await store.put_answer("a", "u2", assistant("a1", "half a"), "streaming")
    assert await index(vectors) == ["question"]
    await store.put_answer("a", "u2", assistant("a1", "half a car"), "complete")
    assert await vectors.progress("m") == Progress(1, 2)
    assert await index(vectors, block_id="a") == ["half a car"]
    await store.put_answer("a", "u2", assistant("a1", "a loaf instead"), "complete")
    assert await found(vectors, "vehicle") == []
    assert await index(vectors) == ["a loaf instead"]


async def test_what_changes_while_it_is_sent_gets_no_wrong_vector(store: SqliteStore, vectors: SqliteVectors) -> None:
    await store.save("a", [user("u1", "q")], placement="merge")
    await store.put_answer("a", "u1", assistant("a1", "a car"), "complete")
    messages, _ = await vectors.unindexed("m", 0)
    await store.put_answer("a", "u1", assistant("a1", "a loaf"), "complete")
    await vectors.put("m", [Indexed(m.row, m.text, [(Passage(0, m.text), to_vector([1.0]))]) for m in messages])
    assert await index(vectors) == ["a loaf"]


async def test_the_same_text_has_one_vector(store: SqliteStore, vectors: SqliteVectors, path: Path) -> None:
    for block_id in ("a", "b"):
        await store.save(block_id, [user("u1", "a car")], placement="merge")
    await index(vectors)
    assert counts(path) == (1, 2)
    assert await vectors.known("m", ["a car", "a cat"]) == [to_vector(vector_of("a car")), None]
    assert await vectors.known("other", ["a car"]) == [None]


# Forgetting


async def test_vectors_go_with_the_last_message_that_says_it(
    store: SqliteStore, vectors: SqliteVectors, path: Path
) -> None:
    for block_id in ("a", "b"):
        await store.save(block_id, [user("u1", "a car"), assistant("a1", f"loaf {block_id}")], placement="merge")
    await index(vectors)
    assert counts(path) == (3, 4)
    assert await found(vectors, "vehicle") == ["b", "a"]
    await store.delete("a")
    assert counts(path) == (2, 2)
    assert await found(vectors, "vehicle") == ["b"]
    await SqliteSingleMessages(store.database, Clock()).remove("b", "a1")
    assert counts(path) == (1, 1)
    assert await found(vectors, "loaf") == []
    await store.trash("b")
    await store.empty_trash(-60)
    assert counts(path) == (0, 0)
    assert await found(vectors, "vehicle") == []


async def test_a_deleted_vector_is_nowhere_in_the_file(store: SqliteStore, vectors: SqliteVectors, path: Path) -> None:
    await store.save("a", [user("u1", "a car")], placement="merge")
    await index(vectors)
    vector = to_vector(vector_of("a car"))
    assert vector in _bytes(path)
    await store.delete("a")
    assert vector not in _bytes(path)


async def test_models_are_forgotten_one_by_one(store: SqliteStore, vectors: SqliteVectors, path: Path) -> None:
    await store.save("a", [user("u1", "a car")], placement="merge")
    await index(vectors, "m")
    await index(vectors, "n")
    assert counts(path) == (2, 2)
    await vectors.forget("m", others=True)
    assert (await vectors.progress("m"), await vectors.progress("n")) == (Progress(1, 1), Progress(0, 1))
    await vectors.forget("m")
    assert counts(path) == (0, 0)


# In memory


async def test_the_matrix_follows_the_file_and_reads_only_what_is_new(
    store: SqliteStore, vectors: SqliteVectors
) -> None:
    for n in range(5):
        await store.save(f"b{n}", [user("u1", f"car number {n}")], placement="merge")
    await index(vectors)
    before = await vectors._loaded("m", 20)
    assert await vectors._loaded("m", 20) is before
    await store.save("c", [user("u1", "a car too")], placement="merge")
    await store.delete("b2")
    await index(vectors)
    after = await vectors._loaded("m", 20)
    assert len(after.numbers) == len(before.numbers) == 5
    assert len(after.numbers - before.numbers) == 1


async def test_the_newest_vectors_that_fit_are_searched(store: SqliteStore) -> None:
    vectors = SqliteVectors(store.database, max_memory=3 * 20)
    for n in range(5):
        await store.save(f"b{n}", [user("u1", f"car number {n}")], placement="merge")
    await index(vectors)
    assert await found(vectors, "car") == ["b4", "b3", "b2"]
    await store.save("b5", [user("u1", "one more car")], placement="merge")
    await index(vectors)
    assert sorted(await found(vectors, "car")) == ["b3", "b4", "b5"]
    await store.delete("b4")
    assert sorted(await found(vectors, "car")) == ["b2", "b3", "b5"]


async def test_vectors_of_another_length_match_nothing(store: SqliteStore, vectors: SqliteVectors) -> None:
    await store.save("a", [user("u1", "a car")], placement="merge")
    await index(vectors)
    assert await vectors.nearest("m", to_vector([1.0, 0.0]), archived=False, limit=10) == []


async def test_everything_is_gone_through_however_much_it_is(store: SqliteStore, vectors: SqliteVectors) -> None:
    messages = [user(f"u{n}", f"text {n}") for n in range(100)]
    await store.save("a", messages, placement="merge")
    assert await index(vectors) == [f"text {n}" for n in range(100)]
    assert await index(vectors) == []


_NUMBERS = st.lists(st.floats(-10, 10, width=32), min_size=3, max_size=3).filter(lambda row: sum(map(abs, row)) > 0.1)


@given(st.lists(_NUMBERS, min_size=1, max_size=20), _NUMBERS, st.integers(1, 25))
@settings(max_examples=50)
def test_the_nearest_are_those_of_a_plain_calculation(rows: list[list[float]], query: list[float], count: int) -> None:
    matrix = empty_matrix(12).with_rows([], [(n, to_vector(row)) for n, row in enumerate(rows)])

    def cosine(row: list[float]) -> float:
        dot = sum(a * b for a, b in zip(row, query, strict=True))
        return dot / (sum(a * a for a in row) ** 0.5 * sum(b * b for b in query) ** 0.5)

    near = matrix.nearest(to_vector(query), count)
    assert [score for _, score in near] == pytest.approx(sorted(map(cosine, rows), reverse=True)[:count], abs=1e-5)
    assert all(score == pytest.approx(cosine(rows[number]), abs=1e-5) for number, score in near)


def _bytes(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.iterdir())
