"""One message over HTTP: read, deleted, rated."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import pytest
from starlette.testclient import TestClient

from app.core.messages import TextPart, UIMessage
from app.core.model import TurnRequest
from app.main import create_app, open_deps
from app.settings.server import ServerSettings

URL = "/api/ai/conversations/b1"


def message(message_id, text, role="user", **more):
    return {"id": message_id, "role": role, "parts": [{"type": "text", "text": text}], **more}


@pytest.fixture
def chat(client):
    """Two questions with their answers, the last one an odd name."""
    said = [message("m1", "one"), message("m2", "yes", "assistant"), message("m3", "two")]
    said.append(message("a/b c", "no", "assistant", metadata={"model": "tiny", "preset": "p"}))
    client.post(URL, json={"messages": said})
    return client


def code(response):
    return response.status_code, response.json()["error"]["code"]


def ids(client):
    return [message["id"] for message in client.get(URL).json()["messages"]]


def test_a_message_is_as_the_conversation_has_it(chat):
    found = chat.get(f"{URL}/messages/m2")
    assert found.json() == {"message": message("m2", "yes", "assistant"), "messageCount": 3}
    assert found.headers["etag"] == chat.get(URL).headers["etag"]
    assert chat.get(f"{URL}/messages/a%2Fb%20c").json()["messageCount"] == 1
    assert code(chat.get(f"{URL}/messages/nobody")) == (404, "not_found")
    assert code(chat.get("/api/ai/conversations/x/messages/m1")) == (404, "not_found")


def test_a_message_is_deleted_with_what_follows(chat):
    deleted = chat.delete(f"{URL}/messages/m3")
    assert deleted.json() == {"id": "b1", "messageCount": 2, "version": 2}
    assert deleted.headers["etag"] == chat.get(URL).headers["etag"] == '"2"'
    assert ids(chat) == ["m1", "m2"]
    assert code(chat.delete(f"{URL}/messages/m3")) == (404, "not_found")


def test_a_message_waits_in_the_trash_and_is_brought_back(chat):
    trashed = chat.post(f"{URL}/messages/m3/trash", headers={"if-match": '"1"'}).json()
    key = trashed.pop("key")
    assert trashed == {"id": "b1", "messageCount": 2, "version": 2, "restorableSeconds": 600}
    assert ids(chat) == ["m1", "m2"]
    assert code(chat.post(f"{URL}/messages/m3/trash")) == (404, "not_found")
    assert code(chat.post(f"{URL}/messages/nothing/restore")) == (404, "not_found")
    back = chat.post(f"{URL}/messages/{key}/restore")
    assert (back.json(), back.headers["etag"]) == ({"id": "b1", "version": 3}, '"3"')
    assert len(ids(chat)) == 4
    assert code(chat.post(f"{URL}/messages/{key}/restore")) == (404, "not_found")


def test_with_the_first_message_the_conversation_is_in_the_trash(chat):
    trashed = chat.post(f"{URL}/messages/m1/trash").json()
    assert trashed == {"id": "b1", "messageCount": 4, "restorableSeconds": 600}
    assert chat.get(URL).status_code == 404
    assert chat.post(f"{URL}/restore").status_code == 200
    assert len(ids(chat)) == 4


def test_with_the_first_message_the_conversation_goes(chat):
    deleted = chat.delete(f"{URL}/messages/m1")
    assert deleted.json() == {"id": "b1", "messageCount": 4}
    assert "etag" not in deleted.headers
    assert chat.get(URL).status_code == 404


def test_if_match_is_honoured(chat):
    chat.post(URL, json={"messages": [message("m5", "three")]})
    refused = chat.delete(f"{URL}/messages/m3", headers={"if-match": '"1"'})
    assert code(refused) == (412, "version_conflict")
    assert chat.delete(f"{URL}/messages/m3", headers={"if-match": '"2"'}).status_code == 200


def test_a_file_goes_with_the_last_message_that_names_it(client):
    picture = {"type": "file", "mediaType": "text/plain", "url": "data:text/plain;base64,aGVsbG8="}
    client.post(URL, json={"messages": [message("m1", "one"), {"id": "m2", "role": "user", "parts": [picture]}]})
    address = client.get(URL).json()["messages"][1]["parts"][0]["url"]
    assert client.get(address).status_code == 200
    client.delete(f"{URL}/messages/m2")
    assert client.get(address).status_code == 404


def test_nothing_is_deleted_while_an_answer_is_written(tmp_path):
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
        question = UIMessage(id="m2", role="user", parts=(TextPart(type="text", text="slow"),))
        client.portal.call(opened[0].turns.begin, "b1", TurnRequest((question,), message_only=True, preset="default"))
        assert code(client.delete(f"{URL}/messages/m1")) == (409, "run_in_progress")
        client.post("/api/ai/chat/b1/stop")
        assert client.delete(f"{URL}/messages/m1").status_code == 200
        assert client.get("/api/ai/chat/b1/stream").status_code == 204


def test_an_answer_is_made_again_by_another_preset_once(chat):
    again = {"trigger": "regenerate-message", "messageId": "m2"}
    assert chat.post("/api/ai/chat/b1?preset=other", json=again).status_code == 200
    question, answer = chat.get(URL).json()["messages"]
    assert (question["id"], answer["metadata"]["preset"]) == ("m1", "other")
    assert chat.get("/api/ai/blocks/b1").json()["metadata"] == {}


def test_an_answer_is_rated_and_the_rating_taken_back(chat):
    put = chat.put(f"{URL}/messages/m2/feedback", json={"rating": "down", "comment": "  Too long. "})
    assert put.json() == {"messageId": "m2", "rating": "down", "comment": "Too long."}
    assert chat.get(URL + "/feedback").json() == {"feedback": [put.json()]}
    chat.put(f"{URL}/messages/m2/feedback", json={"rating": "up", "comment": " "})
    assert chat.get(URL + "/feedback").json() == {"feedback": [{"messageId": "m2", "rating": "up"}]}
    assert chat.get(URL).headers["etag"] == '"1"'
    assert chat.delete(f"{URL}/messages/m2/feedback").status_code == 204
    assert code(chat.delete(f"{URL}/messages/m2/feedback")) == (404, "not_found")
    assert chat.get(URL + "/feedback").json() == {"feedback": []}


def test_a_message_that_a_client_sends_neither_forges_nor_loses_feedback(chat):
    chat.put(f"{URL}/messages/m2/feedback", json={"rating": "down"})
    forged = message("m2", "yes", "assistant", metadata={"feedback": {"rating": "up"}})
    chat.post(URL, json={"messages": [message("m1", "one"), forged]})
    assert chat.get(URL + "/feedback").json() == {"feedback": [{"messageId": "m2", "rating": "down"}]}


@pytest.mark.parametrize(
    ("target", "body", "status"),
    [
        ("m2", {}, 400),
        ("m2", {"rating": "great"}, 400),
        ("m2", {"rating": None}, 400),
        ("m2", {"rating": "up", "comment": 1}, 400),
        ("m2", {"rating": "up", "comment": "x" * 2001}, 400),
        ("m2", {"rating": "up", "comment": "\0"}, 400),
        ("m1", {"rating": "up"}, 400),
        ("nobody", {"rating": "up"}, 404),
    ],
)
def test_feedback_that_is_none_is_refused(chat, target, body, status):
    assert chat.put(f"{URL}/messages/{target}/feedback", json=body).status_code == status
    assert chat.get("/api/ai/feedback").json() == {"feedback": []}


def test_all_feedback_is_listed_for_whoever_compares_models(chat):
    chat.put(f"{URL}/messages/a%2Fb%20c/feedback", json={"rating": "up", "comment": "Good"})
    chat.put(f"{URL}/messages/m2/feedback", json={"rating": "down"})
    first, second = chat.get("/api/ai/feedback").json()["feedback"]
    at = first.pop("ratedAt")
    assert first == {
        "blockId": "b1",
        "messageId": "a/b c",
        "rating": "up",
        "comment": "Good",
        "model": "tiny",
        "preset": "p",
    }
    assert set(second) == {"blockId", "messageId", "rating", "ratedAt"}
    assert chat.get("/api/ai/feedback", params={"since": at}).json()["feedback"] == [second]
    assert len(chat.get("/api/ai/feedback?limit=1").json()["feedback"]) == 1
    assert len(chat.get("/api/ai/feedback?since=2026-01-01").json()["feedback"]) == 2
    assert chat.get("/api/ai/feedback?since=2999-01-01T00:00:00%2B02:00").json() == {"feedback": []}
    for query in ("since=yesterday", "limit=0", "since=0001-01-01T00:00:00%2B14:00"):
        assert code(chat.get(f"/api/ai/feedback?{query}")) == (400, "invalid_request")


def test_an_export_has_the_feedback_and_an_import_brings_it_back(chat):
    chat.put(f"{URL}/messages/m2/feedback", json={"rating": "down", "comment": "Hm"})
    exported = chat.get(URL + "/export").json()
    assert exported["conversation"]["feedback"] == {"m2": {"rating": "down", "comment": "Hm"}}
    chat.delete(URL)
    exported["conversation"]["feedback"] |= {"m1": {"rating": "up"}, "nobody": {"rating": "up"}}
    assert chat.post("/api/ai/conversations/import", content=json.dumps(exported), headers=JSON).status_code == 200
    assert chat.get(URL + "/feedback").json() == {
        "feedback": [{"messageId": "m2", "rating": "down", "comment": "Hm"}],
    }
    exported["conversation"]["feedback"] = {"m2": {"rating": "up"}}
    chat.post("/api/ai/conversations/import", content=json.dumps(exported), headers=JSON)
    assert chat.get(URL + "/feedback").json()["feedback"][0]["rating"] == "down"


JSON = {"content-type": "application/json"}
