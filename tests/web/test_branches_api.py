"""Branches and forks over HTTP."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from starlette.testclient import TestClient

from app.core.messages import TextPart, UIMessage
from app.core.model import TurnRequest
from app.main import create_app, open_deps
from app.settings.server import ServerSettings

URL = "/api/ai/conversations/b1"


def message(message_id, text, role="user"):
    return {"id": message_id, "role": role, "parts": [{"type": "text", "text": text}]}


@pytest.fixture
def two_questions(client):
    """The second one is an edit of the first."""
    client.post(URL, json={"messages": [message("m1", "one"), message("m2", "yes", "assistant")]})
    client.post(URL, json={"messages": [message("m1", "two")]}, headers={"if-match": '"1"'})
    return client


def places(client):
    return client.get(URL + "/branches").json()["branches"]


def texts(conversation):
    return [message["parts"][0]["text"] for message in conversation["messages"]]


def test_branches_are_listed_and_chosen(two_questions):
    [[one, two]] = places(two_questions)
    assert set(one) == {"branch", "messageId", "role", "active", "preview", "createdAt"}
    assert (one["preview"], one["active"], two["preview"], two["active"]) == ("one", False, "two", True)
    assert one["messageId"] == two["messageId"] == "m1"
    chosen = two_questions.post(URL + "/branches", json={"branch": one["branch"]})
    loaded = two_questions.get(URL)
    assert chosen.status_code == 200
    assert chosen.json() == loaded.json()
    assert chosen.headers["etag"] == loaded.headers["etag"] == '"3"'
    assert texts(loaded.json()) == ["one", "yes"]
    assert [place["active"] for place in places(two_questions)[0]] == [True, False]


def test_the_page_and_sdk_4_get_what_they_can_show(two_questions):
    [[one, two]] = places(two_questions)
    page = two_questions.post(URL + "/branches", json={"branch": one["branch"]}, headers={"hx-request": "true"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    old = two_questions.post(URL + "/branches?sdk=4", json={"branch": two["branch"]})
    assert old.json()["messages"][0]["content"] == "two"


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"branch": 1}, 400), ({"branch": None}, 400), ({"branch": "x"}, 404), ({"branch": "999999"}, 404)],
)
def test_a_branch_that_is_none_is_refused(two_questions, body, status):
    assert two_questions.post(URL + "/branches", json=body).status_code == status
    assert texts(two_questions.get(URL).json()) == ["two"]


def test_an_unknown_conversation_has_neither_branches_nor_forks(client):
    assert client.get(URL + "/branches").status_code == 404
    assert client.post(URL + "/branches", json={"branch": "1"}).status_code == 404
    assert client.post(URL + "/fork", json={}).status_code == 404


def test_no_branch_is_chosen_while_an_answer_is_written(tmp_path):
    opened = []

    @asynccontextmanager
    async def open_and_keep():
        async with open_deps(settings, {}, port=8000) as deps:
            opened.append(deps)
            yield deps

    settings = ServerSettings(data=tmp_path)
    app = create_app(settings, open_and_keep)
    with TestClient(app, "http://127.0.0.1:8000") as client:
        client.post(URL, json={"messages": [message("m1", "one")]})
        client.post(URL, json={"messages": [message("m1", "two")]}, headers={"if-match": '"1"'})
        [[one, _]] = places(client)
        question = UIMessage(id="m2", role="user", parts=(TextPart(type="text", text="slow"),))
        client.portal.call(opened[0].turns.begin, "b1", TurnRequest((question,), message_only=True, preset="default"))
        refused = client.post(URL + "/branches", json={"branch": one["branch"]})
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "run_in_progress")
        client.post("/api/ai/chat/b1/stop")
        assert client.post(URL + "/branches", json={"branch": one["branch"]}).status_code == 200


def test_a_fork_is_a_new_conversation(two_questions):
    [[one, _]] = places(two_questions)
    two_questions.post(URL + "/branches", json={"branch": one["branch"]})
    forked = two_questions.post(URL + "/fork", json={})
    assert forked.status_code == 201
    assert forked.json()["title"] == "one (copy)"
    fork = two_questions.get(f"/api/ai/conversations/{forked.json()['id']}").json()
    assert texts(fork) == ["one", "yes"]
    assert forked.json()["id"] != "b1"


def test_a_fork_ends_where_it_shall_and_is_called_as_it_shall(two_questions):
    [[one, _]] = places(two_questions)
    two_questions.post(URL + "/branches", json={"branch": one["branch"]})
    forked = two_questions.post(URL + "/fork", json={"messageId": "m1", "id": "mine"})
    assert (forked.status_code, forked.json()) == (201, {"id": "mine", "title": "one (copy)"})
    assert texts(two_questions.get("/api/ai/conversations/mine").json()) == ["one"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"messageId": "nobody"}, 400, "invalid_request"),
        ({"messageId": 1}, 400, "invalid_request"),
        ({"id": "../x"}, 400, "invalid_request"),
        ({"id": 7}, 400, "invalid_request"),
        ({"id": "b1"}, 409, "already_exists"),
    ],
)
def test_a_fork_that_cannot_be_is_refused(two_questions, body, status, code):
    refused = two_questions.post(URL + "/fork", json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
    assert len(two_questions.get("/api/ai/conversations").json()["conversations"]) == 1
