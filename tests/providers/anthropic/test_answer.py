"""What travels beside the parts: results for people, citations, and the blocks that the service wants back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from app.core.convert import to_prompt
from app.core.events import (
    GeneratedFile,
    MessageStart,
    ModelEvent,
    ModelFinish,
    SourceDocument,
    StepStart,
    TextEnd,
    ToolInputAvailable,
    ToolInputError,
    ToolInputStart,
    ToolOutputAvailable,
    ToolOutputError,
)
from app.core.fold import fold
from app.core.messages import TextPart, UIMessage
from app.core.model import Media, ModelMessage, ModelRequest, Text, ToolCall
from app.core.tools import ToolRecord
from app.providers.anthropic.adapter import prepared_message
from app.providers.unmapped import Unmapped
from tests.providers.asking import Answer, ask_upstream, request
from tests.upstream import FIXTURES, Upstream, anthropic_frames, fixture

pytestmark = pytest.mark.anyio

MESSAGE_START = {"type": "message_start", "message": {"usage": {"input_tokens": 1}}}
THE_END = (
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
    {"type": "message_stop"},
)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


async def answer(upstream: Upstream, name: str, asked: ModelRequest | None = None) -> Answer:
    upstream.reply(fixture(f"anthropic/{name}.jsonl"))
    got = await ask_upstream("anthropic", upstream, asked)
    assert got.error is None
    return got


def results(got: Answer) -> list[Any]:
    return [
        event.output if isinstance(event, ToolOutputAvailable) else event.error_text
        for event in got.events
        if isinstance(event, ToolOutputAvailable | ToolOutputError)
    ]


def records(events: Sequence[ModelEvent]) -> dict[str, ToolRecord]:
    """What the server remembers of the calls, those that it ran itself included."""
    found: dict[str, ToolRecord] = {}
    for event in events:
        match event:
            case ToolInputAvailable(call_id, name, value):
                runs = "provider" if event.provider_executed else "server"
                state = "running" if event.provider_executed else "done"
                found[call_id] = ToolRecord(
                    call_id, "m", name, value, runs, state, output="6", call_metadata=event.provider_metadata
                )
            case ToolOutputAvailable(call_id) | ToolOutputError(call_id):
                call = found[call_id]
                found[call_id] = ToolRecord(
                    call_id, "m", call.tool_name, call.input, "provider", "done", output="what people see",
                    call_metadata=call.call_metadata, result_metadata=event.provider_metadata,
                )  # fmt: skip
    return found


def sent_back(got: Answer, *, ask: bool = True) -> list[dict[str, Any]]:
    """The blocks of the answer as the next request has them."""
    parts = [event for event in got.events if not isinstance(event, ModelFinish)]
    message = fold(None, [MessageStart("m", {}), StepStart(), *parts])
    assert message is not None
    message = UIMessage.model_validate(json.loads(json.dumps(message.to_wire())))  # as it was stored and read again
    question = UIMessage(id="u", role="user", parts=(TextPart(text="And?"),))
    history = [question, message, question] if ask else [question, message]
    prompt = to_prompt(history, calls=records(got.events))
    messages = prepared_message(ModelRequest("m", prompt.messages, cache="off"), Unmapped()).body["messages"]
    blocks: list[dict[str, Any]] = messages[1]["content"]
    return blocks


def came(name: str) -> list[dict[str, Any]]:
    """The blocks of a fixture, put together as the service has them."""
    blocks: dict[int, dict[str, Any]] = {}
    pieces: dict[int, str] = {}
    for line in (FIXTURES / "anthropic" / f"{name}.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["type"] == "content_block_start":
            blocks[event["index"]] = event["content_block"]
        elif event["type"] == "content_block_delta":
            block, delta = blocks[event["index"]], event["delta"]
            match delta["type"]:
                case "text_delta":
                    block["text"] += delta["text"]
                case "thinking_delta":
                    block["thinking"] += delta["thinking"]
                case "signature_delta":
                    block["signature"] = delta["signature"]
                case "citations_delta":
                    block["citations"] = [*block.get("citations", ()), delta["citation"]]
                case "input_json_delta":
                    pieces[event["index"]] = pieces.get(event["index"], "") + delta["partial_json"]
    for index, text in pieces.items():
        if text:
            blocks[index]["input"] = json.loads(text)
    return list(blocks.values())


@pytest.mark.parametrize(
    "name",
    [
        "thinking",
        "redacted_thinking",
        "omitted_thinking",
        "web_search",
        "web_fetch",
        "cited_pages",
        "code_execution",
        "other_server_tools",
    ],
)
async def test_an_answer_goes_back_block_by_block_as_it_came(upstream: Upstream, name: str) -> None:
    assert sent_back(await answer(upstream, name)) == came(name)


async def test_code_that_waits_for_calls_of_ours_goes_back_with_them(upstream: Upstream) -> None:
    got = await answer(upstream, "code_that_calls")
    assert sent_back(got, ask=False) == came("code_that_calls")
    roll = next(block for block in sent_back(got) if block["type"] == "tool_use")
    assert roll == {"type": "tool_use", "id": "toolu_01", "name": "roll", "input": {"sides": 6}}


async def test_a_result_that_comes_an_answer_later_belongs_to_its_call(upstream: Upstream) -> None:
    call = ToolCall("srvtoolu_99", "code_execution", {}, provider_executed=True)
    history = (ModelMessage("user", (Text("Roll."),)), ModelMessage("assistant", (call,)))
    got = await answer(upstream, "late_result", ModelRequest("m", history))
    (event,) = [event for event in got.events if isinstance(event, ToolOutputAvailable)]
    assert (event.tool_call_id, event.provider_executed) == ("srvtoolu_99", True)
    assert event.output == {
        "type": "encrypted_code_execution_result", "stderr": "", "return_code": 0, "content": [],
    }  # fmt: skip


async def test_a_search_that_was_paused_has_no_result_and_does_not_go_back(upstream: Upstream) -> None:
    got = await answer(upstream, "paused")
    assert sent_back(got) == [{"type": "text", "text": "Let me search."}]
    assert got.finish is not None
    assert "go on" in (got.finish.explanation or "")


async def test_results_are_for_people(upstream: Upstream) -> None:
    assert results(await answer(upstream, "web_search")) == [
        [
            {"type": "web_search_result", "title": "Rain", "url": "https://example.org/1", "pageAge": None},
            {"type": "web_search_result", "title": "Sun", "url": "https://example.org/2", "pageAge": "3 days ago"},
        ]
    ]
    assert results(await answer(upstream, "web_fetch")) == [
        {
            "type": "web_fetch_result",
            "url": "https://example.org/report",
            "retrievedAt": "2026-11-20T08:00:00Z",
            "content": {
                "type": "document",
                "source": {"type": "text", "mediaType": "text/plain", "data": "It rained."},
                "title": "Report",
                "citations": {"enabled": True},
            },
        }
    ]
    assert results(await answer(upstream, "code_execution")) == [
        {"type": "text_editor_code_execution_create_result", "is_file_update": False},
        {
            "type": "bash_code_execution_result",
            "stdout": "4\n",
            "stderr": "",
            "return_code": 0,
            "content": [{"type": "bash_code_execution_output", "file_id": "file_01"}],
        },
        "The tool failed: execution_time_exceeded.",
    ]
    assert results(await answer(upstream, "other_server_tools")) == [
        [{"type": "tool_reference", "toolName": "get_weather"}],
        {"type": "advisor_result", "text": "Take an umbrella."},
        "No such word.",
        [{"type": "text", "text": "White."}],
    ]


async def test_the_service_runs_its_own_tools_and_only_those(upstream: Upstream) -> None:
    got = await answer(upstream, "code_that_calls")
    starts = [event for event in got.events if isinstance(event, ToolInputStart | ToolInputAvailable)]
    assert [event.provider_executed for event in starts] == [True, True, False, False]
    mcp = await answer(upstream, "other_server_tools")
    outputs = [event for event in mcp.events if isinstance(event, ToolOutputAvailable | ToolOutputError)]
    assert [event.dynamic for event in outputs] == [False, False, True, True]


async def test_a_fetched_file_is_not_shown_but_goes_back(upstream: Upstream) -> None:
    source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    block = {
        "type": "web_fetch_tool_result",
        "tool_use_id": "srvtoolu_01",
        "content": {
            "type": "web_fetch_result",
            "url": "https://example.org/a.pdf",
            "content": {"type": "document", "source": source},
        },
    }
    call = {"type": "server_tool_use", "id": "srvtoolu_01", "name": "web_fetch", "input": {"url": "a"}}
    upstream.reply(anthropic_frames([
        {"type": "message_start", "message": {"id": "m", "content": [call, block], "stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ]))  # fmt: skip
    got = await ask_upstream("anthropic", upstream)
    assert got.error is None
    assert results(got)[0]["content"]["source"] == {"type": "base64", "mediaType": "application/pdf"}
    (event,) = [event for event in got.events if isinstance(event, ToolOutputAvailable)]
    assert event.provider_metadata == {"anthropic": {"block": block}}
    assert not any(isinstance(event, GeneratedFile) for event in got.events)


async def test_citations_stay_with_their_text_even_when_they_come_late(upstream: Upstream) -> None:
    searched = await answer(upstream, "web_search")
    ends = [event.provider_metadata for event in searched.events if isinstance(event, TextEnd)]
    (citation,) = ends[1]["anthropic"]["citations"]
    assert (ends[0], ends[2]) == (None, None)
    assert citation["encrypted_index"] == "aW5kZXg="
    fetched = await answer(upstream, "web_fetch")
    (end,) = [event.provider_metadata for event in fetched.events if isinstance(event, TextEnd)]
    assert [citation["type"] for citation in end["anthropic"]["citations"]] == ["char_location", "page_location"]


async def test_documents_are_numbered_through_the_whole_prompt(upstream: Upstream) -> None:
    asked = request("Compare.", Media("application/pdf", "JVBERi0=", "mine.pdf"))
    got = await answer(upstream, "web_fetch", asked)
    (source,) = [event for event in got.events if isinstance(event, SourceDocument)]
    assert (source.media_type, source.title, source.filename) == ("application/pdf", "mine.pdf", "mine.pdf")


async def test_a_refusal_says_why(upstream: Upstream) -> None:
    got = await answer(upstream, "refusal_explained")
    assert got.finish is not None
    assert got.finish.explanation == "This could help to cause harm."
    assert (await answer(upstream, "refusal")).finish.explanation is None  # type: ignore[union-attr]


async def test_a_block_that_begins_again_ends_the_first(upstream: Upstream) -> None:
    start = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    words = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}} for word in "ab"
    ]
    upstream.reply(anthropic_frames([MESSAGE_START, start, words[0], start, words[1], *THE_END]))
    got = await ask_upstream("anthropic", upstream)
    assert [(part["text"], part["state"]) for part in got.parts] == [("a", "done"), ("b", "done")]


async def test_a_call_that_begins_again_does_not_run_with_half_of_its_arguments(upstream: Upstream) -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "pay", "input": {}}
    start = {"type": "content_block_start", "index": 0, "content_block": call}
    arguments = {"type": "input_json_delta", "partial_json": '{"sum": 5}'}
    delta = {"type": "content_block_delta", "index": 0, "delta": arguments}
    stop = {"type": "content_block_stop", "index": 0}
    upstream.reply(anthropic_frames([MESSAGE_START, start, start, delta, stop, *THE_END]))
    got = await ask_upstream("anthropic", upstream)
    ends = [event for event in got.events if isinstance(event, ToolInputAvailable | ToolInputError)]
    assert [type(end) for end in ends] == [ToolInputError, ToolInputAvailable]
    assert ends[1].input == {"sum": 5}
