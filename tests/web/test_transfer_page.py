"""Everything out as one file, and in again: by the API, and by the form without a script."""

from __future__ import annotations

import base64
import json

FORM = {"origin": "http://127.0.0.1:8000"}
LIST = "/api/ai/conversations"
PNG = b"\x89PNG\r\n\x1a\nrest"


def save(client, block, text="hi", **part):
    parts = [{"type": "text", "text": text}, *([part] if part else [])]
    messages = [{"id": f"{block}-1", "role": "user", "parts": parts}]
    assert client.post(f"{LIST}/{block}", json={"messages": messages}).status_code == 200


def test_an_empty_server_exports_an_empty_list(client):
    answer = client.get("/api/ai/export")
    assert answer.json() == {"conversations": []}
    assert answer.headers["content-disposition"] == 'attachment; filename="palaver-conversations.json"'


def test_all_go_out_with_archived_ones_and_files_and_come_in_again(client):
    for number in range(120):
        save(client, f"b{number}", f"text {number}")
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    save(client, "picture", type="file", mediaType="image/png", url=url)
    client.patch("/api/ai/blocks/b7", json={"archived": True, "title": "Put away"})
    file = client.get("/api/ai/export").json()
    assert len(file["conversations"]) == 121
    for item in client.get(f"{LIST}?archived=all&limit=200").json()["conversations"]:
        assert client.delete(f"{LIST}/{item['id']}").status_code == 204
    result = client.post(f"{LIST}/import", json=file).json()
    assert (len(result["imported"]), result["skipped"]) == (121, [])
    assert client.get("/api/ai/blocks/b7").json()["metadata"]["archived"] is True
    [stored] = [part["url"] for part in client.get(f"{LIST}/picture").json()["messages"][0]["parts"] if "url" in part]
    assert client.get(stored).content == PNG
    exported = {item["conversation"]["id"] for item in client.get("/api/ai/export").json()["conversations"]}
    assert exported == {item["conversation"]["id"] for item in file["conversations"]}


def send(client, content):
    return client.post("/transfer", files={"file": ("conversations.json", content)}, headers=FORM)


def test_a_file_is_imported_by_the_form(client):
    file = [{"messages": [{"role": "user", "content": "hi"}], "title": "Mine", "id": "mine"}, {"nothing": 1}]
    page = send(client, json.dumps(file)).text
    assert "One conversation was imported." in page
    assert "Number 2: This is no conversation that can be imported." in page
    assert client.get(f"{LIST}/mine").json()["title"] == "Mine"


def test_a_file_that_is_none_is_refused_with_a_reason(client):
    answer = send(client, b"PK\x03\x04")
    assert answer.status_code == 400
    assert "not valid JSON" in answer.text
    assert client.get("/transfer").status_code == 200


def test_the_settings_show_the_same(client):
    assert "Export all conversations" in client.get("/settings").text
