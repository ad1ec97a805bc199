"""Out and in again over HTTP: nothing lost, nothing twice, nothing overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.main import create_app, open_deps
from app.settings.server import ServerSettings

FIXTURES = Path(__file__).parents[1] / "wire" / "fixtures"
LIST = "/api/ai/conversations"
URL = f"{LIST}/b1"
IMPORT = f"{LIST}/import"
PIXEL = "data:image/png;base64,iVBORw0KGgpyZXN0"


@pytest.fixture
def other(tmp_path):
    """Another server, with nothing in it."""
    settings = ServerSettings(data=tmp_path / "other")
    app = create_app(settings, lambda: open_deps(settings, {}, port=8000))
    with TestClient(app, "http://127.0.0.1:8000") as client:
        client.headers = {"user-agent": "test"}
        yield client


def message(number, text="hi", role="user", **more):
    return {"id": f"m{number}", "role": role, "parts": [{"type": "text", "text": text}], **more}


def save(client, *messages, url=URL):
    assert client.post(url, json={"messages": list(messages)}).status_code == 200


def export(client, block_id="b1", form="json"):
    answer = client.get(f"{LIST}/{block_id}/export?format={form}")
    assert answer.status_code == 200
    return answer


def send(client, value):
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return client.post(IMPORT, content=content, headers={"content-type": "application/json"})


def load(client, block_id="b1"):
    return client.get(f"{LIST}/{block_id}").json()


def a_conversation(client):
    save(
        client,
        message(1, "Wie geht es? 👩‍💻", createdAt="x", future={"deep": [1, None, 1.5]}),
        message(2, "good", "assistant", metadata={"model": "m"}),
        {"id": "m3", "role": "user", "parts": [{"type": "file", "mediaType": "image/png", "url": PIXEL}]},
    )
    assert client.post("/api/ai/chat/b1", json={"message": message(4, "and?")}).status_code == 200


@pytest.mark.parametrize(
    ("form", "media_type", "extension"),
    [
        ("json", "application/json", "json"),
        ("markdown", "text/markdown; charset=utf-8", "md"),
        ("html", "text/html; charset=utf-8", "html"),
    ],
)
def test_an_export_is_a_file_to_download(client, form, media_type, extension):
    save(client, message(1, "The question"), message(2, "the *answer*", "assistant"))
    answer = export(client, form=form)
    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-disposition"] == f'attachment; filename="palaver-The-question.{extension}"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "The question" in answer.text


def test_an_html_export_stays_under_the_pages_policy(client):
    save(client, message(1))
    assert "script-src 'self'" in export(client, form="html").headers["content-security-policy"]


def test_json_is_what_is_exported_where_nothing_is_said(client):
    save(client, message(1))
    assert client.get(f"{URL}/export").json()["palaver"] == 1


def test_an_export_stands_alone(client):
    a_conversation(client)
    assert load(client)["messages"][2]["parts"][0]["url"].startswith("/files/")
    assert export(client).json()["conversation"]["messages"][2]["parts"][0]["url"] == PIXEL
    assert f'<img src="{PIXEL}"' in export(client, form="html").text


def test_what_cannot_be_exported_is_refused(client):
    assert client.get(f"{URL}/export").status_code == 404
    save(client, message(1))
    refused = client.get(f"{URL}/export?format=pdf")
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "format"


def test_out_and_into_another_server_and_out_again_is_the_same_to_the_byte(client, other):
    a_conversation(client)
    client.patch("/api/ai/blocks/b1", json={"title": "My\ntitle", "pinned": True, "app:x": {"b": 1, "a": 2}})
    client.patch("/api/ai/blocks/b1", json={"ai:temperature": 0.5})
    exported = export(client).content
    answer = send(other, exported)
    assert answer.json() == {
        "imported": [{"id": "b1", "title": "My\ntitle", "messageCount": 5}],
        "skipped": [],
    }
    assert export(other).content == exported


def test_the_automatic_title_of_a_conversation_whose_beginning_was_edited_comes_along(client, other):
    save(client, message(1, "first words"), message(2, "yes", "assistant"))
    save(client, message(1, "other words"))
    exported = export(client).content
    assert exported.count(b'"title":"first words"') == 1
    send(other, exported)
    assert export(other).content == exported


def test_importing_what_is_there_changes_nothing(client):
    a_conversation(client)
    before = load(client)
    exported = export(client).content
    for _ in range(2):
        assert send(client, exported).json()["skipped"] == []
    assert load(client) == before
    assert export(client).content == exported


def test_an_import_adds_what_is_new_and_overwrites_nothing(client):
    save(client, message(1), message(2, "yes", "assistant"))
    exported = export(client).json()
    save(client, message(1), message(2, "yes", "assistant"), message(3, "said here"))
    client.patch("/api/ai/blocks/b1", json={"title": "Named here"})
    exported["conversation"] |= {"title": "Named there", "metadata": {"pinned": True}}
    exported["conversation"]["messages"].append(message(4, "said there"))
    (imported,) = send(client, exported).json()["imported"]
    assert imported == {"id": "b1", "title": "Named here", "messageCount": 4}
    assert [m["id"] for m in load(client)["messages"]] == ["m1", "m2", "m3", "m4"]
    assert client.get("/api/ai/blocks/b1").json()["metadata"] == {"title": "Named here", "pinned": True}


def test_metadata_that_this_server_cannot_take_is_told(client):
    save(client, message(1))
    exported = export(client).json()
    exported["conversation"] |= {"id": "b2", "metadata": {"ai:preset": "gone", "app:x": 1, "secret": 2}}
    answer = send(client, exported).json()
    assert [item["id"] for item in answer["imported"]] == ["b2"]
    assert [item["index"] for item in answer["skipped"]] == [0, 0]
    assert "There is no preset of this name" in answer["skipped"][0]["why"]
    assert client.get("/api/ai/blocks/b2").json()["metadata"] == {"app:x": 1}


@pytest.mark.parametrize(
    ("policies", "kept"), [({"*": "auto"}, {}), ({"a": "auto", "b": "ask"}, {"ai:toolpolicy": {"b": "ask"}})]
)
def test_no_import_allows_a_tool_to_run_without_asking(client, policies, kept):
    save(client, message(1))
    exported = export(client).json()
    exported["conversation"] |= {"id": "b2", "metadata": {"ai:toolpolicy": policies}}
    assert "without asking" in send(client, exported).json()["skipped"][0]["why"]
    assert client.get("/api/ai/blocks/b2").json()["metadata"] == kept


@pytest.mark.parametrize(
    ("name", "block_id", "title", "created", "updated"),
    [
        (
            "chatgpt",
            "chatgpt-6905f0c0-1234-8333-9abc-def012345678",
            "Area of a circle",
            "2025-11-01T12:26:39.500000Z",
            "2025-11-01T12:28:20.750000Z",
        ),
        (
            "claude",
            "claude-019d386a-7691-7e84-bcd6-1637c32bd6ad",
            "A poem about rain",
            "2026-03-29T07:06:35.552627Z",
            "2026-03-29T07:23:12.364007Z",
        ),
    ],
)
def test_exports_of_other_services_come_in_with_title_and_dates(client, name, block_id, title, created, updated):
    content = (FIXTURES / f"{name}.json").read_bytes()
    first = send(client, content).json()
    assert first["imported"] == [{"id": block_id, "title": title, "messageCount": 4}]
    assert first["skipped"] == [{"index": 1, "why": "The conversation has no messages that could be kept."}]
    stored = load(client, block_id)
    assert (stored["title"], stored["createdAt"], stored["updatedAt"]) == (title, created, updated)
    assert send(client, content).json() == first
    assert load(client, block_id) == stored
    assert len(client.get(LIST).json()["conversations"]) == 1


def test_imported_conversations_are_listed_by_their_own_dates(client):
    save(client, message(1), url=f"{LIST}/today")
    values = [
        {"id": f"of-{year}", "updatedAt": f"{year}-01-01T00:00:00Z", "messages": [{"role": "user", "content": "hi"}]}
        for year in ("2001", "2003", "2002", "9999")
    ]
    send(client, values)
    listed = [item["id"] for item in client.get(LIST).json()["conversations"]]
    assert listed == ["of-9999", "today", "of-2003", "of-2002", "of-2001"], "the future is now"


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "0999-12-31T00:00:00+01:00"])
def test_a_date_that_means_none_breaks_no_page(client, moment):
    messages = [{"role": "user", "content": "hello"}]
    send(client, [{"id": "old", "createdAt": moment, "updatedAt": moment, "messages": messages}])
    assert load(client, "old")["updatedAt"].startswith("0")
    assert client.get("/").status_code == 200
    assert client.get("/c/old").status_code == 200


def test_a_plain_list_can_be_imported_and_talked_to(client):
    (imported,) = send(client, [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]).json()[
        "imported"
    ]
    assert imported["title"] == "hi"
    url = f"/api/ai/chat/{imported['id']}"
    turn = client.post(url, json={"message": {"id": "n", "role": "user", "parts": [{"type": "text", "text": "on"}]}})
    assert turn.status_code == 200
    roles = [m["role"] for m in load(client, imported["id"])["messages"]]
    assert roles == ["user", "assistant", "user", "assistant"]


def test_an_imported_conversation_can_be_talked_to_whatever_it_holds(client):
    (imported,) = send(client, (FIXTURES / "chatgpt.json").read_bytes()).json()["imported"]
    url = f"/api/ai/chat/{imported['id']}"
    turn = client.post(url, json={"message": {"id": "n", "role": "user", "parts": [{"type": "text", "text": "on"}]}})
    assert turn.status_code == 200


def test_one_bad_conversation_does_not_lose_the_others(client):
    bad_file = {"role": "user", "parts": [{"type": "file", "mediaType": "image/png", "url": "data:,x"}]}
    values = [
        {"id": "good", "messages": [{"role": "user", "content": "hi"}]},
        {"nothing": "known"},
        {"id": "bad-file", "messages": [bad_file]},
        {"id": "good-too", "messages": [{"role": "user", "content": "hi"}]},
    ]
    answer = send(client, {"conversations": values}).json()
    assert [item["id"] for item in answer["imported"]] == ["good", "good-too"]
    assert [item["index"] for item in answer["skipped"]] == [1, 2]
    assert load(client, "bad-file").get("error", {}).get("code") == "not_found"


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ({}, None),
        (b"[", None),
        ({"palaver": 2}, "palaver"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "parts": [{"type": "file", "mediaType": "x", "url": "data:,x"}]}]}, None),
    ],
)
def test_a_single_conversation_that_is_wrong_is_refused(client, value, param):
    answer = send(client, value)
    assert answer.status_code == 400
    if param is not None:
        assert answer.json()["error"]["param"] == param
    assert client.get(LIST).json()["conversations"] == []


def test_the_address_of_imports_is_no_conversation(client):
    assert client.post(IMPORT, json={"messages": [message(1)]}).status_code == 200
    assert client.get(f"{LIST}/import").status_code == 404
