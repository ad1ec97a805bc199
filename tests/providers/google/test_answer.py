"""Gemini's chunks and what must come out of them, without a network."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.events import ModelFinish, SourceDocument, SourceUrl, TextDelta, ToolInputDelta, Usage
from app.providers.failures import ReportedError
from app.providers.google.answer import GoogleAnswer
from app.providers.google.arguments import PartialArguments
from app.providers.unmapped import Unmapped
from tests.providers.asking import Answer

OSLO = {"city": "Oslo"}


def chunk(*parts: Mapping[str, Any], finish: str | None = None, **candidate: Any) -> dict[str, Any]:
    end = {"finishReason": finish} if finish else {}
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "index": 0, **end, **candidate}]}


def say(text: str, **more: Any) -> dict[str, Any]:
    return {"text": text, **more}


def call(name: str | None = None, *, signature: str | None = None, **more: Any) -> dict[str, Any]:
    names = {"name": name} if name else {}
    return {"functionCall": {**names, **more}, **({"thoughtSignature": signature} if signature else {})}


def piece(path: str, **more: Any) -> dict[str, Any]:
    return call(partialArgs=[{"jsonPath": path, **more}], willContinue=True)


def read(*chunks: Any, unmapped: Unmapped | None = None) -> Answer:
    ids = count(1)
    answer = GoogleAnswer(unmapped or Unmapped(), new_id=lambda: f"minted-{next(ids)}")
    got = Answer()
    for value in chunks:
        answer.read(value, got.events)
    answer.finish(got.events)
    return got


def signed(signature: str, **more: Any) -> dict[str, Any]:
    return {"google": {**more, "thoughtSignature": signature}}


def finish_of(got: Answer) -> ModelFinish:
    assert got.finish is not None
    return got.finish


def test_thinking_and_text_come_as_parts_of_their_own() -> None:
    got = read(
        chunk(say("Hm", thought=True)), chunk(say("m.", thought=True), say("Yes")), chunk(say("."), finish="STOP")
    )
    assert got.parts == [
        {"type": "reasoning", "text": "Hmm.", "state": "done"},
        {"type": "text", "text": "Yes.", "state": "done"},
    ]
    assert finish_of(got).reason == "stop"


def test_a_signature_on_an_empty_last_text_belongs_to_the_text() -> None:
    got = read(chunk(say("Three.")), chunk(say("", thoughtSignature="c2ln"), finish="STOP"))
    metadata = signed("c2ln", signedBehind=True)
    assert got.parts == [{"type": "text", "text": "Three.", "state": "done", "providerMetadata": metadata}]


def test_a_signature_on_a_text_with_words_belongs_to_it_too() -> None:
    got = read(chunk(say("Three.", thoughtSignature="c2ln"), finish="STOP"))
    assert [part["providerMetadata"] for part in got.parts] == [signed("c2ln")]


def test_a_signature_that_comes_alone_stays_where_it_came() -> None:
    got = read(
        chunk(say("Hm.", thought=True)),
        chunk(say("", thoughtSignature="c2ln"), call("now"), say("Now."), finish="STOP"),
    )
    kinds = [(part["type"], part.get("providerMetadata")) for part in got.parts]
    assert kinds == [("reasoning", None), ("text", signed("c2ln")), ("tool-now", None), ("text", None)]


def test_signed_thinking_keeps_its_signature() -> None:
    got = read(chunk(say("Hm.", thought=True, thoughtSignature="c2ln"), say("Yes."), finish="STOP"))
    assert [part.get("providerMetadata") for part in got.parts] == [signed("c2ln"), None]


def test_empty_text_leaves_nothing_behind() -> None:
    assert (
        read(chunk(say("")), chunk(say("a")), chunk(say("", thought=True)), chunk(say("b"), finish="STOP")).text == "ab"
    )
    assert read(chunk(say(""), finish="STOP")).events == [ModelFinish("stop", Usage())]


def test_parallel_calls_get_ids_and_only_the_first_is_signed() -> None:
    got = read(
        chunk(call("weather", args=OSLO, signature="c2ln")),
        chunk(call("weather", args={"city": "Bergen"}), call("now", id="g-1")),
        chunk(say(""), finish="STOP"),
    )
    called = [(part["toolCallId"], part["type"], part["input"], part.get("callProviderMetadata")) for part in got.parts]
    assert called == [
        ("minted-1", "tool-weather", OSLO, signed("c2ln")),
        ("minted-2", "tool-weather", {"city": "Bergen"}, None),
        ("g-1", "tool-now", {}, None),
    ]
    assert finish_of(got).reason == "tool-calls"
    assert [event.delta for event in got.events if isinstance(event, ToolInputDelta)] == [
        '{"city":"Oslo"}',
        '{"city":"Bergen"}',
    ]


STREAMED = [
    call("cook", willContinue=True, signature="c2ln"),
    piece("$.recipe.steps[0].do", stringValue="Boil", willContinue=True),
    piece("$.recipe.steps[0].do", stringValue=" water", willContinue=True),
    piece("$.recipe.steps[0].do", stringValue=""),
    call(willContinue=True),
    piece("$.recipe.steps[0].minutes", numberValue=0),
    piece("$.recipe.steps[1].do", stringValue="Wait"),
    piece("$.recipe.tags[]"),
    piece("$.recipe.notes"),
    piece("$.recipe['a.b']", boolValue=False),
    piece("$.guest", nullValue=None),
]
COOKED = {
    "recipe": {
        "steps": [{"do": "Boil water", "minutes": 0}, {"do": "Wait"}],
        "tags": [],
        "notes": {},
        "a.b": False,
    },
    "guest": None,
}


@pytest.mark.parametrize(
    "end",
    [
        [chunk(call(), finish="STOP")],
        [chunk(call()), chunk(say(""), finish="STOP")],
        [chunk(finish="STOP")],
    ],
    ids=["closed", "closed before", "never closed"],
)
def test_a_call_that_is_streamed_value_by_value_is_one_call(end: list[Any]) -> None:
    got = read(*(chunk(part) for part in STREAMED), *end)
    (part,) = got.parts
    assert (part["toolCallId"], part["input"], part["state"]) == ("minted-1", COOKED, "input-available")
    assert part["callProviderMetadata"] == signed("c2ln")
    assert finish_of(got).reason == "tool-calls"


def test_the_next_name_ends_a_streamed_call() -> None:
    got = read(
        chunk(call("read", willContinue=True), piece("$.id", stringValue="A")),
        chunk(call("read", willContinue=True), call(partialArgs=[{"jsonPath": "$.id", "stringValue": "B"}])),
        chunk(call(), finish="STOP"),
    )
    assert [part["input"] for part in got.parts] == [{"id": "A"}, {"id": "B"}]


def test_a_call_that_was_cut_off_never_runs() -> None:
    got = read(*(chunk(part) for part in STREAMED[:2]), chunk(finish="MAX_TOKENS"))
    (part,) = got.parts
    assert (part["state"], finish_of(got).reason) == ("output-error", "length")


@pytest.mark.parametrize("path", ["", "id", "$", "$.", "$.a[", "$.a b[1]x", "$.list[7]", "$.word.x"])
def test_a_value_without_a_place_is_no_answer(path: str) -> None:
    arguments = PartialArguments()
    arguments.add([{"jsonPath": "$.list[0]", "numberValue": 1}, {"jsonPath": "$.word", "stringValue": "a"}])
    with pytest.raises(ValueError, match="place"):
        arguments.add([{"jsonPath": path, "stringValue": "x"}])


def test_code_that_google_ran_comes_with_all_that_it_came_to() -> None:
    code = {"language": "PYTHON", "code": "print('ok')\n1/0"}
    results = [
        {"outcome": "OUTCOME_OK", "output": "ok\n"},
        {"outcome": "OUTCOME_FAILED", "output": "ZeroDivisionError"},
    ]
    got = read(
        chunk({"executableCode": code, "thoughtSignature": "c2ln"}),
        chunk(*({"codeExecutionResult": result} for result in results)),
        chunk({"inlineData": {"mimeType": "image/png", "data": "iVBO"}, "thoughtSignature": "cGlj"}),
        chunk(say("It failed."), finish="STOP"),
    )
    tool, picture, text = got.parts
    assert (tool["type"], tool["input"], tool["providerExecuted"]) == ("tool-code_execution", code, True)
    assert tool["output"] == {"outcome": "OUTCOME_FAILED", "output": "ok\nZeroDivisionError"}
    assert tool["callProviderMetadata"] == signed("c2ln", part="executableCode")
    assert tool["resultProviderMetadata"] == {"google": {"part": "codeExecutionResult", "results": results}}
    assert picture["url"] == "data:image/png;base64,iVBO"
    assert picture["providerMetadata"] == signed("cGlj")
    assert text["text"] == "It failed."
    assert finish_of(got).reason == "stop"


def test_tools_of_googles_own_stand_beside_ours() -> None:
    got = read(
        chunk({"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "id": "s-1", "args": {"queries": ["q"]}}}),
        chunk({"toolCall": {"toolType": "GOOGLE_MAPS"}}),
        chunk({"toolResponse": {"toolType": "GOOGLE_MAPS", "response": {"places": []}, "id": "m"}}),
        chunk({"toolResponse": {"toolType": "GOOGLE_SEARCH_WEB", "id": "s-1", "response": {"found": 1}}}),
        chunk(call("weather", args=OSLO), finish="STOP"),
    )
    search, maps, weather = got.parts
    assert (search["type"], search["toolName"], search["input"]) == (
        "dynamic-tool",
        "server:GOOGLE_SEARCH_WEB",
        {"queries": ["q"]},
    )
    assert (search["output"], maps["output"]) == ({"found": 1}, {"places": []})
    assert maps["callProviderMetadata"] == {"google": {"part": "toolCall", "toolType": "GOOGLE_MAPS"}}
    assert (weather["state"], finish_of(got).reason) == ("input-available", "tool-calls")


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content-filter"),
        ("RECITATION", "content-filter"),
        ("BLOCKLIST", "content-filter"),
        ("PROHIBITED_CONTENT", "content-filter"),
        ("SPII", "content-filter"),
        ("IMAGE_SAFETY", "content-filter"),
        ("MALFORMED_FUNCTION_CALL", "error"),
        ("OTHER", "other"),
        ("BRAND_NEW", "other"),
    ],
)
def test_finish_reasons(reason: str, finish: str) -> None:
    assert finish_of(read(chunk(finish=reason))).reason == finish


def test_why_an_answer_failed_is_told_in_the_services_words_and_a_good_end_needs_none() -> None:
    malformed = chunk(finish="MALFORMED_FUNCTION_CALL", finishMessage="Malformed function call.")
    assert finish_of(read(malformed)).explanation == "Malformed function call."
    called = chunk(call("now"), finish="STOP", finishMessage="Model generated function call(s).")
    assert finish_of(read(called)).explanation is None


@pytest.mark.parametrize(
    ("feedback", "explanation"),
    [
        ({"blockReason": "PROHIBITED_CONTENT"}, "Google blocked the prompt: PROHIBITED_CONTENT."),
        ({"blockReason": "SAFETY", "blockReasonMessage": "It is not safe."}, "It is not safe."),
    ],
)
def test_a_blocked_prompt_is_a_filter_that_says_why(feedback: dict[str, str], explanation: str) -> None:
    got = read({"promptFeedback": feedback, "usageMetadata": {"promptTokenCount": 9}})
    assert got.events == [ModelFinish("content-filter", Usage(9), explanation)]


def test_an_answer_without_its_end_mark_has_no_end() -> None:
    assert read(chunk(say("Well"))).finish is None
    assert read({"promptFeedback": {"blockReason": "BLOCK_REASON_UNSPECIFIED"}}).finish is None


def test_usage_counts_thinking_as_output_and_the_last_figures_count() -> None:
    got = read(
        {"usageMetadata": {"trafficType": "ON_DEMAND"}},
        {**chunk(say("a")), "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 1}},
        {
            **chunk(say("b"), finish="STOP"),
            "usageMetadata": {
                "promptTokenCount": 100,
                "toolUsePromptTokenCount": 20,
                "cachedContentTokenCount": 64,
                "candidatesTokenCount": 23,
                "thoughtsTokenCount": 185,
                "totalTokenCount": 328,
            },
        },
    )
    assert finish_of(got).usage == Usage(120, 208, 185, 64)


def test_grounding_becomes_sources_each_told_once() -> None:
    web = {"web": {"uri": "https://example.org/a", "title": "A"}}
    grounding = {
        "groundingChunks": [
            web,
            {"image": {"sourceUri": "https://example.org/i", "imageUri": "https://img.example.org/1"}},
            {"maps": {"uri": "https://maps.example.org/1", "title": "Café"}},
            {"retrievedContext": {"uri": "gs://bucket/report.pdf", "title": "Report"}},
            {"retrievedContext": {"fileSearchStore": "fileSearchStores/mine"}},
            {"web": {"uri": "javascript:alert(1)"}},
        ],
        "webSearchQueries": ["q"],
    }
    unmapped = Unmapped()
    got = read(
        chunk(say("Oslo"), groundingMetadata={"groundingChunks": [web]}),
        chunk(say(" is fine."), finish="STOP", groundingMetadata=grounding),
        unmapped=unmapped,
    )
    assert [event for event in got.events if isinstance(event, SourceUrl | SourceDocument)] == [
        SourceUrl("source-1", "https://example.org/a", "A"),
        SourceUrl("source-2", "https://example.org/i"),
        SourceUrl("source-3", "https://maps.example.org/1", "Café"),
        SourceDocument("source-4", "application/pdf", "Report", "report.pdf"),
        SourceDocument("source-5", "application/octet-stream", "mine", "mine"),
    ]
    assert got.text == "Oslo is fine."
    assert unmapped.counts == {"google: grounding in web": 1}


def test_what_nobody_maps_is_counted() -> None:
    unmapped = Unmapped()
    read(
        {"candidates": [{"index": 1, "content": {"parts": [say("Or else")]}}]},
        chunk(
            {"fileData": {"fileUri": "gs://x"}}, {"inlineData": {"mimeType": "image/png", "data": ""}, "thought": True}
        ),
        chunk({"codeExecutionResult": {"outcome": "OUTCOME_OK"}}, piece("$.a", stringValue="b")),
        chunk(finish="STOP", citationMetadata={"citationSources": [{}]}, urlContextMetadata={"urlMetadata": [{}]}),
        unmapped=unmapped,
    )
    assert unmapped.counts == {
        "google: a second candidate": 1,
        "google: part fileData": 1,
        "google: a file of the thinking": 1,
        "google: a result without a call": 1,
        "google: arguments without a call": 1,
        "google: citationMetadata": 1,
        "google: urlContextMetadata": 1,
    }


def test_chunks_may_lack_nearly_everything() -> None:
    got = read({}, {"candidates": []}, {"candidates": [{"content": {}}]}, {"candidates": [{"finishReason": "STOP"}]})
    assert got.events == [ModelFinish("stop", Usage())]


@pytest.mark.parametrize("error", [{"code": 503, "status": "UNAVAILABLE"}, {"status": "INTERNAL"}, "no"])
def test_an_error_inside_the_answer_is_an_error(error: Any) -> None:
    with pytest.raises(ReportedError):
        read(chunk(say("Well")), {"error": error})


PARTS = st.sampled_from(
    [
        *STREAMED,
        call(),
        call("now"),
        call("weather", args=OSLO, signature="c2ln"),
        say("a"),
        say("", thoughtSignature="c2ln"),
        say("b", thought=True),
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        {"toolCall": {"toolType": "GOOGLE_MAPS", "id": "m"}},
        {"toolResponse": {"toolType": "GOOGLE_MAPS", "id": "m", "response": {}}},
        {"inlineData": {"mimeType": "image/png", "data": "iVBO"}},
    ]
)


@given(st.lists(st.lists(PARTS, max_size=4), max_size=8), st.sampled_from([None, "STOP", "MAX_TOKENS"]))
def test_whatever_parts_come_in_whatever_order_the_message_is_well_formed(chunks: Any, finish: str | None) -> None:
    try:
        got = read(*(chunk(*parts) for parts in chunks), chunk(finish=finish))
    except ValueError:
        return  # values without a place among those before: an answer that is not the format's
    assert (got.finish is not None) == (finish is not None)
    if got.events:
        assert all(part.get("state") != "input-streaming" for part in got.parts) or finish is None
        said = [part["text"] for chunk in chunks for part in chunk if part.get("text") and not part.get("thought")]
        assert [event.delta for event in got.events if isinstance(event, TextDelta)] == said
