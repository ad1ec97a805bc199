"""The htmx page as a browser gets it, with and without JavaScript, over the whole application."""

from __future__ import annotations

import base64
import re
from hashlib import sha384
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.providers.echo.texts import BREAKING
from app.wire.transcript import element_id

STATIC = Path(__file__).parents[2] / "static"
FORM = {"origin": "http://127.0.0.1:8000"}
HTMX = {**FORM, "hx-request": "true", "accept": "text/html, text/event-stream"}
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)> {{ 7 * 7 }}'


class _Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""
        self._in = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in = tag

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in in ("script", "style"):
            self.inline += data.strip()

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def by_id(self, element: str) -> dict[str, str | None]:
        return next(attributes for _, attributes in self.tags if attributes.get("id") == element)


def say(client: TestClient, text: str, block_id: str = "chat-1", **fields: str) -> str:
    """One turn without JavaScript; the page that it leads to."""
    answered = client.post(f"/c/{block_id}", data={"text": text, **fields}, headers=FORM)
    assert (answered.status_code, answered.headers.get("location")) == (303, f"/c/{block_id}")
    page = client.get(f"/c/{block_id}")
    assert page.status_code == 200
    return page.text


def stored(client: TestClient, block_id: str = "chat-1") -> list[tuple[str, str]]:
    body = client.get(f"/api/ai/conversations/{block_id}").json()
    return [
        (message["role"], "".join(part["text"] for part in message["parts"] if part["type"] == "text"))
        for message in body["messages"]
    ]


def test_a_new_chat_gets_a_name_of_its_own_and_says_who_answers(client: TestClient) -> None:
    first, second = client.get("/").text, client.get("/").text
    action = _Tags(first).by_id("composer")["action"]
    assert re.fullmatch(r"/c/chat-[\w-]{16}", action or "")
    assert action != _Tags(second).by_id("composer")["action"]
    assert "What shall we talk about?" in first
    assert "This is the demo." in first
    assert "ANTHROPIC_API_KEY" in first


def test_the_page_has_its_landmarks_and_a_log(client: TestClient) -> None:
    tags = _Tags(say(client, "hello"))
    assert len(tags.all("main")) == len(tags.all("nav")) == len(tags.all("h1")) == len(tags.all("header")) == 1
    assert tags.by_id("transcript")["role"] == "log"


@pytest.mark.parametrize("path", ["/", "/c/chat-1", "/nowhere"])
def test_nothing_in_a_page_is_inline_or_comes_from_elsewhere(client: TestClient, path: str) -> None:
    say(
        client, "say | a |\n|--:|\n| ![x](https://a.example) |\n\n- [ ] [y](https://b.example)\n\n```python\nx = 1\n```"
    )
    tags = _Tags(client.get(path, headers={"accept": "text/html"}).text)
    assert tags.inline == ""
    for tag, attributes in tags.tags:
        assert "style" not in attributes, tag
        assert not [name for name in attributes if name.startswith(("on", "hx-on"))], tag
        assert not re.search(
            r"js:|javascript:|\[", (attributes.get("hx-trigger") or "") + (attributes.get("hx-vals") or "")
        )
        for name in ("src", "action") + (("href",) if tag == "link" else ()):
            assert (attributes.get(name) or "/").startswith(("/", "data:image/")), (tag, attributes)


def test_static_addresses_carry_the_hash_of_what_they_lead_to(client: TestClient) -> None:
    tags = _Tags(client.get("/").text)
    addresses = [tag["src"] for tag in tags.all("script")] + [tag["href"] for tag in tags.all("link")]
    assert len(addresses) > 6
    for address in addresses:
        assert address is not None
        assert re.search(r"\?v=[0-9a-f]{12}$", address)
        assert client.get(address).status_code == 200


