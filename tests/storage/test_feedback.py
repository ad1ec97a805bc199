"""What people think of answers: one rating each, gone with the answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.errors import InvalidRequest, NotFound
from app.core.feedback import Feedback
from app.storage.feedback import SqliteFeedbackStore
from app.storage.sqlite import SqliteStore
from tests.storage.messages import Clock, assistant, user

pytestmark = pytest.mark.anyio


@pytest.fixture
async def feedback(store: SqliteStore) -> SqliteFeedbackStore:
    answer = assistant("a1", metadata={"model": "tiny", "preset": "p"})
    await store.save("b", [user("u1"), answer, user("u2"), assistant("a2", metadata=[1])], placement="branch")
    return SqliteFeedbackStore(store.database, Clock())


async def test_the_last_rating_counts(feedback: SqliteFeedbackStore) -> None:
    await feedback.put("b", "a1", Feedback("up", "Short \ud83d"))
    await feedback.put("b", "a2", Feedback("up"))
    assert await feedback.of("b") == {"a1": Feedback("up", "Short \ufffd"), "a2": Feedback("up")}
    await feedback.put("b", "a1", Feedback("down"))
    assert await feedback.of("b") == {"a1": Feedback("down"), "a2": Feedback("up")}
    assert await feedback.remove("b", "a1")
    assert not await feedback.remove("b", "a1")
    assert await feedback.of("b") == {"a2": Feedback("up")}


async def test_only_answers_can_be_rated(feedback: SqliteFeedbackStore) -> None:
    with pytest.raises(InvalidRequest):
        await feedback.put("b", "u1", Feedback("up"))
    for block_id, message_id in (("b", "nobody"), ("x", "a1")):
        with pytest.raises(NotFound):
            await feedback.put(block_id, message_id, Feedback("up"))
    assert await feedback.of("b") == {}


async def test_ratings_are_listed_from_a_moment_on(feedback: SqliteFeedbackStore) -> None:
    await feedback.put("b", "a2", Feedback("down", "Wrong"))
    await feedback.put("b", "a1", Feedback("up"))
    first, second = await feedback.since("", 10)
    assert (first.message_id, first.feedback, first.model, first.preset) == (
        "a2",
        Feedback("down", "Wrong"),
        None,
        None,
    )
    assert (second.block_id, second.message_id, second.model, second.preset) == ("b", "a1", "tiny", "p")
    assert await feedback.since(first.rated_at, 10) == [second]
    assert await feedback.since("", 1) == [first]
    assert await feedback.since(second.rated_at, 10) == []


async def test_feedback_waits_in_the_trash_and_goes_with_its_conversation(
    store: SqliteStore, feedback: SqliteFeedbackStore, path: Path
) -> None:
    await feedback.put("b", "a1", Feedback("up", "xylophone"))
    await store.trash("b")
    assert await feedback.since("", 10) == []
    with pytest.raises(NotFound):
        await feedback.put("b", "a1", Feedback("down"))
    await store.restore("b")
    assert len(await feedback.since("", 10)) == 1
    await store.delete("b")
    assert await feedback.of("b") == {}
    assert b"xylophone" not in b"".join(file.read_bytes() for file in path.parent.iterdir())


async def test_a_fork_is_not_rated(store: SqliteStore, feedback: SqliteFeedbackStore) -> None:
    await feedback.put("b", "a1", Feedback("up"))
    await store.fork("b", "copy")
    assert await feedback.of("copy") == {}
