"""The list at the side of every page: groups, search, what can be done with a conversation; temporary chats."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from html import unescape

import pytest

from app.core.conversations import ConversationSummary
from app.web.sidebar import time_group
from tests.web.test_conversations_api import message

API = "/api/ai/conversations"
HTMX = {"hx-request": "true"}
FORM = {"origin": "http://127.0.0.1:8000"}
PAGE = {"accept": "text/html"}


def keep(client, name, text="about gardens"):
    client.post(f"{API}/{name}", json={"messages": [message(1, text)]})


def titles(html):
    return re.findall(r'class="title" href="/c/([^"#]+)', html)


def test_conversations_stand_under_their_time():
    today = date(2026, 3, 2)

    def group(day, *, pinned=False):
        return time_group(ConversationSummary("b", "t", day, f"{day}T23:59:59.000000Z", 1, pinned, False), today)

    assert group("2026-03-02") == group("2026-03-03") == "Today"
    assert group("2026-03-01") == "Yesterday"
    assert group("2026-02-28") == group("2026-02-23") == "Last 7 days"
    assert group("2026-02-22") == group("2026-01-31") == "Last 30 days"
    assert group("2026-01-30") == "January"
    assert group("2025-12-31") == "December 2025"
    assert group("2020-01-01", pinned=True) == "Pinned"


def test_the_list_has_headings_and_a_search_has_none(client):
    keep(client, "one")
    keep(client, "two")
    client.patch("/api/ai/blocks/one", json={"pinned": True})
    html = client.get("/").text
    assert re.findall(r"<h2>([\w ]+)</h2></li>", html) == ["Pinned", "Today"]
    assert titles(html) == ["one", "two"]
    assert "<h2>" not in client.get(f"{API}?q=garden", headers=HTMX).text


def test_what_is_found_is_marked_and_escaped(client):
    keep(client, "one", "a <b>lovely</b> garden")
    keep(client, "two", "nothing of the sort")
    html = client.get(f"{API}?q=lovely", headers=HTMX).text
    assert titles(html) == ["one"]
    assert "&lt;b&gt;<mark>lovely</mark>&lt;/b&gt;" in html


def test_without_a_script_the_start_page_searches_and_pages(client):
    for number in range(42):
        keep(client, f"b{number}", f"garden {number}")
    client.patch("/api/ai/blocks/b1", json={"archived": True})
    assert titles(client.get("/?archived=true").text) == ["b1"]
    assert titles(client.get("/?q=41").text) == ["b41"]
    assert "Nothing found for “&lt;x&gt;”" in client.get("/?q=%3Cx%3E").text
    page = client.get("/?q=garden").text
    more = unescape(re.search(r'class="button" href="(/\?cursor=[^"]+)"', page)[1])
    assert titles(client.get(more).text) == ["b0"]
    assert 'value="garden"' in client.get(more).text


def test_the_next_piece_of_the_archive_is_of_the_archive(client):
    for number in range(3):
        keep(client, f"b{number}")
        client.patch(f"/api/ai/blocks/b{number}", json={"archived": True})
    first = client.get(f"{API}?archived=true&limit=2", headers=HTMX).text
    more = unescape(re.search(r'hx-get="([^"]+)"', first)[1])
    assert titles(client.get(more, headers=HTMX).text) == ["b0"]


@pytest.mark.parametrize(
    ("query", "text"),
    [("", "No conversations yet."), ("?archived=true", "Nothing is archived."), ("?q=x", "Nothing found")],
)
def test_an_empty_list_says_so(client, query, text):
    assert text in client.get(API + query, headers=HTMX).text


def test_a_list_that_has_not_changed_is_not_sent_again(client):
    keep(client, "one")
    first = client.get(API, headers=HTMX)
    again = client.get(API, headers={**HTMX, "if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    client.patch("/api/ai/blocks/one", json={"title": "Renamed"})
    changed = client.get(API, headers={**HTMX, "if-none-match": first.headers["etag"]})
    assert changed.status_code == 200
    assert "Renamed" in changed.text


def test_the_open_conversation_is_marked_wherever_the_list_is_asked_for(client):
    keep(client, "a:b")
    html = client.get(API, headers={**HTMX, "hx-current-url": "http://127.0.0.1:8000/c/a:b"}).text
    assert 'href="/c/a:b" aria-current="page"' in html
    assert "aria-current" not in client.get(API, headers={**HTMX, "hx-current-url": "http://127.0.0.1:8000/usage"}).text


def test_the_trash_gives_back_what_it_was_given(client):
    keep(client, "one")
    assert client.post(f"{API}/one/trash").json() == {"id": "one", "restorableSeconds": 600}
    assert client.get(f"{API}/one").status_code == client.post(f"{API}/one/trash").status_code == 404
    assert client.post(f"{API}/one/restore").json() == {"id": "one"}
    assert client.get(f"{API}/one").status_code == 200
    gone = client.post(f"{API}/one/restore")
    assert gone.status_code == 404
    assert "cannot be brought back" in gone.json()["error"]["message"]


def test_delete_deletes_for_good(client):
    keep(client, "one")
    assert client.delete(f"{API}/one").status_code == 204
    assert client.post(f"{API}/one/restore").status_code == 404


def test_plain_forms_rename_pin_archive_delete_and_bring_back(client):
    keep(client, "one")

    def send(**fields):
        answer = client.post("/c/one/options", data=fields, headers=FORM)
        assert answer.status_code == 303
        return answer.headers["location"]

    assert send(title="A <new> name") == "/c/one/options"
    send(pinned="true")
    send(archived="true")
    [found] = client.get(f"{API}?archived=true").json()["conversations"]
    assert (found["title"], found["pinned"], found["archived"]) == ("A <new> name", True, True)
    page = client.get("/c/one/options").text
    assert "A &lt;new&gt; name" in page
    assert ">Unpin</button>" in page
    assert send(trash="true") == "/?deleted=one"
    assert 'action="/c/one/options"' in client.get("/?deleted=one").text
    assert send(restore="true") == "/c/one"
    assert client.get(f"{API}/one").status_code == 200


@pytest.mark.parametrize(
    ("fields", "status"), [({}, 400), ({"title": " "}, 400), ({"title": "x" * 201}, 400), ({"other": "x"}, 400)]
)
def test_a_form_that_says_nothing_right_changes_nothing(client, fields, status):
    keep(client, "one")
    assert client.post("/c/one/options", data=fields, headers={**FORM, **PAGE}).status_code == status
    assert client.get("/api/ai/blocks/one").json()["metadata"] == {}


@pytest.mark.parametrize("fields", [{"title": "x"}, {"trash": "true"}, {"restore": "true"}])
def test_there_is_nothing_to_do_with_what_is_not_there(client, fields):
    assert client.get("/c/nothing/options", headers=PAGE).status_code == 404
    assert client.post("/c/nothing/options", data=fields, headers={**FORM, **PAGE}).status_code == 404
    assert client.get("/api/ai/blocks/nothing").json()["metadata"] == {}


def test_a_page_of_a_deletion_that_cannot_be_offers_no_way_back(client):
    assert (
        'id="toast" class="toast" method="post" action="" data-deleted="" hidden' in client.get("/?deleted=../x").text
    )


def history_in(html):
    return json.loads(unescape(re.search(r'name="history" id="history" value="([^"]*)"', html)[1]))


def ask_temporarily(client, history, **fields):
    data = {"history": json.dumps(history), **fields}
    return client.post("/temporary/t1", data=data, headers={**FORM, **PAGE})


def texts(history):
    return ["".join(part.get("text", "") for part in message["parts"]) for message in history]


def test_a_temporary_chat_knows_what_was_said_and_the_server_keeps_nothing_of_it(client):
    assert history_in(client.get("/temporary").text) == []
    history = history_in(ask_temporarily(client, [], text="say one").text)
    page = ask_temporarily(client, history, text="say <i>two").text
    history = history_in(page)
    assert texts(history) == ["say one", "one", "say <i>two", "<i>two"]
    assert "<i>two" not in page.replace("&lt;i", "")
    assert client.get(f"{API}?archived=all").json() == {"conversations": []}
    assert client.get(f"{API}/t1").status_code == 404
    assert client.get("/api/ai/blocks/t1").json()["metadata"] == {}
    assert history_in(client.get("/temporary/t1").text) == []


def test_in_a_temporary_chat_an_answer_is_made_anew_and_a_question_asked_differently(client):
    history = history_in(ask_temporarily(client, [], text="say one").text)
    question, answer = history
    again = history_in(ask_temporarily(client, history, regenerate=answer["id"]).text)
    assert texts(again) == ["say one", "one"]
    assert again[1]["id"] != answer["id"]
    edited = history_in(ask_temporarily(client, history, edit=question["id"], text="say two").text)
    assert texts(edited) == ["say two", "two"]


def test_a_temporary_chat_streams_and_hands_its_history_to_the_page(client):
    form = {"history": "[]", "text": "say one", "message_id": "q1"}
    stream = client.post("/temporary/t1", data=form, headers={**HTMX, **FORM}).text
    [field] = re.findall(r'hx-target="#history" hx-swap="outerHTML">(.*)</hx-partial>', stream)
    assert texts(history_in(field)) == ["say one", "one"]
    assert '<hx-partial hx-target="#conversation-title" hx-swap="innerHTML">Temporary chat</hx-partial>' in stream


@pytest.mark.parametrize("history", ["{}", "nothing", '[{"role":"robot"}]', "[1]", '"x"'])
def test_a_history_that_is_none_is_refused(client, history):
    answer = client.post("/temporary/t1", data={"history": history, "text": "hi"}, headers={**FORM, **PAGE})
    assert answer.status_code == 400


def test_a_refused_turn_of_a_temporary_chat_keeps_what_was_said(client):
    history = history_in(ask_temporarily(client, [], text="say one").text)
    page = ask_temporarily(client, history, text="hello", preset="nobody")
    assert page.status_code == 400
    assert texts(history_in(page.text)) == ["say one", "one"]
    assert ">hello</textarea>" in page.text


def test_a_block_can_be_temporary_as_a_whole(client):
    assert client.patch("/api/ai/blocks/b1", json={"ai:store": False}).status_code == 200
    answer = client.post("/api/ai/chat/b1", json={"messages": [message(1, "say hi")]})
    assert '"delta":"hi"' in answer.text
    assert client.get(f"{API}/b1").status_code == 404
    assert client.get("/c/b1").headers["location"] == "/temporary/b1"
    client.patch("/api/ai/blocks/b1", json={"ai:store": None})
    client.post("/api/ai/chat/b1", json={"messages": [message(1, "say hi")]})
    assert client.get(f"{API}/b1").status_code == 200
    assert client.patch("/api/ai/blocks/b1", json={"ai:store": "no"}).status_code == 400


def test_days_in_the_list_are_those_of_now():
    now = datetime.now(UTC)
    written = [(now - timedelta(days=days)).isoformat() for days in (0, 400)]
    names = [time_group(ConversationSummary("b", "t", at, at, 1, False, False), now.date()) for at in written]
    assert names[0] == "Today"
    assert re.fullmatch(r"[A-Z]\w+ \d{4}", names[1])
