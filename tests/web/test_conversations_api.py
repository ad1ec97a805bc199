"""Save, load, delete, list over HTTP."""

from __future__ import annotations

import pytest

URL = "/api/ai/conversations/b1"


def message(number, text="hi", role="user", **more):
    return {"id": f"m{number}", "role": role, "parts": [{"type": "text", "text": text}], **more}


def save(client, *messages, url=URL, **headers):
    return client.post(
        url, json={"messages": list(messages)}, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def load(client, url=URL):
    return client.get(url).json()["messages"]


def test_what_was_saved_is_loaded_unchanged(client):
    odd = message(1, metadata={"a": None}, createdAt="x", future={"deep": [1, None]})
    odd["parts"] += [{"type": "custom", "kind": "a.b"}, {"type": "data-x", "data": None, "id": "1"}]
    messages = [odd, message(2, "hello", "assistant")]
    saved = save(client, *messages)
    assert saved.status_code == 200
    assert saved.json() == {"id": "b1", "version": 1, "messageCount": 2}
    assert load(client) == messages
    loaded = client.get(URL)
    assert loaded.headers["etag"] == saved.headers["etag"] == '"1"'
    assert loaded.headers["content-type"] == "application/json"
    assert loaded.headers["cache-control"] == "no-store"
    assert loaded.json()["title"] == "hi"


def test_saving_twice_changes_nothing(client):
    for _ in range(3):
        answer = save(client, message(1), message(2, "yes", "assistant"))
    assert answer.json()["version"] == 1
    assert len(load(client)) == 2


def test_two_tabs_that_save_from_the_same_base_both_stay(client):
    save(client, message(1))
    save(client, message(1), message(2, "from one tab"))
    save(client, message(1), message(3, "from the other"))
    assert [m["id"] for m in load(client)] == ["m1", "m2", "m3"]


def test_with_if_match_the_list_is_what_the_branch_shall_be(client):
    save(client, message(1), message(2))
    stale = save(client, message(1), message(3), if_match='"7"')
    assert stale.status_code == 412
    assert stale.json()["error"]["code"] == "version_conflict"
    fresh = save(client, message(1), message(3), if_match='"1"')
    assert fresh.status_code == 200
    assert [m["id"] for m in load(client)] == ["m1", "m3"]


def test_if_none_match_saves_only_what_is_new(client):
    assert save(client, message(1), if_none_match="*").status_code == 200
    assert save(client, message(2), if_none_match="*").status_code == 412


@pytest.mark.parametrize("value", ["1", '"x"', '"1", "2"', '"99999999999999999999"'])
def test_an_if_match_that_is_no_etag_is_refused(client, value):
    assert save(client, message(1), if_match=value).status_code == 400


def test_sdk_4_loads_messages_that_it_can_show(client):
    save(client, message(1, "hi"), message(2, "hello", "assistant"))
    loaded = client.get(URL + "?sdk=4").json()["messages"]
    assert loaded == [
        {"id": "m1", "role": "user", "content": "hi", "parts": [{"type": "text", "text": "hi"}]},
        {"id": "m2", "role": "assistant", "content": "hello", "parts": [{"type": "text", "text": "hello"}]},
    ]
    assert save(client, *loaded).json()["version"] == 1, "what it sends back is what is there"


def test_an_unknown_conversation_is_not_found(client):
    assert client.get(URL).status_code == 404
    assert client.head(URL).status_code == 404
    assert client.delete(URL).status_code == 404


def test_a_deleted_conversation_is_gone(client):
    save(client, message(1))
    assert client.delete(URL).status_code == 204
    assert client.get(URL).status_code == 404
    assert client.get("/api/ai/conversations").json() == {"conversations": []}


def test_the_list_is_newest_first_searchable_and_paged(client):
    for name in ("apple", "banana", "cherry"):
        save(client, message(1, f"about {name}"), url=f"/api/ai/conversations/{name}")
    page = client.get("/api/ai/conversations?limit=2").json()
    assert [item["id"] for item in page["conversations"]] == ["cherry", "banana"]
    rest = client.get(f"/api/ai/conversations?limit=2&cursor={page['nextCursor']}").json()
    assert [item["id"] for item in rest["conversations"]] == ["apple"]
    assert "nextCursor" not in rest
    found = client.get("/api/ai/conversations?q=BANANA").json()["conversations"]
    assert [item["title"] for item in found] == ["about banana"]
    assert set(found[0]) == {"id", "title", "createdAt", "updatedAt", "messageCount", "pinned", "archived", "match"}
    assert "match" not in page["conversations"][0]


def test_a_search_shows_where_the_words_are(client):
    save(client, message(1, "Where do apples grow?"), message(2, "On <b>apple</b> trees.", "assistant"))
    client.patch("/api/ai/blocks/b1", json={"title": "Orchards"})

    def match(query):
        return client.get("/api/ai/conversations", params={"q": query}).json()["conversations"][0]["match"]

    assert match("APPLE tr") == {
        "messageId": "m2",
        "snippet": [["On <b>", False], ["apple", True], ["</b> ", False], ["trees", True], [".", False]],
    }
    assert match("orch") == {"snippet": [["Orchards", True]]}
    assert client.get("/api/ai/conversations", params={"q": '"'}).json() == {"conversations": [], "mode": "text"}


def test_archived_conversations_are_listed_when_asked_for(client):
    for name in ("apple", "banana"):
        save(client, message(1, f"about {name}"), url=f"/api/ai/conversations/{name}")
    client.patch("/api/ai/blocks/apple", json={"archived": True})

    def listed(query):
        items = client.get(f"/api/ai/conversations{query}").json()["conversations"]
        return [(item["id"], item["archived"]) for item in items]

    assert listed("") == listed("?archived=false") == listed("?q=about") == [("banana", False)]
    assert listed("?archived=true") == listed("?archived=true&q=about") == [("apple", True)]
    assert listed("?archived=all") == [("banana", False), ("apple", True)]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "limit=201", "limit=-1", "cursor=!!", "cursor=e30", "archived=yes"]
)
def test_a_list_that_cannot_be_is_refused(client, query):
    assert client.get(f"/api/ai/conversations?{query}").status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": "x"},
        {"messages": [1]},
        {"messages": [{"id": "a", "role": "robot", "parts": []}]},
        {"messages": [{"id": "a", "role": "user", "parts": [{"type": "text"}]}]},
    ],
)
def test_what_is_no_conversation_is_refused_and_stores_nothing(client, body):
    assert client.post(URL, json=body).status_code == 400
    assert client.get(URL).status_code == 404


def test_the_page_gets_html_at_the_same_url(client):
    save(client, message(1, "<b>bold</b>"))
    response = client.get(URL, headers={"hx-request": "true"})
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "&lt;b&gt;bold" in response.text
    assert "<b>bold" not in response.text
    assert "text/html" in client.get("/api/ai/conversations", headers={"hx-request": "true"}).headers["content-type"]