def test_htmx_is_configured_without_what_it_does_not_need(client: TestClient) -> None:
    metas = {meta.get("name"): meta.get("content") for meta in _Tags(client.get("/").text).all("meta")}
    config = metas["htmx-config"] or ""
    for setting in ('"mode": "same-origin"', '"extensions": "sse"', '"prefix": ""', '"includeIndicatorCSS": false'):
        assert setting in config


def test_vendored_files_are_what_their_readme_says() -> None:
    rows = re.findall(
        r"^\| `([^`]+)` \| [^|]+\| (\d+) \| `([^`]+)` \|$", (STATIC / "vendor/README.md").read_text(), re.MULTILINE
    )
    for name, size, digest in rows:
        content = (STATIC / "vendor" / name).read_bytes()
        assert (len(content), base64.b64encode(sha384(content).digest()).decode()) == (int(size), digest)
    vendored = {path.name for path in (STATIC / "vendor").iterdir()}
    assert {name for name, _, _ in rows} == vendored - {"README.md"}


def test_a_turn_without_javascript_leads_to_a_page_with_the_whole_answer(client: TestClient) -> None:
    page = say(client, "say **hello** there")
    assert "<strong>hello</strong> there" in page
    assert 'class="bubble" dir="auto">say **hello** there</div>' in page
    assert stored(client) == [("user", "say **hello** there"), ("assistant", "**hello** there")]


def test_a_starter_is_sent_whatever_stands_in_the_box(client: TestClient) -> None:
    say(client, "", starter="say hi")
    assert stored(client)[0] == ("user", "say hi")


def test_line_ends_of_a_form_are_line_ends(client: TestClient) -> None:
    say(client, "say a\r\nb")
    assert stored(client)[0] == ("user", "say a\nb")


def test_a_turn_with_htmx_is_a_stream_of_fragments(client: TestClient) -> None:
    answer = client.post("/c/chat-1", data={"text": "say *hi*", "message_id": "q1"}, headers=HTMX)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.text.index('class="bubble" dir="auto">say *hi*') < answer.text.index("<em>hi</em>")
    assert answer.text.count('class="bubble"') == 1
    assert answer.text.endswith("event: done\ndata:\n\n")
    assert stored(client) == [("user", "say *hi*"), ("assistant", "*hi*")]


def test_a_request_that_htmx_sends_again_asks_nobody_again(client: TestClient) -> None:
    form = {"text": "say hi", "message_id": "q1"}
    client.post("/c/chat-1", data=form, headers=HTMX)
    again = client.post("/c/chat-1", data=form, headers={**HTMX, "last-event-id": "4"})
    assert again.text.count("<p>hi</p>") == 1
    assert 'hx-target="#transcript" hx-swap="innerHTML"' in again.text
    assert again.text.endswith("event: done\ndata:\n\n")
    assert len(stored(client)) == 2


@pytest.mark.parametrize("last_event_id", ["", "-1", "x" * 500, "99999999999999999999", "\xff"])
def test_any_last_event_id_is_answered(client: TestClient, last_event_id: str) -> None:
    say(client, "say hi")
    answer = client.get("/c/chat-1/stream", headers={**HTMX, "last-event-id": last_event_id.encode("latin-1")})
    assert answer.status_code == 200
    assert "<p>hi</p>" in answer.text


def test_nothing_to_attach_to_is_an_empty_answer(client: TestClient) -> None:
    assert client.get("/c/nobody/stream", headers=HTMX).status_code == 204


def test_a_reload_in_the_middle_attaches_and_misses_nothing(client: TestClient) -> None:
    with client.stream("POST", "/c/chat-1", data={"text": "slow 8", "message_id": "q1"}, headers=HTMX) as stream:
        lines = stream.iter_lines()
        while "-tail" not in next(lines):
            pass
        page = client.get("/c/chat-1").text
        assert 'hx-sse:connect="/c/chat-1/stream"' in page
        assert 'aria-label="Stop"' in page
        attached = client.get("/c/chat-1/stream", headers=HTMX).text
        rest = "\n".join(lines)
    (_, text) = stored(client)[-1]
    assert len(text.split()) == 8
    assert text in attached
    assert text in rest
    assert 'class="bubble"' not in attached
    assert "hx-sse:connect" not in client.get("/c/chat-1").text


