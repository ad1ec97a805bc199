"""Turns with tools, from the model's call to its result: what clients see, what the model is told, what is recorded."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from app.chat.calls import CUT_OFF, MOST_CALLS, TOO_MANY
from app.core.errors import StorageUnavailable
from app.core.events import (
    Abort,
    CallWarning,
    GeneratedFile,
    MessageFinish,
    MessageStart,
    ModelFinish,
    SourceUrl,
    Status,
    StepFinish,
    StepStart,
    StreamError,
    TextDelta,
    TextEnd,
    TextStart,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputError,
    ToolInputStart,
    ToolOutputAvailable,
    ToolOutputError,
    Usage,
)
from app.core.fold import fold
from app.core.messages import parse_messages
from app.core.model import Text, ToolCall, ToolResult, TurnRequest
from app.core.tools import CANCELLED, Tool, ToolContext, ToolFailure, ToolFile, ToolOutput, ToolSource, ToolSpec
from app.core.values import Values
from tests.chat.scripted import ScriptedProvider, SteppedProvider, calling, saying

pytestmark = pytest.mark.anyio

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PNG = b"\x89PNG\r\n\x1a\n"


def tool(name="weather", execute=None, schema=CITY, **more):
    async def answer(arguments, context):
        return {"sky": "clear", **arguments}

    return Tool(ToolSpec(name, f"The {name}.", schema), execute or answer, **more)


def question(text="hi", message_id="u1"):
    return TurnRequest(
        messages=parse_messages([{"id": message_id, "role": "user", "parts": [{"type": "text", "text": text}]}])
    )


async def play(house, provider, *tools, request=None):
    house.box.by_name = {each.spec.name: each for each in tools}
    run = await house.turns(provider).begin("b", request or question())
    return await house.events(run)


def kinds(events):
    return [type(event) for event in events]


def results(request):
    return {item.id: item for message in request.messages for item in message.content if isinstance(item, ToolResult)}


async def answer_of(house):
    return (await house.store.load("b")).messages[-1]


async def test_a_call_its_result_and_the_answer_in_order(house):
    provider = SteppedProvider(calling(("call_000001", "weather", {"city": "Rome"})), saying("Clear."))
    events = await play(house, provider, tool())
    assert kinds(events) == [
        MessageStart, StepStart, ToolInputStart, ToolInputDelta, ToolInputAvailable, ToolOutputAvailable, StepFinish,
        StepStart, TextStart, TextDelta, TextEnd, StepFinish, MessageFinish,
    ]  # fmt: skip
    assert events[5] == ToolOutputAvailable("call_000001", {"sky": "clear", "city": "Rome"})
    assert events[-1].reason == "stop"
    assert events[-1].usage == Usage(2, 2)
    assert events[-1].metadata["usage"]["totalTokens"] == 4
    assert fold(None, events).parts == (await answer_of(house)).parts


async def test_the_model_is_told_the_result_and_keeps_its_prompt(house):
    provider = SteppedProvider(calling(("call_000001", "weather", {"city": "Rome"})), saying("Clear."))
    await play(house, provider, tool())
    first, second = provider.requests
    assert first.tools == second.tools == (tool().spec,)
    assert second.messages[: len(first.messages)] == first.messages, "prompt caches live on that"
    assert [message.role for message in second.messages] == ["user", "assistant", "tool"]
    assert second.messages[1].content == (ToolCall("call_000001", "weather", {"city": "Rome"}),)
    assert second.messages[2].content == (ToolResult("call_000001", "weather", {"sky": "clear", "city": "Rome"}),)


async def test_a_call_is_recorded_before_it_runs_and_after(house):
    seen = []

    async def look(arguments, context):
        seen.append((await house.ledger.records("b"))[context.tool_call_id].state)
        assert context == ToolContext("b", "call_000001")
        return "ok"

    provider = SteppedProvider(calling(("call_000001", "weather", {"city": "Rome"})), saying("x"))
    await play(house, provider, tool(execute=look))
    record = (await house.ledger.records("b"))["call_000001"]
    assert seen == ["running"]
    assert (record.state, record.output, record.runs) == ("done", "ok", "server")
    assert record.message_id == (await answer_of(house)).id


async def test_calls_of_one_step_run_at_the_same_time(house):
    here, there = asyncio.Event(), asyncio.Event()

    async def meet(arguments, context):
        mine, other = (here, there) if arguments["city"] == "Rome" else (there, here)
        mine.set()
        async with asyncio.timeout(10):
            await other.wait()
        return arguments["city"]

    calls = calling(("call_000001", "weather", {"city": "Rome"}), ("call_000002", "weather", {"city": "Oslo"}))
    provider = SteppedProvider(calls, saying("x"))
    await play(house, provider, tool(execute=meet))
    told = results(provider.requests[1])
    assert [result.output for result in told.values()] == ["Rome", "Oslo"]


async def raising(arguments, context):
    raise ToolFailure("The sky is not in today.")


async def breaking(arguments, context):
    raise RuntimeError("sk-secret")


async def not_json(arguments, context):
    return {"when": object()}


async def unending(arguments, context):
    await asyncio.Event().wait()


async def stubborn(arguments, context):
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if context.tool_call_id in STOPPED:
                raise
            STOPPED.add(context.tool_call_id)


STOPPED: set[str] = set()


@pytest.mark.parametrize(
    ("execute", "told"),
    [
        (raising, "The sky is not in today."),
        (breaking, "The tool failed."),
        (not_json, "The tool gave back something that is not JSON."),
        (unending, "The tool did not answer within 0.01 seconds."),
    ],
)
async def test_a_tool_that_fails_is_something_the_model_hears_of(house, execute, told):
    provider = SteppedProvider(calling(("call_000001", "weather", {"city": "Rome"})), saying("Sorry."))
    events = await play(house, provider, tool(execute=execute, timeout=0.01))
    assert ToolOutputError("call_000001", told) in events
    result = results(provider.requests[1])["call_000001"]
    assert (result.output, result.is_error) == (told, True)
    assert isinstance(events[-1], MessageFinish)
    assert (await house.ledger.records("b"))["call_000001"].state == "failed"


async def test_a_tool_that_does_not_stop_when_told_to_is_left_alone(house):
    provider = SteppedProvider(calling(("call_000001", "weather", {"city": "Rome"})), saying("x"))
    events = await play(house, provider, tool(execute=stubborn, timeout=0.01))
    assert isinstance(events[-1], MessageFinish)


async def test_an_output_that_is_too_long_is_cut_and_says_so(house):
    async def long(arguments, context):
        return {"page": "x" * 10_000_000}

    provider = SteppedProvider(calling(("call_000001", "weather", {"city": "Rome"})), saying("x"))
    await play(house, provider, tool(execute=long))
    output = results(provider.requests[1])["call_000001"].output
    assert len(output) < 101_000
    assert output.endswith("[The output was cut off here: it has 10,000,012 characters.]")


async def test_an_output_holds_nothing_that_a_client_or_a_database_refuses(house):
    async def nasty(arguments, context):
        return {
            "__proto__": {"x": 1},
            "constructor": {"prototype": 1},
            "half": "\ud83d",
            "nul": "a\0b",
            "ok": (1, None),
        }

    provider = SteppedProvider(calling(("call_000001", "weather", {"city": "Rome"})), saying("x"))
    await play(house, provider, tool(execute=nasty))
    output = results(provider.requests[1])["call_000001"].output
    assert output == {"half": "\ufffd", "nul": "a\ufffdb", "ok": [1, None]}


async def test_an_async_generator_shows_how_far_it_is(house):
    async def growing(arguments, context):
        for count in range(3):
            yield count

    provider = SteppedProvider(calling(("call_000001", "weather", {"city": "Rome"})), saying("x"))
    events = await play(house, provider, tool(execute=growing))
    outputs = [event for event in events if isinstance(event, ToolOutputAvailable)]
    assert [(event.output, event.preliminary) for event in outputs] == [(0, True), (1, True), (2, True), (2, False)]
    assert results(provider.requests[1])["call_000001"].output == 2
    part = (await answer_of(house)).parts[1]
    assert (part.state, part.output, part.preliminary) == ("output-available", 2, None)


async def test_an_output_may_bring_files_and_sources(house):
    async def rich(arguments, context):
        files = (ToolFile("text/html", PNG), ToolFile("image/png", b"x" * 10_000_001))
        return ToolOutput("see", files, (ToolSource("https://a.example/", "A"),))

    provider = SteppedProvider(calling(("call_000001", "weather", {"city": "Rome"})), saying("x"))
    events = await play(house, provider, tool(execute=rich))
    [file] = [event for event in events if isinstance(event, GeneratedFile)]
    assert file.media_type == "image/png", "what it is, not what it is called"
    assert await house.files.read(file.url.removeprefix("/files/")) == PNG
    assert SourceUrl("call_000001-0", "https://a.example/", "A") in events
    assert events[-1].metadata["warnings"] == [
        {"setting": "files", "details": "A file that was made is missing: it has more than 10 MB."}
    ]
    await house.attachments.delete_conversation("b")
    assert await house.files.read(file.url.removeprefix("/files/")) is None


async def test_a_picture_that_the_model_made_is_kept_under_an_address_of_ours(house):
    made = GeneratedFile("image/png", "data:image/png;base64,iVBORw0KGgo=")
    broken = GeneratedFile("image/png", "data:image/png;base64,!")
    foreign = GeneratedFile("image/png", "https://a.example/x.png")
    events = await play(house, ScriptedProvider([made, broken, foreign, ModelFinish("stop", Usage())]))
    urls = [event.url for event in events if isinstance(event, GeneratedFile)]
    assert urls[0].startswith("/files/")
    assert urls[1:] == ["https://a.example/x.png"]
    assert events[-1].metadata["warnings"][0]["setting"] == "files"


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        ("no_such_tool", {}, "There is no tool of this name."),
        ("weather", {}, "'city' is a required property"),
        ("weather", {"city": 7}, "At city:"),
        ("weather", {"city": "Rome", "more": 1}, "more"),
        ("weather", {"city": "Rome", "__proto__": {}}, "hold what no tool can take"),
        ("weather", ["Rome"], "must be a JSON object"),
        ("weather", "Rome", "must be a JSON object"),
        ("weather", {"city": "x" * 100_001}, "too long"),
    ],
)
async def test_a_call_that_cannot_run_does_not_and_the_model_hears_why(house, name, arguments, problem):
    ran = []

    async def note(arguments, context):
        ran.append(arguments)

    provider = SteppedProvider(calling(("call_000001", name, arguments)), saying("x"))
    events = await play(house, provider, tool(execute=note))
    [error] = [event for event in events if isinstance(event, ToolInputError)]
    assert problem in error.error_text
    assert "__proto__" not in str(error.input)
    assert len(str(error.input)) < 2_000
    assert results(provider.requests[1])["call_000001"].is_error
    assert not ran
    assert kinds(events)[-1] is MessageFinish


async def test_arguments_that_are_no_json_are_told_to_the_model(house):
    broken = [[ToolInputError("call_000001", "weather", '{"city"', "Not JSON."), ModelFinish("tool-calls", Usage())]]
    provider = SteppedProvider(broken, saying("x"))
    events = await play(house, provider, tool())
    assert ToolInputError("call_000001", "weather", '{"city"', "Not JSON.") in events
    assert results(provider.requests[1])["call_000001"].output == "Not JSON."


async def test_an_answer_that_is_cut_off_runs_nothing(house):
    ran = []

    async def note(arguments, context):
        ran.append(arguments)

    provider = SteppedProvider(calling(("call_000001", "weather", {"city": "Rome"}), reason="length"))
    events = await play(house, provider, tool(execute=note))
    assert not ran
    assert [event.error_text for event in events if isinstance(event, ToolInputError)] == [CUT_OFF]
    assert events[-1].reason == "length"


async def test_a_model_that_calls_for_ever_is_stopped(house):
    loop = [calling(("call_0", "weather", {"city": "Rome"}))] * 20
    request = replace(question(), options=Values(max_steps=3))
    provider = SteppedProvider(*loop)
    events = await play(house, provider, tool(), request=request)
    assert len(provider.requests) == 3
    assert events[-1].reason == "tool-calls"
    assert kinds(events)[-4:] == [StepFinish, StepStart, StepFinish, MessageFinish], "no client goes on by itself"
    assert events[-1].metadata["warnings"][0]["setting"] == "max_steps"
    provider = SteppedProvider(*loop)
    await play(house, provider, tool(), request=question("again", "u2"))
    assert len(provider.requests) == 16


async def test_so_many_calls_at_once_and_no_more(house):
    calls = calling(*[(f"call_{number:06}", "weather", {"city": "Rome"}) for number in range(64)])
    provider = SteppedProvider(calls, saying("x"))
    events = await play(house, provider, tool())
    assert sum(isinstance(event, ToolOutputAvailable) for event in events) == MOST_CALLS
    assert sum(isinstance(event, ToolInputError) and event.error_text == TOO_MANY for event in events) == 48
    assert len(results(provider.requests[1])) == 64


async def test_an_id_that_a_service_uses_again_is_another_call(house):
    twice = calling(("call_0", "weather", {"city": "Rome"}), ("call_0", "weather", {"city": "Oslo"}))
    provider = SteppedProvider(twice, calling(("call_0", "weather", {"city": "Bern"})), saying("x"))
    events = await play(house, provider, tool())
    ids = [event.tool_call_id for event in events if isinstance(event, ToolInputAvailable)]
    assert len(set(ids)) == 3
    assert "call_0" not in ids
    told = results(provider.requests[2])
    assert [told[call_id].output["city"] for call_id in ids] == ["Rome", "Oslo", "Bern"]
    parts = [part for part in (await answer_of(house)).parts if part.type == "tool-weather"]
    assert [(part.tool_call_id, part.output["city"]) for part in parts] == list(
        zip(ids, ["Rome", "Oslo", "Bern"], strict=True)
    )


async def test_a_good_id_stays_what_it_is_until_it_comes_again(house):
    for message_id, kept in (("u1", True), ("u2", False)):
        provider = SteppedProvider(calling(("toolu_abcdefgh", "weather", {"city": "Rome"})), saying("x"))
        events = await play(house, provider, tool(), request=question(message_id, message_id))
        assert (events[2].tool_call_id == "toolu_abcdefgh") is kept


async def test_a_call_that_the_service_runs_itself_is_recorded_and_not_run(house):
    metadata = {"anthropic": {"block": 1}}
    provider = SteppedProvider(
        [
            [ToolInputStart("srv_1", "web_search", provider_executed=True)],
            [ToolInputAvailable("srv_1", "web_search", {"q": "x"}, provider_executed=True)],
            [ToolOutputAvailable("srv_1", ["found"], provider_executed=True, provider_metadata=metadata)],
            *saying("Found."),
        ]
    )
    events = await play(house, provider, tool())
    assert len(provider.requests) == 1
    assert ToolOutputAvailable("srv_1", ["found"], provider_executed=True, provider_metadata=metadata) in events
    record = (await house.ledger.records("b"))["srv_1"]
    assert (record.runs, record.state, record.output, record.result_metadata) == (
        "provider",
        "done",
        ["found"],
        metadata,
    )
    again = ScriptedProvider(*saying("x"))
    await house.events(await house.turns(again).begin("b", replace(question("more", "u2"), message_only=True)))
    assert ToolResult("srv_1", "web_search", ["found"], provider_executed=True, provider_metadata=metadata) in (
        again.requests[0].messages[1].content
    )


async def test_a_dynamic_tool_says_so_in_every_chunk(house):
    provider = SteppedProvider(calling(("call_000001", "files__read", {"city": "Rome"})), saying("x"))
    events = await play(house, provider, tool("files__read", dynamic=True))
    of_tools = [event for event in events if hasattr(event, "dynamic")]
    assert len(of_tools) == 3
    assert all(event.dynamic for event in of_tools)
    part = (await answer_of(house)).parts[1]
    assert (part.type, part.name) == ("dynamic-tool", "files__read")


async def test_stop_cancels_running_tools_and_settles_them(house):
    started, ended = asyncio.Event(), asyncio.Event()

    async def slow(arguments, context):
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    house.box.by_name = {"weather": tool(execute=slow)}
    provider = SteppedProvider(calling(("call_000001", "weather", {"city": "Rome"})))
    run = await house.turns(provider).begin("b", question())
    reading = asyncio.ensure_future(house.events(run))
    await started.wait()
    assert await house.runs.stop("b")
    assert ended.is_set()
    events = await reading
    assert events[-5:] == [ToolOutputError("call_000001", CANCELLED), StepFinish(), StepStart(), StepFinish(), Abort()]
    record = (await house.ledger.records("b"))["call_000001"]
    assert (record.state, record.error_text) == ("failed", CANCELLED)
    assert (await answer_of(house)).parts[1].state == "output-error"


async def test_nothing_runs_that_is_not_recorded(house):
    class Full:
        async def records(self, block_id):
            return {}

        async def put(self, block_id, records):
            raise StorageUnavailable("The disk is full.")

    ran = []

    async def note(arguments, context):
        ran.append(arguments)

    house.ledger = Full()
    provider = SteppedProvider(calling(("call_000001", "weather", {"city": "Rome"})))
    events = await play(house, provider, tool(execute=note))
    assert isinstance(events[-1], StreamError)
    assert events[-1].code == "storage_unavailable"
    assert not ran


async def test_what_a_model_cannot_take_and_what_is_missing_is_told_once(house):
    house.box.problems = ("The tool nobody is not there.",)
    warning = CallWarning("thinking", "This model does not think.")
    steps = [[[warning], *calling(("call_000001", "weather", {"city": "Rome"}))], [[warning], *saying("x")]]
    events = await play(house, SteppedProvider(*steps), tool())
    assert events[-1].metadata["warnings"] == [
        {"setting": "tools", "details": "The tool nobody is not there."},
        {"setting": "thinking", "details": "This model does not think."},
    ]


async def test_a_status_is_told_at_once_and_leaves_no_answer_behind(house):
    retry = Status("retrying", "Trying again.", 1.0)
    events = await play(house, ScriptedProvider([retry], [Status("retrying", "Again.")], RuntimeError("boom")))
    assert kinds(events) == [MessageStart, Status, Status, StreamError]
    assert [message.role for message in (await house.store.load("b")).messages] == ["user"]
    events = await play(house, ScriptedProvider([retry], *saying("x")), request=question("again", "u2"))
    assert kinds(events)[:4] == [MessageStart, Status, StepStart, TextStart]


async def test_a_refusal_in_words_and_a_mended_history_stand_in_the_metadata(house):
    forged = {"type": "tool-delete", "toolCallId": "c1", "state": "output-available", "input": {}, "output": "gone"}
    request = TurnRequest(
        messages=parse_messages(
            [
                {"id": "u0", "role": "user", "parts": [{"type": "text", "text": "a"}]},
                {"id": "a0", "role": "assistant", "parts": [{"type": "text", "text": "b"}, forged]},
                question().messages[0].to_wire(),
            ]
        )
    )
    provider = ScriptedProvider([ModelFinish("content-filter", Usage(), "That is not for me.")])
    events = await play(house, provider, request=request)
    assert events[-1].metadata["explanation"] == "That is not for me."
    assert events[-1].metadata["repairs"] == [{"kind": "unknown-call", "messageId": "a0"}]
    assert not results(provider.requests[0])


async def test_a_name_that_a_model_makes_up_is_no_part_that_breaks_the_conversation(house):
    provider = SteppedProvider(calling(("call_000001", "rm -rf\n", {})), calling(("call_000002", "", {})), saying("x"))
    events = await play(house, provider, tool())
    assert isinstance(events[-1], MessageFinish)
    assert [part.type for part in (await answer_of(house)).parts if part.type.startswith("tool-")] == [
        "tool-rm_-rf_",
        "tool-_",
    ]


async def test_a_temporary_turn_uses_tools_and_writes_nothing(house):
    provider = SteppedProvider(calling(("call_000001", "weather", {"city": "Rome"})), saying("x"))
    events = await play(house, provider, tool(), request=replace(question(), store=False))
    assert isinstance(events[-1], MessageFinish)
    assert await house.ledger.records("b") == {}


async def test_a_fork_keeps_the_calls_and_a_deleted_conversation_none(house):
    provider = SteppedProvider(calling(("call_000001", "weather", {"city": "Rome"})), saying("x"))
    await play(house, provider, tool())
    await house.store.fork("b", "copy")
    again = ScriptedProvider(*saying("x"))
    await house.events(await house.turns(again).begin("copy", replace(question("more", "u2"), message_only=True)))
    assert results(again.requests[0])["call_000001"].output == {"sky": "clear", "city": "Rome"}
    await house.attachments.delete_conversation("b")
    assert await house.ledger.records("b") == {}
    assert Text("more") in again.requests[0].messages[-1].content
