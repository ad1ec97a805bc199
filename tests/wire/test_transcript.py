"""What a page shows of stored messages."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from app.core.conversations import Branch
from app.core.messages import UIMessage, parse_messages
from app.wire.transcript import (
    Place,
    describe_ending,
    element_id,
    mark_of,
    mark_of_messages,
    places_of,
    timed_parts,
)
from tests.wire.fragment import show_stored

QUESTION = UIMessage.model_validate({"id": "q1", "role": "user", "parts": [{"type": "text", "text": "a <b>"}]})


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def answer(text: str, metadata: Any = None) -> UIMessage:
    return UIMessage.model_validate(
        {"id": "a1", "role": "assistant", "parts": [{"type": "text", "text": text}], "metadata": metadata}
    )


@pytest.mark.parametrize(
    ("metadata", "offered"),
    [
        ({"status": "stopped"}, True),
        ({"status": "interrupted"}, True),
        ({"status": "error"}, True),
        ({"finishReason": "length"}, True),
        ({"finishReason": "stop"}, False),
        ({"status": "complete", "finishReason": "stop"}, False),
        ({"finishReason": "content-filter"}, False),
    ],
)
def test_only_an_answer_that_was_cut_can_be_continued(metadata: dict[str, Any], offered: bool) -> None:
    for text in ("Once", " \n"):
        html = show_stored([answer(text, metadata)], {})
        assert ('name="continue" value="a1"' in html) == (offered and text == "Once")


def branch(handle: str, message_id: str, *, active: bool = False) -> Branch:
    return Branch(handle, message_id, "assistant", active, "", "2026-11-21T00:00:00Z")


def test_a_message_with_other_versions_says_which_it_is_and_leads_to_its_neighbours() -> None:
    places = places_of(
        [
            [branch("1", "q1"), branch("5", "q1", active=True)],
            [branch("6", "a1"), branch("7", "a2", active=True), branch("9", "a3")],
        ]
    )
    assert places == {"q1": Place("1", 2, 2, "1", None), "a2": Place("6", 2, 3, "6", "9")}
    shown = answer("Hi").model_copy(update={"id": "a2"})
    html = show_stored([QUESTION, shown], places)
    assert [words(group) for group in re.findall(r'role="group".*?</div>', html, re.DOTALL)] == [
        'role="group" aria-label="Versions of the question"> Version 2/2',
        'role="group" aria-label="Versions of the answer"> Version 2/3',
    ]
    assert re.findall(r'form="branch" name="branch" value="(\d+)" aria-label="(\w+) version"', html) == [
        ("1", "Previous"),
        ("6", "Previous"),
        ("9", "Next"),
    ]
    assert html.count('aria-disabled="true"') == 1


def test_a_stored_answer_is_shown_whole() -> None:
    (stored,) = parse_messages(
        [
            {
                "id": "client's own <id>",
                "role": "assistant",
                "metadata": {"model": "tiny", "status": "error", "error": {"code": "x", "text": "It <broke>."}},
                "parts": [
                    {"type": "step-start"},
                    {"type": "reasoning", "text": "hm"},
                    {"type": "text", "text": "**yes**"},
                    {"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,AAAA"},
                    {"type": "file", "mediaType": "image/png", "url": "https://evil.example/x.png", "filename": "<f>"},
                    {"type": "source-url", "sourceId": "1", "url": "https://a.example"},
                    {
                        "type": "tool-add",
                        "toolCallId": "c",
                        "state": "output-available",
                        "input": {"a": 1},
                        "output": 2,
                    },
                    {"type": "data-x", "data": 1},
                    {"type": "of-a-newer-client", "x": 1},
                ],
            }
        ]
    )
    html = show_stored([stored], {})
    assert "<strong>yes</strong>" in html
    assert 'src="data:image/png;base64,AAAA"' in html
    assert "evil.example" not in html
    assert "&lt;f&gt;" in html
    assert "It &lt;broke&gt;." in html
    assert f'id="{element_id("client" + chr(39) + "s own <id>")}"' in html


def test_a_question_that_nobody_answered_can_be_asked_again() -> None:
    html = show_stored([QUESTION], {})
    assert 'name="regenerate" value=""' in html


def test_ids_of_messages_are_safe_in_selectors() -> None:
    assert element_id("abc_1-2") == "m-abc_1-2"
    for odd in ("a b", "#x", 'a"b', "é", "\ud800", "x" * 200, ""):
        assert re.fullmatch(r"m-[0-9a-f]{32}", element_id(odd))


@pytest.mark.parametrize(
    "metadata",
    [None, 5, "text", [], {"usage": 5, "model": 7}, {"usage": {"outputTokens": "x"}, "durationMs": "y"}, {"error": 1}],
)
def test_metadata_of_other_clients_tells_nothing(metadata: Any) -> None:
    end = describe_ending(metadata)
    assert (end.summary, end.detail, end.note, end.error) == ("", "", "", "")


@pytest.mark.parametrize(
    ("metadata", "note"),
    [
        ({"status": "interrupted"}, "Interrupted: the server went away before the end."),
        ({"finishReason": "length"}, "Cut off: the answer reached its token limit."),
        ({"finishReason": "content-filter"}, "Cut off by a content filter of the model service."),
        ({"finishReason": "stop"}, ""),
    ],
)
def test_an_unusual_end_is_explained(metadata: Any, note: str) -> None:
    assert describe_ending(metadata).note == note


@pytest.mark.parametrize(
    ("milliseconds", "said"), [(340, "0.3 s"), (9_940, "9.9 s"), (12_300, "12 s"), (65_000, "1 min 5 s")]
)
def test_durations_are_short(milliseconds: int, said: str) -> None:
    assert describe_ending({"durationMs": milliseconds}).summary == said


def test_one_token_is_one() -> None:
    assert describe_ending({"usage": {"inputTokens": 1, "outputTokens": 1}}).summary == "1 token"


CALL = {"type": "tool-weigh", "toolCallId": "call_1", "state": "output-available", "input": {}, "output": 1}


def weighing(metadata: Any) -> UIMessage:
    thought = {"type": "reasoning", "text": "hm"}
    parts = [thought, CALL, {"type": "text", "text": "so"}, thought]
    return UIMessage.model_validate({"id": "a", "role": "assistant", "parts": parts, "metadata": metadata})


def test_a_reload_knows_how_long_thoughts_and_tools_took() -> None:
    html = show_stored([weighing({"thinkingMs": {"1": 3200}, "toolMs": {"call_1": 1500}})], {})
    assert [duration for _, duration in timed_parts(weighing({"thinkingMs": {"1": 3200}}))] == ["", "", "", "3.2 s"]
    assert "Thought for 3.2 s" in html
    assert "Done · 1.5 s" in html


@pytest.mark.parametrize(
    "metadata",
    [None, 5, {"toolMs": 5}, {"toolMs": [1]}, {"toolMs": {"call_1": "<b>"}}, {"toolMs": {"call_1": float("nan")}}],
)
def test_durations_of_other_clients_tell_nothing(metadata: Any) -> None:
    assert [duration for _, duration in timed_parts(weighing(metadata))] == [""] * 4


def test_a_page_knows_its_end_by_the_last_message_and_its_open_requests() -> None:
    asking = {**CALL, "state": "approval-requested", "approval": {"id": "ap1"}}
    waiting = UIMessage.model_validate({"id": "a", "role": "assistant", "parts": [asking, asking]})
    marks = [mark_of_messages(messages) for messages in ([], [QUESTION], [weighing(None)], [waiting])]
    assert len(set(marks)) == 4
    assert mark_of_messages([waiting]) == mark_of("a", 2)