def test_a_stopped_answer_keeps_what_was_said(client: TestClient) -> None:
    with client.stream("POST", "/c/chat-1", data={"text": "slow 400", "message_id": "q1"}, headers=HTMX) as stream:
        lines = stream.iter_lines()
        while "<p>" not in next(lines):
            pass
        assert client.post("/api/ai/chat/chat-1/stop", headers=HTMX).json() == {"stopped": True}
        assert "Stopped." in "\n".join(lines)
    assert 1 <= len(stored(client)[-1][1].split()) < 400
    assert "Stopped." in client.get("/c/chat-1").text


def test_stop_as_a_plain_form_leads_back_to_the_conversation(client: TestClient) -> None:
    say(client, "say hi")
    stopped = client.post("/c/chat-1/stop", headers=FORM)
    assert (stopped.status_code, stopped.headers["location"]) == (303, "/c/chat-1")


def test_the_last_answer_can_be_made_anew(client: TestClient) -> None:
    page = say(client, "say hi")
    answer_id = re.search(r'name="regenerate" value="([^"]+)"', page)
    assert answer_id is not None
    anew = client.post("/c/chat-1", data={"text": "a draft", "regenerate": answer_id[1]}, headers=HTMX)
    assert 'class="bubble"' not in anew.text
    assert re.search(r'hx-target="#m-[\w-]+ ~ .message" hx-swap="delete"', anew.text)
    assert stored(client) == [("user", "say hi"), ("assistant", "hi")]
    assert element_id(answer_id[1]) not in client.get("/c/chat-1").text


def answer_id(page: str) -> str:
    found = re.search(r'name="(?:regenerate|continue)" value="([\w-]+)"', page)
    assert found is not None
    return found[1]


def test_an_answer_that_was_cut_goes_on_under_its_id(client: TestClient) -> None:
    page = say(client, "error midway")
    half = stored(client)[-1][1]
    assert f'name="continue" value="{answer_id(page)}"' in page
    stream = client.post("/c/chat-1", data={"continue": answer_id(page), "text": "a draft"}, headers=HTMX).text
    opening, beginning = stream.split("\n\n")[:2]
    assert 'class="bubble"' not in opening
    assert half.split()[-1] in beginning
    (question, whole) = client.get("/api/ai/conversations/chat-1").json()["messages"]
    assert question["role"] == "user"
    assert whole["id"] == answer_id(page)
    assert stored(client)[-1][1] == BREAKING
    assert "Try again" not in client.get("/c/chat-1").text


def test_without_javascript_an_answer_goes_on_too(client: TestClient) -> None:
    half = say(client, "error midway")
    answered = client.post("/c/chat-1", data={"continue": answer_id(half)}, headers=FORM)
    assert answered.headers["location"] == "/c/chat-1"
    assert len(stored(client)) == 2
    assert stored(client)[-1][1] == BREAKING


def test_a_page_load_while_an_answer_goes_on_shows_its_beginning_once(client: TestClient) -> None:
    with client.stream("POST", "/c/chat-1", data={"text": "slow 400"}, headers=HTMX) as stream:
        lines = stream.iter_lines()
        while "<p>" not in next(lines):
            pass
        client.post("/api/ai/chat/chat-1/stop", headers=HTMX)
        list(lines)
    half = stored(client)[-1][1]
    form = {"continue": answer_id(client.get("/c/chat-1").text)}
    with client.stream("POST", "/c/chat-1", data=form, headers=HTMX) as stream:
        lines = stream.iter_lines()
        while "<p>" not in next(lines):
            pass
        page = client.get("/c/chat-1").text
        assert page.count(f"<p>{half}</p>") == 1
        assert 'hx-sse:connect="/c/chat-1/stream"' in page
        assert "Stopped." not in page
        with client.stream("POST", "/c/chat-1", data=form, headers=HTMX) as second:
            assert second.status_code == 200, "the second tab that goes on with it watches"
        client.post("/api/ai/chat/chat-1/stop", headers=HTMX)
        list(lines)
    assert len(stored(client)) == 2


