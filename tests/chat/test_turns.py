"""From a request to a running turn: which history, what is stored, what is asked."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from app.core.errors import InvalidRequest, RunInProgress, ShuttingDown, UnknownPreset, UnsupportedContent
from app.core.events import Abort, MessageFinish, MessageStart, Status, StepStart, StreamError, TextDelta, TextStart
from app.core.fold import fold
from app.core.messages import parse_messages
from app.core.model import Text, TurnRequest
from app.core.values import Values
from tests.chat.conftest import open_house
from tests.chat.scripted import ScriptedProvider, saying

pytestmark = pytest.mark.anyio


def messages(*texts, first=1):
    """Alternating user and assistant messages with ids u1, a2, u3, …"""
    values = [
        {
            "id": ("u" if i % 2 else "a") + str(i),
            "role": "user" if i % 2 else "assistant",
            "parts": [{"type": "text", "text": text}],
        }
        for i, text in enumerate(texts, first)
    ]
    return parse_messages(values)


def ask(*texts, **more):
    return TurnRequest(messages=messages(*texts), **more)


async def stored(house):
    conversation = await house.store.load("b")
    return [] if conversation is None else [(message.id, message.text) for message in conversation.messages]


def prompt(provider, index=-1):
    return [
        (m.role, "".join(c.text for c in m.content if isinstance(c, Text))) for m in provider.requests[index].messages
    ]


async def test_a_turn_is_asked_streamed_and_saved(house):
    provider = ScriptedProvider(*saying("Hel", "lo"))
    run = await house.turns(provider).begin("b", ask("hi"))
    events = await house.events(run)
    assert isinstance(events[0], MessageStart)
    assert events[0].message_id == run.message_id
    assert isinstance(events[-1], MessageFinish)
    assert prompt(provider) == [("user", "hi")]
    assert provider.requests[0].system == "Be kind."
    assert provider.requests[0].model == "default-model"
    assert await stored(house) == [("u1", "hi"), (run.message_id, "Hello")]


async def test_the_question_is_stored_before_the_model_is_asked(house):
    gate = asyncio.Event()
    run = await house.turns(ScriptedProvider(gate, *saying("x"))).begin("b", ask("hi"))
    assert await stored(house) == [("u1", "hi")]
    gate.set()
    await house.events(run)


async def test_whoever_sees_the_stream_end_finds_the_answer_stored(house):
    run = await house.turns(ScriptedProvider(*saying("x"))).begin("b", ask("hi"))
    async for _ in house.runs.read(run):
        pass
    assert (run.message_id, "x") in await stored(house)


async def test_an_answer_that_breaks_off_is_kept_and_says_so(house):
    provider = ScriptedProvider([TextStart("t"), TextDelta("t", "half")], RuntimeError("boom"))
    run = await house.turns(provider).begin("b", ask("hi"))
    await house.events(run)
    answer = (await house.store.load("b")).messages[-1]
    assert answer.text == "half"
    assert answer.metadata["status"] == "error"
    assert answer.metadata["error"]["code"] == "internal_error"


async def test_a_turn_that_failed_at_once_leaves_no_empty_answer(house):
    run = await house.turns(ScriptedProvider(RuntimeError("boom"))).begin("b", ask("hi"))
    events = await house.events(run)
    assert [type(event) for event in events] == [StreamError]
    assert await stored(house) == [("u1", "hi")]


async def test_stop_ends_the_call_and_keeps_what_was_said(house):
    provider = ScriptedProvider([TextStart("t"), TextDelta("t", "half")], asyncio.Event())
    run = await house.turns(provider).begin("b", ask("hi"))
    reader = house.runs.read(run)
    await anext(reader)
    assert await house.runs.stop("b")
    assert provider.closed.is_set()
    rest = [event for batch in [batch async for batch in reader] for event in batch]
    assert isinstance(rest[-1], Abort)
    answer = (await house.store.load("b")).messages[-1]
    assert (answer.text, answer.metadata["status"]) == ("half", "stopped")
    assert not await house.runs.stop("b")


async def test_stop_before_the_first_word(house):
    run = await house.turns(ScriptedProvider(asyncio.Event())).begin("b", ask("hi"))
    assert await house.runs.stop("b")
    assert await house.events(run) == [Abort()]
    assert await stored(house) == [("u1", "hi")]


async def test_a_turn_that_is_not_to_be_stored(house):
    run = await house.turns(ScriptedProvider(*saying("x"))).begin("b", ask("hi", store=False))
    await house.events(run)
    assert await stored(house) == []


async def test_a_second_turn_waits_while_somebody_reads_the_first(house):
    gate = asyncio.Event()
    turns = house.turns(ScriptedProvider([TextStart("t")], gate, *saying("x")[1:]))
    reader = house.runs.read(await turns.begin("b", ask("hi")))
    await anext(reader)
    with pytest.raises(RunInProgress):
        await turns.begin("b", ask("hi", "?", "other"))
    gate.set()
    await reader.aclose()


async def test_a_second_turn_replaces_one_that_nobody_reads(house):
    first = ScriptedProvider([TextStart("t"), TextDelta("t", "half")], asyncio.Event())
    run = await house.turns(first).begin("b", ask("hi"))
    reader = house.runs.read(run)
    await anext(reader)
    await reader.aclose()
    await house.events(await house.turns(ScriptedProvider(*saying("new"))).begin("b", ask("hi", "half", "again")))
    assert first.closed.is_set()
    assert [text for _, text in await stored(house)] == ["hi", "half", "again", "new"]


async def test_the_same_message_posted_again_is_the_same_run(house):
    gate = asyncio.Event()
    provider = ScriptedProvider(gate, *saying("x"))
    turns = house.turns(provider)
    runs = await asyncio.gather(*(turns.begin("b", ask("hi")) for _ in range(3)))
    assert runs[0] is runs[1] is runs[2]
    gate.set()
    await house.events(runs[0])
    assert len(provider.requests) == 1
    assert len(await stored(house)) == 2


async def test_the_same_words_without_an_id_are_another_turn(house):
    turns = house.turns(ScriptedProvider([TextStart("t")], asyncio.Event()))
    first = TurnRequest(messages=messages("hi"), minted=frozenset({"u1"}))
    reader = house.runs.read(await turns.begin("b", first))
    await anext(reader)
    with pytest.raises(RunInProgress):
        await turns.begin("b", first)
    await reader.aclose()


async def test_regenerating_adds_a_sibling_answer(house):
    turns = house.turns(ScriptedProvider(*saying("x")))
    first = await turns.begin("b", ask("hi"))
    await house.events(first)
    second = await turns.begin("b", ask("hi", trigger="regenerate-message"))
    await house.events(second)
    assert first.message_id != second.message_id
    assert await stored(house) == [("u1", "hi"), (second.message_id, "x")]


async def test_only_the_last_message_is_needed(house):
    provider = ScriptedProvider(*saying("x"))
    turns = house.turns(provider)
    await house.events(await turns.begin("b", TurnRequest(messages=messages("one"), message_only=True)))
    await house.events(await turns.begin("b", TurnRequest(messages=messages("two", first=3), message_only=True)))
    assert prompt(provider) == [("user", "one"), ("assistant", "x"), ("user", "two")]


async def test_an_edited_last_message_replaces_what_followed(house):
    provider = ScriptedProvider(*saying("x"))
    turns = house.turns(provider)
    for text in ("one", "uno"):
        await house.events(await turns.begin("b", TurnRequest(messages=messages(text), message_only=True)))
    assert prompt(provider) == [("user", "uno")]
    assert [text for _, text in await stored(house)] == ["uno", "x"]


async def test_the_page_regenerates_by_id(house):
    provider = ScriptedProvider(*saying("x"))
    turns = house.turns(provider)
    run = await turns.begin("b", ask("hi"))
    await house.events(run)
    again = TurnRequest(messages=(), message_only=True, trigger="regenerate-message", message_id=run.message_id)
    await house.events(await turns.begin("b", again))
    assert prompt(provider) == [("user", "hi")]


async def test_messages_without_ids_are_known_by_what_they_say(house):
    turns = house.turns(ScriptedProvider(*saying("x")))
    sent = messages("hi")
    run = await turns.begin("b", TurnRequest(messages=sent, minted=frozenset({"u1"})))
    await house.events(run)
    history = parse_messages(
        [
            {**message.to_wire(), "id": f"minted{i}"}
            for i, message in enumerate((*sent, *messages("x", first=2), *messages("more", first=3)))
        ]
    )
    minted = frozenset(message.id for message in history)
    await house.events(await turns.begin("b", TurnRequest(messages=history, minted=minted)))
    assert [message_id for message_id, _ in await stored(house)][:3] == ["u1", run.message_id, "minted2"]


async def test_an_answer_that_comes_last_is_continued(house):
    provider = ScriptedProvider(*saying(" and more"))
    run = await house.turns(provider).begin("b", ask("hi", "half"))
    assert run.message_id == "a2"
    await house.events(run)
    assert await stored(house) == [("u1", "hi"), ("a2", "half and more")]


async def test_the_preset_of_the_request_wins(house):
    provider = ScriptedProvider(*saying("x"))
    await house.store.patch_block("b", {"ai:preset": "default", "ai:temperature": 0.1})
    request = ask("hi", preset="other", options=Values(max_tokens=5))
    run = await house.turns(provider).begin("b", request)
    start = (await house.events(run))[0]
    asked = provider.requests[0]
    assert (asked.model, asked.max_tokens, start.metadata["preset"]) == ("other-model", 5, "other")


FILE = {"type": "file", "mediaType": "image/png", "url": "http://127.0.0.1/x.png"}


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (ask("hi", preset="nope"), UnknownPreset),
        (ask("   "), InvalidRequest),
        (ask("hi", "x", ""), InvalidRequest),
        (TurnRequest(messages=parse_messages([{"id": "u", "role": "user", "parts": [FILE]}])), UnsupportedContent),
        (TurnRequest(messages=parse_messages([{"id": "u", "role": "user", "parts": []}])), InvalidRequest),
        (TurnRequest(messages=parse_messages([{"id": "s", "role": "system", "parts": []}])), InvalidRequest),
        (
            TurnRequest(messages=parse_messages([{"id": "u", "role": "user", "parts": [{"type": "x"}]}])),
            UnsupportedContent,
        ),
        (TurnRequest(messages=messages("only an answer", first=2)), InvalidRequest),
        (TurnRequest(messages=(), message_only=True), InvalidRequest),
        (TurnRequest(messages=messages("a", first=2), message_only=True), InvalidRequest),
    ],
)
async def test_what_is_refused_is_neither_stored_nor_asked(house, request_, error):
    provider = ScriptedProvider(*saying("x"))
    with pytest.raises(error):
        await house.turns(provider).begin("b", request_)
    assert await house.store.load("b") is None
    assert provider.requests == []


async def test_an_answer_that_cannot_be_saved_says_so_and_ends_no_other_run(house):
    gates = [asyncio.Event(), asyncio.Event()]
    runs = [
        await house.turns(ScriptedProvider(gate, *saying("x"))).begin(f"b{i}", ask("hi"))
        for i, gate in enumerate(gates)
    ]
    await house.store.close()
    for run, gate in zip(runs, gates, strict=True):
        gate.set()
        events = await house.events(run)
        assert not any(isinstance(event, MessageFinish) for event in events), "what is finished is stored"
        assert events[-1].code == "storage_unavailable"
        assert house.runs.running(run.block_id) is None
        assert house.runs.recent(run.block_id) is None


async def test_a_server_that_goes_takes_no_new_turns_and_marks_what_it_cuts(house):
    turns = house.turns(ScriptedProvider([TextStart("t"), TextDelta("t", "half")], asyncio.Event()))
    reader = house.runs.read(await turns.begin("b", ask("hi")))
    await anext(reader)
    await house.runs.drain(0)
    assert isinstance([batch async for batch in reader][-1][-1], Abort)
    answer = (await house.store.load("b")).messages[-1]
    assert (answer.text, answer.metadata["status"]) == ("half", "interrupted")
    with pytest.raises(ShuttingDown):
        await turns.begin("c", ask("hi"))


async def test_a_server_that_goes_lets_a_quick_answer_finish(house):
    gate = asyncio.Event()
    run = await house.turns(ScriptedProvider(gate, *saying("x"))).begin("b", ask("hi"))
    draining = asyncio.ensure_future(house.runs.drain(30))
    gate.set()
    await draining
    assert isinstance((await house.events(run))[-1], MessageFinish)


async def answer_rows(store):
    return await store._database.read("SELECT id, status, body FROM messages WHERE role = 'assistant'", {})


async def test_the_answer_is_on_the_disk_while_it_is_still_being_written(house):
    page = "x" * 5000
    provider = ScriptedProvider([TextStart("t"), TextDelta("t", page)], asyncio.Event())
    run = await house.turns(provider).begin("b", ask("hi"))
    async with asyncio.timeout(10):
        while not (rows := await answer_rows(house.store)):
            await asyncio.sleep(0.01)
    assert [(row[0], row[1]) for row in rows] == [(run.message_id, "streaming")]
    assert page in rows[0][2]
    assert await stored(house) == [("u1", "hi")], "the message in flight is the stream's to tell"


async def test_what_a_crash_leaves_is_the_prefix_marked_interrupted(house, tmp_path):
    provider = ScriptedProvider([TextStart("t"), TextDelta("t", "half " * 1000)], asyncio.Event())
    await house.turns(provider).begin("b", ask("hi"))
    async with asyncio.timeout(10):
        while not await answer_rows(house.store):
            await asyncio.sleep(0.01)
    shutil.copytree(tmp_path, tmp_path / "after-the-crash", ignore=shutil.ignore_patterns("after*"))
    async with open_house(tmp_path / "after-the-crash") as again:
        answer = (await again.store.load("b")).messages[-1]
        assert answer.text.startswith("half half")
        assert answer.metadata["status"] == "interrupted"
        provider = ScriptedProvider(*saying("and the rest"))
        go_on = TurnRequest(messages=(answer,), message_only=True)
        run = await again.turns(provider).begin("b", go_on)
        assert run.message_id == answer.id
        await again.events(run)
        assert prompt(provider)[-1][0] == "user", "no service is asked to answer its own answer"
        whole = (await again.store.load("b")).messages[-1]
        assert whole.id == answer.id
        assert whole.text == answer.text + "and the rest"
        assert whole.metadata["status"] == "complete"


async def test_a_client_that_attaches_to_a_continued_answer_gets_all_of_it(house):
    gate = asyncio.Event()
    run = await house.turns(ScriptedProvider(gate, *saying(" more"))).begin("b", ask("hi", "half"))
    gate.set()
    live = await house.events(run)
    replayed = await house.replayed(run)
    assert fold(None, replayed).text == "half more"
    assert fold(run.base, live).text == "half more"
    assert sum(isinstance(event, MessageStart) for event in replayed) == 1


async def test_a_block_may_say_that_leaving_is_stopping(house):
    await house.store.patch_block("b", {"ai:ondisconnect": "cancel"})
    provider = ScriptedProvider([TextStart("t"), TextDelta("t", "half")], asyncio.Event())
    turns = house.turns(provider)
    first = house.runs.read(run := await turns.begin("b", ask("hi")))
    await anext(first)
    second = house.runs.read(run)
    await anext(second)
    await first.aclose()
    assert not provider.closed.is_set(), "somebody still watches"
    await second.aclose()
    async with asyncio.timeout(5):
        await provider.closed.wait()
        await asyncio.wait([run.task])
    assert (await house.store.load("b")).messages[-1].metadata["status"] == "stopped"


async def test_leaving_stops_nothing_unless_the_block_says_so(house):
    gate = asyncio.Event()
    run = await house.turns(ScriptedProvider([TextStart("t")], gate, *saying("x")[1:])).begin("b", ask("hi"))
    reader = house.runs.read(run)
    await anext(reader)
    await reader.aclose()
    gate.set()
    await asyncio.wait([run.task])
    assert (run.message_id, "x") in await stored(house)


async def test_a_post_that_is_repeated_after_its_answer_gets_that_answer(house):
    provider = ScriptedProvider(*saying("x"))
    turns = house.turns(provider)
    first = await turns.begin("b", ask("hi"))
    events = await house.events(first)
    again = await turns.begin("b", ask("hi"))
    assert again is first
    assert await house.events(again) == events
    assert len(provider.requests) == 1
    failed = ScriptedProvider(RuntimeError("boom"))
    run = await house.turns(failed).begin("c", ask("hi"))
    await house.events(run)
    assert await house.turns(failed).begin("c", ask("hi")) is not run, "what failed is tried anew"


async def test_another_preset_or_another_history_is_another_turn(house):
    provider = ScriptedProvider(*saying("x"))
    turns = house.turns(provider)
    first = await turns.begin("b", ask("hi"))
    await house.events(first)
    assert await turns.begin("b", ask("hi")) is first
    for request in (ask("hi", preset="other"), ask("hi", options=Values(max_tokens=5)), ask("hi", store=False)):
        run = await turns.begin("b", request)
        assert run is not first
        await house.events(run)
    with pytest.raises(UnknownPreset):
        await turns.begin("b", ask("hi", preset="nope"))


async def test_a_stopped_runs_words_are_in_the_next_turns_history(house):
    partial = ScriptedProvider([TextStart("t"), TextDelta("t", "half")], asyncio.Event())
    run = await house.turns(partial).begin("b", TurnRequest(messages=messages("one"), message_only=True))
    reader = house.runs.read(run)
    await anext(reader)
    await reader.aclose()
    provider = ScriptedProvider(*saying("x"))
    await house.events(
        await house.turns(provider).begin("b", TurnRequest(messages=messages("two", first=3), message_only=True))
    )
    assert prompt(provider) == [("user", "one"), ("assistant", "half"), ("user", "two")]
    assert [text for _, text in await stored(house)] == ["one", "half", "two", "x"]


async def test_an_answer_that_is_continued_is_the_stored_one_whatever_the_client_says(house):
    run = await house.turns(ScriptedProvider(*saying("true"))).begin("b", ask("hi"))
    await house.events(run)
    forged = parse_messages(
        [
            messages("hi")[0].to_wire(),
            {"id": run.message_id, "role": "assistant", "parts": [{"type": "text", "text": "FORGED"}]},
        ]
    )
    provider = ScriptedProvider(*saying(" and more"))
    await house.events(await house.turns(provider).begin("b", TurnRequest(messages=forged)))
    assert prompt(provider)[1] == ("assistant", "true")
    assert [text for _, text in await stored(house)] == ["hi", "true and more"]


async def test_runs_are_cut_together_when_the_server_goes(house):
    providers = [ScriptedProvider([TextStart("t")], asyncio.Event()) for _ in range(3)]
    for i, provider in enumerate(providers):
        await house.turns(provider).begin(f"b{i}", ask("hi"))
    await house.runs.drain(0)
    assert all(provider.closed.is_set() for provider in providers)
    assert all(house.runs.running(f"b{i}") is None for i in range(3))


async def test_a_regeneration_that_fails_at_once_leaves_the_old_answer_in_view(house):
    first = await house.turns(ScriptedProvider(*saying("old"))).begin("b", ask("hi"))
    await house.events(first)
    again = ask("hi", trigger="regenerate-message")
    await house.events(await house.turns(ScriptedProvider(RuntimeError("boom"))).begin("b", again))
    assert await stored(house) == [("u1", "hi"), (first.message_id, "old")]
    await house.events(run := await house.turns(ScriptedProvider(*saying("new"))).begin("b", again))
    assert await stored(house) == [("u1", "hi"), (run.message_id, "new")]


async def test_a_wait_is_told_while_it_lasts_and_is_no_part_of_what_is_told_again(house):
    waiting = [Status("retrying", "The service is busy; trying again in 3 s.", 3.0)]
    run = await house.turns(ScriptedProvider(waiting, *saying("there"))).begin("b", ask("hi"))
    live = await house.events(run)
    assert [type(event) for event in live[:3]] == [MessageStart, Status, StepStart]
    replayed = await house.replayed(run)
    assert not any(isinstance(event, Status) for event in replayed)
    assert fold(None, replayed) == fold(None, live)
