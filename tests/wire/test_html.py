"""The stream of fragments, put together as htmx does it."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.events import (
    Abort,
    GeneratedFile,
    MessageFinish,
    MessageStart,
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    SourceDocument,
    SourceUrl,
    Status,
    StepFinish,
    StepStart,
    StreamError,
    StreamEvent,
    TextDelta,
    TextEnd,
    TextStart,
    ToolApprovalRequest,
    ToolApprovalResponse,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputError,
    ToolInputStart,
    ToolOutputAvailable,
    ToolOutputDenied,
    Usage,
)
from app.core.fold import fold
from app.core.messages import ToolPart, UIMessage
from app.wire.html import HtmlEncoder
from app.wire.markdown import render
from app.wire.transcript import Place, element_id
from tests.wire.events import ANSWER
from tests.wire.fragment import TEMPLATES, Places, show_stored

PARTIAL = re.compile(r'<hx-partial hx-target="([^"]+)" hx-swap="(\w+)">(.*?)</hx-partial>', re.DOTALL)

START = [MessageStart("a1", {"model": "tiny"}), StepStart()]
FINISH = [
    StepFinish(),
    MessageFinish(
        "stop", Usage(3, 1234), {"usage": Usage(3, 1234).to_wire(), "finishReason": "stop", "durationMs": 2400}
    ),
]


@dataclass
class Message:
    id: str = ""
    event: str = ""
    data: list[str] = field(default_factory=list)

    @property
    def html(self) -> str:
        return "\n".join(self.data)


def messages(stream: bytes) -> list[Message]:
    """What an event stream parser (the WHATWG's rules) makes of the bytes."""
    found, message = [], Message()
    for line in re.split(r"\r\n|\r|\n", stream.decode())[:-1]:
        if not line:
            if message.data or message.event:
                found.append(message)
            message = Message()
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            message.data.append(value)
        elif name in ("id", "event"):
            setattr(message, name, value)
    return found


class Page:
    """The places of a page that fragments have filled, by selector."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}
        self.texts: dict[str, Places] = {}
        self.deleted: list[str] = []
        self.done = False
        self.known = {"welcome", "notice", "composer-action", "message-id", "after", "transcript"}
        self.known |= {"conversation-title"}

    def receive(self, stream: bytes) -> None:
        for message in messages(stream):
            if message.event:
                assert message.event == "done"
                self.done = True
            # htmx looks up all places of a message before it fills the first one
            partials = [(selector, swap, html) for selector, swap, html in PARTIAL.findall(message.html)]
            for selector, swap, _ in partials:
                place = re.sub(r"(-(?:done|tail))>.*", r"\1", selector.removeprefix("#"))
                assert swap == "delete" or place in self.known, selector
            replaced = [selector for selector, swap, _ in partials if swap == "outerHTML"]
            assert len(replaced) == len(set(replaced)), "what is replaced twice is gone the second time"
            for selector, swap, html in partials:
                self._swap(selector, swap, html)

    def _swap(self, selector: str, swap: str, html: str) -> None:
        if (text := re.fullmatch(r"(.+)-(done|tail)((?:>.+)?)", selector)) is not None:
            places = self.texts.setdefault(text[1], Places())
            places.swap(text[2], text[3].split(">")[1:], swap, html)
            self.places[f"{text[1]}-{text[2]}"] = places[text[2]]
        elif swap == "beforeend":
            self.places[selector] = self.places.get(selector, "") + html
        elif swap == "beforebegin":
            parts = selector.replace("-waiting", "-parts")
            self.places[parts] = self.places.get(parts, "") + html
        elif swap == "delete":
            self.deleted.append(selector)
        else:
            self.places[selector] = html
        self.known.update(re.findall(r' id="([^"]+)"', html))

    def part(self, number: int) -> str:
        element = f"#{element_id('a1')}-{number}"
        return self.places.get(f"{element}-done", "") + self.places.get(f"{element}-tail", "")

    def place(self, name: str) -> str:
        return self.places.get(f"#{element_id('a1')}-{name}", "")


def show(batches: Sequence[Sequence[StreamEvent]], **options: Any) -> Page:
    page = Page()
    page.receive(opening())
    page.places.clear()
    page.deleted.clear()
    encoder = HtmlEncoder(TEMPLATES, "a1", **options)
    for batch in batches:
        page.receive(encoder.encode(batch))
    page.receive(encoder.end())
    return page


def answer(text: str, pieces: int = 1) -> list[StreamEvent]:
    size = max(1, len(text) // pieces)
    deltas = [TextDelta("t", text[start : start + size]) for start in range(0, len(text), size)]
    return [*START, TextStart("t"), *deltas, TextEnd("t"), *FINISH]


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


QUESTION = UIMessage.model_validate({"id": "q1", "role": "user", "parts": [{"type": "text", "text": "a <b>\nc"}]})


def opening(question: UIMessage | None = QUESTION) -> bytes:
    return open_with(HtmlEncoder(TEMPLATES, "a1"), question)


def open_with(encoder: HtmlEncoder, question: UIMessage | None, superseded: Sequence[ToolPart] = ()) -> bytes:
    return encoder.opening(
        "q1",
        question=question,
        superseded=superseded,
        messages=None,
        places={},
        title="A <i>title</i>",
        message_id="new",
    )


def test_the_opening_shows_the_question_and_the_place_of_its_answer_before_the_model_says_anything() -> None:
    page = Page()
    page.receive(opening())
    assert '<div class="bubble" dir="auto">a &lt;b&gt;\nc</div>' in page.places["#transcript"]
    assert f'id="{element_id("a1")}-parts"' in page.places["#transcript"]
    assert 'aria-label="Stop"' in page.places["#composer-action"]
    assert 'value="new"' in page.places["#message-id"]
    assert page.places["#conversation-title"] == "A &lt;i&gt;title&lt;/i&gt;"
    assert page.deleted == ["#welcome", f"#{element_id('q1')} ~ .message", f"#{element_id('q1')}"]


def test_an_opening_without_question_replaces_what_follows_the_question() -> None:
    page = Page()
    page.receive(opening(None))
    assert "bubble" not in page.places["#transcript"]
    assert f"#{element_id('q1')} ~ .message" in page.deleted


def go_on(base: UIMessage, batches: Sequence[Sequence[StreamEvent]]) -> Page:
    """A page on which `base` goes on."""
    page = Page()
    encoder = HtmlEncoder(TEMPLATES, base.id, base=base)
    page.receive(open_with(encoder, None))
    for batch in batches:
        page.receive(encoder.encode(batch))
    page.receive(encoder.end())
    return page


def half(*parts: dict[str, Any], status: str = "interrupted") -> UIMessage:
    return UIMessage.model_validate(
        {"id": "a1", "role": "assistant", "parts": parts, "metadata": {"model": "tiny", "status": status}}
    )


REST = [*START, TextStart("t"), TextDelta("t", "me there **was**"), TextEnd("t"), *FINISH]
REST[-1] = MessageFinish("stop", Usage(3, 4), {"finishReason": "stop", "status": "complete"})


def test_an_answer_goes_on_in_mid_word_in_the_place_where_it_stopped() -> None:
    cut = half(
        {"type": "step-start"},
        {"type": "reasoning", "text": "hm"},
        {"type": "text", "text": "Well.\n\nSo.\n\nOnce upon a ti"},
    )
    page = go_on(cut, [[event] for event in REST])
    shown = page.places["#transcript"]
    assert words(shown) == "Answer Thought hm Waiting for the answer"
    assert page.part(2) == render("Well.\n\nSo.\n\nOnce upon a time there **was**")
    assert not page.place("parts")
    assert "m-a1-3" not in "".join(page.places)


def test_an_answer_that_went_on_is_one_text_after_a_reload_too() -> None:
    cut = half({"type": "text", "text": "Once upon a ti"})
    whole = fold(cut, REST)
    assert whole is not None
    html = show_stored([whole], {})
    assert render("Once upon a time there **was**") in html
    assert html.count('class="prose"') == 1
    assert "Interrupted" not in html
    assert "Continue" not in html


def test_an_answer_that_was_cut_before_a_text_goes_on_below() -> None:
    cut = half({"type": "text", "text": "I look."}, {"type": "reasoning", "text": "hm"})
    page = go_on(cut, [REST])
    assert "<p>I look.</p>" in page.places["#transcript"]
    assert page.part(3) == render("me there **was**")


def test_the_note_of_an_answer_goes_when_it_has_gone_on_to_its_end() -> None:
    cut = half({"type": "text", "text": "Once upon a ti"})
    assert "Interrupted" in go_on(cut, []).place("ending")
    assert "Continue" in go_on(cut, [REST[:-1]]).place("ending")
    ended = go_on(cut, [REST]).place("ending")
    assert "Interrupted" not in ended
    assert "Continue" not in ended


def test_an_answer_that_could_not_go_on_keeps_what_it_has() -> None:
    page = go_on(half({"type": "text", "text": "Once"}), [[StreamError("Too busy.", "x", 429)]])
    assert "Too busy." in page.place("ending")
    assert 'name="regenerate" value="a1"' in page.place("ending")
    assert 'name="continue" value="a1"' in page.place("ending")
    assert page.part(1) == "<p>Once</p>\n"


def test_texts_with_nothing_between_them_are_one_text() -> None:
    events = [
        *START,
        *[TextStart("1"), TextDelta("1", "The sky is "), TextEnd("1")],
        SourceUrl("s", "https://a.example"),
        *[TextStart("2"), TextDelta("2", "bl*u"), TextEnd("2"), TextStart("3"), TextDelta("3", "e*."), TextEnd("3")],
        *[ReasoningStart("r"), ReasoningDelta("r", "hm"), ReasoningEnd("r")],
        *[TextStart("4"), TextDelta("4", "Yes."), TextEnd("4"), *FINISH],
    ]
    page = show([[event] for event in events])
    assert [page.part(number) for number in (1, 2, 3)] == [
        render(text) for text in ("The sky is bl*ue*.", "hm", "Yes.")
    ]
    whole = fold(None, events)
    assert whole is not None
    html = show_stored([whole], {})
    assert [html.index(page.part(number)) for number in (1, 2, 3)] == sorted(
        html.index(page.part(n)) for n in (1, 2, 3)
    )


def test_an_answer_that_ends_says_where_it_stands() -> None:
    encoder = HtmlEncoder(TEMPLATES, "a1")
    encoder.encode(answer("hello"))
    assert b"2/2" in encoder.end(Place("6", 2, 2, "6", None))
    encoder = HtmlEncoder(TEMPLATES, "a1")
    encoder.encode(answer("hello"))
    assert b"Versions of" not in encoder.end()


def test_an_answer_ends_as_a_page_load_would_show_it() -> None:
    text = "# Title\n\nOne **two**\n\n```python\ndef f(): ...\n```\n\n- a\n- b"
    page = show([[event] for event in answer(text, pieces=20)])
    assert page.part(1) == render(text)
    assert page.texts[f"#{element_id('a1')}-1"]["tail"] == ""
    assert page.done


@settings(deadline=None)
@given(st.text("ab *_`#->[]()\n|\r:\\<&", max_size=120), st.integers(1, 40), st.randoms(use_true_random=False))
def test_any_batches_end_alike(text: str, pieces: int, choices: random.Random) -> None:
    events = answer(text, pieces)
    batches = []
    while events:
        size = choices.randint(1, 6)
        batches.append(events[:size])
        events = events[size:]
    assert show(batches).part(1) == render(text.replace("\r\n", "\n").replace("\r", "\n"))


def test_finished_blocks_are_sent_once() -> None:
    encoder = HtmlEncoder(TEMPLATES, "a1")
    sent = [encoder.encode([event]) for event in answer("first\n\nsecond\n\nthird\n\n" + "x " * 200, pieces=50)]
    assert b"".join(sent).count(b'-done" hx-swap="beforeend"><p>first</p>') == 1
    assert b"first" not in b"".join(sent[10:])


def test_each_message_says_how_many_events_it_covers() -> None:
    encoder = HtmlEncoder(TEMPLATES, "a1")
    stream = encoder.encode([*START, TextStart("t")])
    stream += encoder.encode([TextDelta("t", "a"), TextDelta("t", "b")])
    assert [message.id for message in messages(stream)] == ["3", "5"]


def test_events_without_anything_to_show_send_nothing() -> None:
    assert HtmlEncoder(TEMPLATES, "a1").encode(START) == b""


@pytest.mark.parametrize(
    "text",
    [
        "\n\nevent: done\ndata: x\n\n",
        "`\r\revent: done\r\r`",
        "    \n\n    id: 99\n    retry: 1\n",
        '<hx-partial hx-target="body" hx-swap="innerHTML">owned</hx-partial>',
        '`<hx-partial hx-target="body" hx-swap="innerHTML">owned</hx-partial>`',
        "</template></hx-partial><script>alert(1)</script>",
        "</div></article><title>owned</title><head><title>x</title></head>",
        "\u2028data: x\u0085\x0b\x0c\x1c\ud800",
    ],
)
def test_text_cannot_break_out_of_its_place(text: str) -> None:
    events = answer(text, pieces=5)
    page = show([[event] for event in events])
    expected = {"1-done", "parts", "ending"}
    assert {place.removeprefix(f"#{element_id('a1')}-") for place in page.places} - {"1-tail"} == {
        *expected,
        "#composer-action",
        "#after",
    }
    assert page.part(1) == render(text.replace("\r", "\n"))
    as_reasoning = [*START, ReasoningStart("t"), *[e for e in events if isinstance(e, TextDelta)]]
    deltas = [ReasoningDelta(e.id, e.delta) if isinstance(e, TextDelta) else e for e in as_reasoning]
    assert show([[*deltas, ReasoningEnd("t"), *FINISH]]).part(1) == page.part(1)


def test_every_place_of_a_long_answer_is_escaped() -> None:
    hostile = '"><img src=x onerror=alert(1)>'
    encoder = HtmlEncoder(TEMPLATES, "a1")
    stream = encoder.encode(
        [
            MessageStart("a1", {"model": hostile}),
            StepStart(),
            SourceUrl("s", f"https://a.example/{hostile}", hostile),
            SourceUrl("s2", "javascript:alert(1)", "never"),
            StreamError(hostile, hostile, 500),
        ]
    )
    assert b"<img" not in stream
    assert b"javascript:" not in stream


def test_thinking_is_folded_and_says_how_long_it_took() -> None:
    now = [10.0]
    encoder = HtmlEncoder(TEMPLATES, "a1", monotonic=lambda: now[0])
    page = Page()
    page.receive(opening())
    page.receive(encoder.encode([*START, ReasoningStart("r"), ReasoningDelta("r", "I *think*")]))
    assert "<details" in page.place("parts")
    assert "Thinking…" in page.place("parts")
    assert page.part(1) == "<p>I <em>think</em></p>\n"
    now[0] = 13.2
    page.receive(encoder.encode([ReasoningEnd("r")]))
    assert words(page.place("1-label")) == "Thought for 3.2 s"


def test_an_answer_that_is_attached_to_late_tells_no_duration() -> None:
    page = show([[*START, ReasoningStart("r"), ReasoningDelta("r", "x"), ReasoningEnd("r"), *FINISH]], timed=False)
    assert words(page.place("1-label")) == "Thought"


def test_the_end_names_model_tokens_and_time_and_gives_the_send_button_back() -> None:
    page = show([answer("hello")])
    assert "tiny · 1,234 tokens · 2.4 s" in page.place("ending")
    assert 'title="3 tokens in, 1,234 out"' in page.place("ending")
    assert 'aria-label="Send"' in page.places["#composer-action"]
    assert f"#{element_id('a1')}-waiting" in page.deleted


def test_a_stopped_answer_says_so_and_can_be_made_anew() -> None:
    page = show([[*START, TextStart("t"), TextDelta("t", "half"), TextEnd("t"), Abort()]])
    assert "Stopped." in page.place("ending")
    assert 'name="regenerate" value="a1"' in page.place("ending")
    assert page.part(1) == "<p>half</p>\n"
    assert page.done


def test_an_error_in_the_middle_keeps_the_text_and_offers_another_try() -> None:
    page = show([[*START, TextStart("t"), TextDelta("t", "half"), TextEnd("t"), StreamError("Too busy.", "x", 429)]])
    assert page.part(1) == "<p>half</p>\n"
    assert "Too busy." in page.place("ending")
    assert 'name="regenerate" value="a1"' in page.place("ending")
    assert 'aria-label="Send"' in page.places["#composer-action"]


def test_an_error_before_the_answer_asks_for_the_last_answer_because_nothing_is_stored() -> None:
    page = show([[StreamError("No such model.", "provider_rejected", 502)]])
    assert "No such model." in page.place("ending")
    assert 'name="regenerate" value=""' in page.place("ending")


def test_a_stream_that_just_ends_gives_the_send_button_back() -> None:
    page = show([[*START, TextStart("t"), TextDelta("t", "half")]])
    assert 'aria-label="Send"' in page.places["#composer-action"]
    assert page.done


def test_everything_an_answer_can_hold_is_shown() -> None:
    page = show([ANSWER])
    assert words(page.places[f"#{element_id('a1')}-sources"]) == "1 A a.example"
    parts = words(page.place("parts"))
    assert "add" in parts
    assert "find" in parts
    assert "down" in page.places[f"#{element_id('d', 't')}-output"]


def test_what_the_stream_showed_is_what_a_page_load_shows() -> None:
    page = show([ANSWER])
    folded = fold(None, ANSWER)
    assert folded is not None
    html = show_stored([folded], {})
    for number in (1, 2):
        assert page.part(number) in html
    assert words(page.place("sources")) in words(html)


def state(page: Page, call_id: str) -> str:
    return words(page.places[f"#{element_id(call_id, 't')}-state"])


def test_a_tool_card_grows_with_its_call() -> None:
    encoder = HtmlEncoder(TEMPLATES, "a1", monotonic=iter([1.0, 2.0, 3.5]).__next__)
    page = Page()
    page.receive(opening())
    page.receive(encoder.encode([*START, ToolInputStart("c", "get_weather")]))
    assert "get weather" in words(page.place("parts"))
    assert "Preparing…" in words(page.place("parts"))
    page.receive(encoder.encode([ToolInputDelta("c", '{"city": "<b>')]))
    assert page.places["#t-c-input"] == "{&#34;city&#34;: &#34;&lt;b&gt;"
    page.receive(encoder.encode([ToolInputAvailable("c", "get_weather", {"city": "<b>Rome"})]))
    assert "&lt;b&gt;Rome" in page.places["#t-c-input"]
    assert state(page, "c") == "Running…"
    page.receive(encoder.encode([ToolOutputAvailable("c", {"sky": "clear"})]))
    assert state(page, "c") == "Done · 1.5 s"
    assert '"sky": "clear"' in unescape(page.places["#t-c-output"])


def test_arguments_are_sent_once_while_they_grow() -> None:
    encoder, page = HtmlEncoder(TEMPLATES, "a1"), Page()
    page.receive(opening())
    page.receive(encoder.encode([*START, ToolInputStart("c", "write")]))
    sent = [encoder.encode([ToolInputDelta("c", "<word> ")]) for _ in range(200)]
    assert len(sent[-1]) < len(sent[0]) + 10
    for stream in sent:
        page.receive(stream)
    assert unescape(page.places["#t-c-input"]) == "<word> " * 200


def test_a_card_says_the_last_word_of_what_came_at_once() -> None:
    call = [ToolInputStart("c", "list"), ToolInputAvailable("c", "list", {}), ToolOutputAvailable("c", "ok")]
    page = show([[*START, *call, *FINISH]])
    assert state(page, "c") == "Done"


def test_a_call_without_a_result_says_so_at_the_end() -> None:
    page = show([[*START, ToolInputAvailable("c", "ask_user", {}), *FINISH]])
    assert state(page, "c") == "No result"


def test_a_new_question_closes_the_one_that_waited() -> None:
    call = {"type": "tool-delete", "toolCallId": "c", "input": {}, "state": "approval-requested"}
    part = ToolPart.model_validate({**call, "approval": {"id": "ap1"}})
    page = Page()
    page.known |= {"t-c-state", "t-c-approval"}
    page.receive(open_with(HtmlEncoder(TEMPLATES, "a1"), QUESTION, [part]))
    assert state(page, "c") == "Not allowed"
    assert page.places["#t-c-approval"] == ""


def test_a_call_that_needs_a_yes_shows_exactly_what_would_run() -> None:
    asking = [ToolInputAvailable("c", "delete_file", {"path": "/a"}), ToolApprovalRequest("c", "ap1")]
    page = show([[*START, *asking, *FINISH]])
    assert state(page, "c") == "Asks for your approval"
    approval = page.places["#t-c-approval"]
    assert '"path": "/a"' in unescape(approval)
    for name in ("approve", "deny", "always"):
        assert f'name="{name}" value="ap1"' in approval


def test_an_answer_goes_on_with_the_calls_of_its_beginning() -> None:
    call = {"type": "tool-delete_file", "toolCallId": "c", "input": {"path": "/a"}}
    base = half({**call, "state": "approval-requested", "approval": {"id": "ap1"}})
    allowed = go_on(base, [[*START, ToolApprovalResponse("c", "ap1", approved=True)], [ToolOutputAvailable("c", "ok")]])
    assert state(allowed, "c") == "Done"
    assert allowed.places["#t-c-approval"] == ""
    assert "ok" in allowed.places["#t-c-output"]
    denied = go_on(base, [[*START, ToolOutputDenied("c")]])
    assert state(denied, "c") == "Not allowed"


def test_a_table_an_error_and_arguments_that_are_no_json() -> None:
    rows = [{"n": 1, "t": "<i>"}, {"n": 2, "t": "b"}]
    calls = [
        ToolInputAvailable("t", "list", {}),
        ToolOutputAvailable("t", rows),
        ToolInputError("e", "list", "{", "not JSON"),
    ]
    page = show([[*START, *calls, *FINISH]])
    assert "<td>&lt;i&gt;</td>" in page.places["#t-t-output"]
    assert "not JSON" in words(page.place("parts"))


def test_a_wait_is_told_where_the_answer_will_be() -> None:
    encoder, page = HtmlEncoder(TEMPLATES, "a1"), Page()
    page.receive(opening())
    page.receive(encoder.encode([Status("retrying", "Trying <again> in 3 s.", 3.0)]))
    assert page.place("status") == "Trying &lt;again&gt; in 3 s."
    page.receive(encoder.encode([*START, ReasoningStart("r")]))
    assert page.place("status") == ""


def test_a_file_that_the_model_made_is_shown() -> None:
    url = f"/files/{'a' * 64}"
    page = show([[*START, GeneratedFile("image/png", url), *FINISH]])
    assert f'src="{url}"' in page.place("parts")


def test_notes_about_the_request_are_there_for_who_wants_them() -> None:
    warnings = [{"setting": "temperature", "details": "This model takes no <temperature>."}]
    finish = MessageFinish("stop", Usage(1, 1), {"warnings": warnings, "costUsd": 0.01234, "finishReason": "stop"})
    page = show([[*START, StepFinish(), finish]])
    assert "This model takes no &lt;temperature&gt;." in page.place("ending")
    assert "$0.0123" in page.place("ending")


def test_a_picture_that_a_service_made_appears_in_its_card() -> None:
    calls = [
        ToolInputAvailable("p", "image_generation", {}, provider_executed=True),
        ToolOutputAvailable("p", {"result": "iVBORw0KGgoAAAANSUhEUg=="}, provider_executed=True),
    ]
    page = show([[*START, calls[0]], [calls[1], *FINISH]])
    assert 'src="data:image/png;base64,iVBORw0KGgoAAAANSUhEUg=="' in page.places["#t-p-picture"]


def test_a_source_is_listed_once_with_its_number_and_its_host() -> None:
    events = [
        SourceUrl("1", "https://www.a.example/x", "A"),
        SourceUrl("2", "https://b.example"),
        SourceUrl("3", "https://www.a.example/x", "A again"),
        SourceDocument("4", "application/pdf", "A report"),
        SourceDocument("5", "application/pdf", "A report"),
    ]
    page = show([[*START, *events, *FINISH]])
    assert words(page.place("sources")) == "1 A a.example 2 b.example 3 A report"
    whole = fold(None, [*START, *events, *FINISH])
    assert whole is not None
    assert page.place("sources") in show_stored([whole], {})


@pytest.mark.parametrize("late", [False, True])
def test_marks_of_a_text_lead_to_its_sources_whenever_those_come(late: bool) -> None:
    text = [TextStart("t"), TextDelta("t", "Yes[1]. And[2] *no*[3]."), TextEnd("t")]
    source = [
        SourceUrl("1", "https://a.example"),
        SourceUrl("2", "https://a.example"),
        SourceUrl("3", "https://b.example"),
    ]
    think = [ReasoningStart("r"), ReasoningDelta("r", "hm"), ReasoningEnd("r")]
    events = [*START, *(source if not late else []), *text, *think, *(source if late else []), *FINISH]
    page = show([[event] for event in events])
    assert page.part(1).count('href="#m-a1-source-1"') == 2
    assert page.part(1).count('href="#m-a1-source-2"') == 1
    whole = fold(None, events)
    assert whole is not None
    assert page.part(1) in show_stored([whole], {})


def test_footnotes_of_different_texts_of_an_answer_do_not_meet() -> None:
    note = "a[^1]\n\n[^1]: b"
    think = [ReasoningStart("r"), ReasoningDelta("r", note), ReasoningEnd("r")]
    events = [*START, *think, TextStart("t"), TextDelta("t", note), TextEnd("t"), *FINISH]
    page = show([[event] for event in events])
    whole = fold(None, events)
    assert whole is not None
    html = show_stored([whole], {})
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert page.part(1) in html
    assert page.part(2) in html


def test_notes_that_the_answer_before_had_are_not_said_again() -> None:
    warnings = [{"setting": "temperature", "details": "This model takes no temperature."}]
    finish = MessageFinish("stop", Usage(1, 1), {"warnings": warnings, "finishReason": "stop"})
    for told, shown in (((), True), (("This model takes no temperature.",), False), (("Something else.",), True)):
        encoder, page = HtmlEncoder(TEMPLATES, "a1"), Page()
        page.receive(opening())
        page.receive(encoder.encode([*START, StepFinish(), finish]))
        page.receive(encoder.end(None, told))
        assert ("This model takes no" in page.place("ending")) is shown
    answers = [UIMessage(id=f"a{n}", role="assistant", parts=(), metadata={"warnings": warnings}) for n in range(3)]
    assert show_stored(answers, {}).count("This model takes no") == 1


def test_letters_are_encoded_with_no_work_left_to_do() -> None:
    encoder = HtmlEncoder(TEMPLATES, "a1")
    encoder.encode([*START, TextStart("t"), TextDelta("t", "Some words of a text ")])
    assert encoder.work == 0
    stream = encoder.encode([TextDelta("t", "and more")])
    assert messages(stream)[0].html == (
        '<hx-partial hx-target="#m-a1-1-tail>:last-child" hx-swap="beforeend"> and more</hx-partial>'
    )


def test_code_that_grows_is_encoded_without_work_until_it_may_end() -> None:
    encoder = HtmlEncoder(TEMPLATES, "a1")
    encoder.encode([*START, TextStart("t"), TextDelta("t", "```python\n" + "x = 1\n" * 1_000)])
    assert encoder.work == 0
    stream = encoder.encode([TextDelta("t", "y = 2\n")])
    assert len(stream) < 300