def test_an_edited_question_replaces_the_old_one_on_the_page_and_keeps_it_in_store(client: TestClient) -> None:
    say(client, "say one", message_id="q1")
    say(client, "say two", message_id="q2")
    stream = client.post("/c/chat-1", data={"edit": "q1", "text": "say other"}, headers=HTMX).text
    assert '<hx-partial hx-target="#m-q1" hx-swap="delete">' in stream
    assert '<hx-partial hx-target="#m-q1 ~ .message" hx-swap="delete">' in stream
    assert "2/2" in stream
    assert stored(client) == [("user", "say other"), ("assistant", "other")]
    page = client.get("/c/chat-1").text
    branch = re.search(r'form="branch" name="branch" value="(\d+)" aria-label="Previous version"', page)
    assert branch is not None
    chosen = client.post("/c/chat-1", data={"branch": branch[1]}, headers=HTMX).text
    assert '<hx-partial hx-target="#transcript" hx-swap="innerHTML">' in chosen
    assert "say two" in chosen
    assert "1/2" in chosen
    assert [text for _, text in stored(client)] == ["say one", "one", "say two", "two"]


def test_without_javascript_questions_are_edited_and_versions_chosen_too(client: TestClient) -> None:
    say(client, "say one", message_id="q1")
    page = client.get("/c/chat-1?edit=q1").text
    assert '<input type="hidden" name="edit" id="message-id" value="q1">' in page
    assert ">say one</textarea>" in page
    assert "Editing" in page
    page = say(client, "say other", edit="q1")
    branch = re.search(r'name="branch" value="(\d+)" aria-label="Previous', page)
    assert branch is not None
    chosen = client.post("/c/chat-1", data={"branch": branch[1]}, headers=FORM)
    assert (chosen.status_code, chosen.headers["location"]) == (303, "/c/chat-1")
    assert stored(client) == [("user", "say one"), ("assistant", "one")]


def test_an_edited_question_keeps_its_pictures(client: TestClient) -> None:
    picture = {"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,iVBORw0KGgo="}
    said = {"id": "q1", "role": "user", "parts": [picture, {"type": "text", "text": "What is this?"}]}
    client.post("/api/ai/conversations/chat-1", json={"messages": [said]})
    page = client.get("/c/chat-1?edit=q1").text
    kept = re.search(r'name="file" value="(/files/[^"]+)"', page)
    assert kept is not None
    client.post("/c/chat-1", data={"edit": "q1", "text": "image", "file": kept[1]}, headers=HTMX)
    (question, answer) = client.get("/api/ai/conversations/chat-1").json()["messages"]
    assert [part["type"] for part in question["parts"]] == ["file", "text"]
    assert "I got an image" in answer["parts"][-1]["text"]


@pytest.mark.parametrize("edit", ["nobody", "", HOSTILE])
def test_what_is_not_there_is_not_edited(client: TestClient, edit: str) -> None:
    say(client, "say one")
    assert "Editing:" not in client.get("/c/chat-1", params={"edit": edit}).text.split("<template")[0]
    refused = client.post("/c/chat-1", data={"edit": edit, "text": "say other"}, headers=FORM)
    assert refused.status_code == 400
    assert "no question with that id" in refused.text
    assert "<script>alert" not in refused.text
    assert len(stored(client)) == 2


def test_a_page_of_a_deleted_conversation_brings_it_back_with_its_next_turn(client: TestClient) -> None:
    after = _Tags(say(client, "say one")).by_id("after")["value"] or ""
    client.post("/api/ai/conversations/chat-1/trash")
    say(client, "say two", after=after)
    assert [text for _, text in stored(client)] == ["say one", "one", "say two", "two"]


def test_a_page_of_a_conversation_that_is_gone_for_good_keeps_what_was_written(client: TestClient) -> None:
    after = _Tags(say(client, "say one")).by_id("after")["value"] or ""
    client.delete("/api/ai/conversations/chat-1")
    refused = client.post("/c/chat-1", data={"text": "say two", "after": after}, headers=FORM)
    assert refused.status_code == 404
    assert "This conversation has been deleted." in refused.text
    assert ">say two</textarea>" in refused.text
    assert client.post("/c/chat-1", data={"text": "say two", "after": after}, headers=HTMX).status_code == 404
    assert client.get("/api/ai/conversations/chat-1").status_code == 404


def test_an_address_can_bring_the_text_of_a_message(client: TestClient) -> None:
    page = client.get("/", params={"text": HOSTILE, "preset": "default"}).text
    assert "<script>alert" not in page
    assert _Tags(page).by_id("text")["name"] == "text"
    assert "{{ 7 * 7 }}</textarea>" in page


@pytest.mark.parametrize("branch", ["", "x", "0", "99999999999999999999999", HOSTILE])
def test_a_branch_that_is_not_there_is_not_chosen(client: TestClient, branch: str) -> None:
    say(client, "say one")
    for headers in (FORM, HTMX):
        refused = client.post("/c/chat-1", data={"branch": branch}, headers=headers)
        assert refused.status_code == 404
        assert "<script>alert" not in refused.text
    assert len(stored(client)) == 2


def test_no_other_branch_is_chosen_while_an_answer_is_written(client: TestClient) -> None:
    with client.stream("POST", "/c/chat-1", data={"text": "slow 400"}, headers=HTMX) as stream:
        next(stream.iter_lines())
        assert client.post("/c/chat-1", data={"branch": "1"}, headers=HTMX).status_code == 409
        client.post("/api/ai/chat/chat-1/stop", headers=HTMX)


def test_a_page_that_fell_behind_gets_everything_with_its_next_turn(client: TestClient) -> None:
    page = _Tags(say(client, "say one"))
    after = page.by_id("after")["value"] or ""
    say(client, "say two")
    stream = client.post("/c/chat-1", data={"text": "say three", "after": after}, headers=HTMX).text
    opening = stream.split("\n\n", 1)[0]
    assert '<hx-partial hx-target="#transcript" hx-swap="innerHTML">' in opening
    assert [
        word for word in ("say one", "say two", "say three") if f'class="bubble" dir="auto">{word}<' in opening
    ] == [
        "say one",
        "say two",
        "say three",
    ]
    assert f'id="after" value="{after}"' not in stream
    last = client.get("/api/ai/conversations/chat-1").json()["messages"][-1]["id"]
    assert f'id="after" value="{last}"' in stream
    again = client.post("/c/chat-1", data={"text": "say four", "after": last}, headers=HTMX).text
    assert 'hx-target="#transcript" hx-swap="innerHTML"' not in again


def test_a_tab_asks_whether_another_one_was_faster(client: TestClient) -> None:
    assert client.get("/c/chat-1/stream", params={"after": ""}, headers=HTMX).status_code == 204
    page = _Tags(say(client, "say one"))
    after = page.by_id("after")["value"] or ""
    assert client.get("/c/chat-1/stream", params={"after": after}, headers=HTMX).status_code == 204
    assert "say one" in client.get("/c/chat-1/stream", params={"after": ""}, headers=HTMX).text
    with client.stream("POST", "/c/chat-1", data={"text": "slow 8"}, headers=HTMX) as stream:
        next(stream.iter_lines())
        news = client.get("/c/chat-1/stream", params={"after": after}, headers=HTMX).text
    assert 'class="bubble" dir="auto">slow 8<' in news
    assert news.count('class="bubble"') == 2
    assert news.endswith("event: done\ndata:\n\n")


def test_an_error_before_the_answer_is_shown_with_a_way_to_try_again(client: TestClient) -> None:
    answer = client.post("/c/chat-1", data={"text": "error"}, headers=HTMX)
    assert answer.status_code == 200
    assert 'name="regenerate" value=""' in answer.text
    page = client.get("/c/chat-1").text
    assert "This message has no answer." in page
    again = client.post("/c/chat-1", data={"regenerate": ""}, headers=HTMX)
    assert 'name="regenerate" value=""' in again.text
    assert stored(client) == [("user", "error")]


def test_an_error_in_the_middle_keeps_the_beginning_and_its_reason(client: TestClient) -> None:
    page = say(client, "error midway")
    assert stored(client)[-1][1]
    assert 'class="failure"' in page
    assert "Try again</button>" in page


@pytest.mark.parametrize(
    ("form", "status", "sentence"),
    [
        ({"text": ""}, 400, "empty"),
        ({"text": "  \n "}, 400, "empty"),
        ({}, 400, "empty"),
        ({"text": "a\0b"}, 400, "NUL"),
        ({"text": "hi", "message_id": "no spaces"}, 400, "message_id"),
        ({"text": "hi", "message_id": "x" * 65}, 400, "message_id"),
        ({"text": "hi", "preset": "nobody"}, 400, "default, other"),
        ({"regenerate": "nothing"}, 400, "regenerate"),
        ({"continue": "nothing"}, 400, "no answer with that id"),
        ({"continue": ""}, 400, "`continue`"),
        ({"continue": "x" * 257}, 400, "`continue`"),
    ],
)
def test_a_wrong_form_says_what_is_wrong_and_stores_nothing(
    client: TestClient, form: dict[str, str], status: int, sentence: str
) -> None:
    fragment = client.post("/c/chat-1", data=form, headers=HTMX)
    assert fragment.status_code == status
    assert sentence in fragment.text
    assert "<html" not in fragment.text
    page = client.post("/c/chat-1", data=form, headers=FORM)
    assert page.status_code == status
    assert "<html" in page.text
    assert sentence in page.text
    assert client.get("/api/ai/conversations/chat-1").status_code == 404


def test_what_was_typed_is_still_there_when_it_was_not_taken(client: TestClient) -> None:
    page = client.post("/c/chat-1", data={"text": f"say {HOSTILE}", "preset": "nobody"}, headers=FORM)
    assert "<script>alert" not in page.text
    assert "{{ 7 * 7 }}</textarea>" in page.text


def test_a_chosen_preset_stays_with_the_conversation(client: TestClient) -> None:
    page = say(client, "say hi", preset="other")
    assert re.search(r'<option value="other" selected[^>]*>The other', page)
    assert client.get("/api/ai/blocks/chat-1").json()["metadata"]["ai:preset"] == "other"
    assert '<option value="other" selected' in say(client, "say more")


def test_a_preset_that_is_not_chosen_leaves_no_trace(client: TestClient) -> None:
    say(client, "say hi", preset="default")
    assert "ai:preset" not in client.get("/api/ai/blocks/chat-1").json()["metadata"]


def test_a_new_chat_can_begin_with_another_preset(client: TestClient) -> None:
    assert '<option value="other" selected' in client.get("/?preset=other").text


def test_a_preset_that_is_gone_is_named_and_not_answered(client: TestClient) -> None:
    page = client.get("/", params={"preset": HOSTILE}).text
    assert "(not configured)" in page
    assert "<script>alert" not in page


def test_a_hostile_first_message_stays_text_everywhere(client: TestClient) -> None:
    say(client, HOSTILE)
    for path in ("/", "/c/chat-1", "/api/ai/conversations", "/api/ai/conversations/chat-1"):
        html = client.get(path, headers={"accept": "text/html"}).text
        assert "<script>alert" not in html
        assert "<img" not in html
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_the_transcript_is_a_fragment_for_htmx(client: TestClient) -> None:
    say(client, "say *hi*")
    fragment = client.get("/api/ai/conversations/chat-1", headers=HTMX)
    assert fragment.headers["content-type"].startswith("text/html")
    assert "<em>hi</em>" in fragment.text
    assert "<html" not in fragment.text


@pytest.mark.parametrize("path", ["/c/-bad", "/c/a%20b", "/c/..%2fx", "/c/" + "x" * 129, "/c/a/b"])
def test_an_impossible_block_id_is_a_page_that_does_not_exist(client: TestClient, path: str) -> None:
    assert client.get(path, headers={"accept": "text/html"}).status_code == 404
    assert client.post(path, data={"text": "hi"}, headers=FORM).status_code == 404


def test_a_page_for_an_unknown_conversation_is_an_empty_one(client: TestClient) -> None:
    page = client.get("/c/my.own:id_1")
    assert page.status_code == 200
    assert 'action="/c/my.own:id_1"' in page.text
    assert client.get("/api/ai/conversations/my.own:id_1").status_code == 404


def test_a_file_whose_address_has_its_hash_is_asked_for_once(client):
    page = client.get("/").text
    address = re.search(r'href="(/static/base\+[\w+]+\.css\?v=\w+)"', page)[1]
    assert client.get(address).headers["cache-control"] == "public, max-age=31536000, immutable"
    assert client.get("/static/base.css").headers["cache-control"] == "no-cache"


def save_long(client: TestClient, count: int, text: str = "Message {0}") -> None:
    messages = [
        {
            "id": f"m{number}",
            "role": "assistant" if number % 2 else "user",
            "parts": [{"type": "text", "text": text.format(number)}],
        }
        for number in range(count)
    ]
    answered = client.post("/api/ai/conversations/chat-1", json={"messages": messages}, headers=FORM)
    assert answered.status_code < 300, answered.text


def shown_ids(html: str) -> list[str]:
    return re.findall(r'<article class="message [\w ]+" id="m-(m\d+)"', html)


def test_a_page_shows_the_end_of_a_long_conversation_and_the_way_up(client: TestClient) -> None:
    save_long(client, 90)
    html = client.get("/c/chat-1").text
    assert shown_ids(html) == [f"m{number}" for number in range(50, 90)]
    seen = shown_ids(html)
    while (
        found := re.search(r'<p class="earlier" id="earlier"><a [^>]*href="([^"]+)" hx-get="([^"]+)"', html)
    ) is not None:
        assert found[1] == found[2]
        html = client.get(unescape(found[1]), headers=HTMX).text
        assert "<!doctype" not in html
        seen = shown_ids(html) + seen
    assert seen == [f"m{number}" for number in range(90)]


def test_long_messages_make_a_page_of_fewer(client: TestClient) -> None:
    save_long(client, 40, "{0} " + "word " * 2_000)
    html = client.get("/c/chat-1").text
    assert 2 <= len(shown_ids(html)) < 8
    assert len(html) < 200_000
    assert 'id="earlier"' in html


def test_earlier_messages_do_not_ask_for_an_answer_that_stands_below(client: TestClient) -> None:
    save_long(client, 81)
    html = client.get("/c/chat-1").text
    assert "This message has no answer." in html
    link = re.search(r'id="earlier"><a [^>]*href="([^"]+)"', html)
    assert link is not None
    page = client.get(unescape(link[1])).text
    assert "This message has no answer." not in page
    assert "Show the end of the conversation" in page


def test_a_question_far_up_can_be_asked_differently(client: TestClient) -> None:
    save_long(client, 90)
    assert ">Message 2</textarea>" in client.get("/c/chat-1?edit=m2").text


def test_a_place_that_is_none_of_the_conversation_is_refused(client: TestClient) -> None:
    save_long(client, 2)
    assert client.get("/c/chat-1?before=nonsense").status_code == 400
    assert client.get("/c/chat-2?before=nonsense").status_code in (400, 404)
