"""The composer's side of the server: uploads, and the form with what is attached, without a browser."""

from __future__ import annotations

import base64
import re
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

FORM = {"origin": "http://127.0.0.1:8000"}
HTMX = {**FORM, "hx-request": "true", "accept": "text/html, text/event-stream"}
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
)
PDF = b"%PDF-1.7\n" + bytes(range(256))


def upload(client: TestClient, content: bytes, name: str = "") -> Any:
    headers = {"content-type": "application/octet-stream"}
    return client.post(f"/api/ai/files?name={quote(name)}", content=content, headers=headers)


def address(client: TestClient, content: bytes, name: str) -> str:
    return f"{upload(client, content, name).json()['url']}?name={quote(name)}"


def questions(client: TestClient, block_id: str = "chat-1") -> list[list[dict[str, Any]]]:
    body = client.get(f"/api/ai/conversations/{block_id}").json()
    return [message["parts"] for message in body["messages"] if message["role"] == "user"]


def test_an_uploaded_file_is_answered_as_the_part_that_names_it(client: TestClient) -> None:
    answer = upload(client, b"# Notes\n", "notes of today.md")
    assert answer.status_code == 201
    part = answer.json()
    assert client.get(part["url"]).content == b"# Notes\n"
    assert (part["type"], part["mediaType"], part["filename"]) == ("file", "text/plain", "notes of today.md")
    assert part["size"] == 8
    question = {"id": "q1", "role": "user", "parts": [part, {"type": "text", "text": "What does it say?"}]}
    assert client.post("/api/ai/chat/chat-1", json={"messages": [question]}).status_code == 200
    assert questions(client)[0][0]["url"] == part["url"]


def test_a_file_without_a_name_has_none(client: TestClient) -> None:
    assert "filename" not in upload(client, PNG).json()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"MZ\x90\x00\x03", "cannot be sent to a model"),
        (PNG + bytes(5_000_000), "An image may have at most 5 MB."),
        (b"x" * 1_000_001, "at most 1 MB"),
    ],
)
def test_what_no_model_could_be_given_is_refused_before_it_is_stored(
    client: TestClient, content: bytes, says: str
) -> None:
    refused = upload(client, content, "x")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unsupported_content")
    assert says in refused.json()["error"]["message"]


def test_the_form_names_files_by_their_addresses(client: TestClient) -> None:
    files = [address(client, PNG, "a b.png"), address(client, b"hello", "grüße.txt")]
    client.post("/c/chat-1", data={"text": "image", "file": files}, headers=HTMX)
    picture, text, said = questions(client)[0]
    assert (picture["mediaType"], picture["filename"]) == ("image/png", "a b.png")
    assert (text["mediaType"], text["filename"]) == ("text/plain", "grüße.txt")
    assert said["text"] == "image"


def test_a_message_may_be_its_files_alone(client: TestClient) -> None:
    client.post("/c/chat-1", data={"text": "", "file": address(client, PNG, "a.png")}, headers=HTMX)
    assert [part["type"] for part in questions(client)[0]] == ["file"]


def test_without_javascript_files_come_with_the_form(client: TestClient) -> None:
    files = [("upload", ("a.png", PNG)), ("upload", ("b.txt", b"hello")), ("upload", ("", b""))]
    answered = client.post("/c/chat-1", data={"text": "image", "message_id": "q1"}, files=files, headers=FORM)
    assert (answered.status_code, answered.headers["location"]) == (303, "/c/chat-1")
    assert [part.get("filename") for part in questions(client)[0]] == ["a.png", "b.txt", None]
    assert f'src="{questions(client)[0][0]["url"]}"' in client.get("/c/chat-1").text


def test_without_javascript_a_refused_file_costs_neither_the_text_nor_the_other_files(client: TestClient) -> None:
    files = [("upload", ("a.png", PNG)), ("upload", ("b.exe", b"MZ\x90\x00\x03"))]
    refused = client.post("/c/chat-1", data={"text": "Look at these"}, files=files, headers=FORM)
    assert refused.status_code == 400
    assert "b.exe: Files of this kind cannot be sent" in refused.text
    assert ">Look at these</textarea>" in refused.text
    kept = re.search(r'name="file" value="(/files/[^"]+)" data-name="a.png"', refused.text)
    assert kept is not None
    assert client.get("/api/ai/conversations/chat-1").status_code == 404
    client.post("/c/chat-1", data={"text": "Look at this", "file": kept[1]}, headers=FORM)
    assert [part["type"] for part in questions(client)[0]] == ["file", "text"]


def test_what_the_model_does_not_take_is_refused_with_everything_kept(client: TestClient) -> None:
    file = address(client, PDF, "paper.pdf")
    refused = client.post("/c/chat-1", data={"text": "Sum it up", "file": file}, headers=FORM)
    assert refused.status_code == 400
    assert "PDF files cannot be sent to this model" in refused.text
    assert ">Sum it up</textarea>" in refused.text
    assert f'value="{file}"' in refused.text


@pytest.mark.parametrize("file", ["/files/" + "0" * 64, "https://evil.example/x.png", "", "/etc/passwd", "data:,x"])
def test_a_file_that_is_not_there_is_not_sent(client: TestClient, file: str) -> None:
    refused = client.post("/c/chat-1", data={"text": "image", "file": file}, headers=HTMX)
    assert refused.status_code == 400
    assert "Attach it again." in refused.text
    assert client.get("/api/ai/conversations/chat-1").status_code == 404


def test_a_message_has_a_limited_number_of_files(client: TestClient) -> None:
    file = address(client, PNG, "a.png")
    refused = client.post("/c/chat-1", data={"text": "image", "file": [file] * 21}, headers=HTMX)
    assert refused.status_code == 400
    assert "At most 20 files" in refused.text


def test_an_edited_message_has_the_files_that_the_form_names(client: TestClient) -> None:
    files = [address(client, PNG, "a.png"), address(client, b"hello", "b.txt")]
    client.post("/c/chat-1", data={"text": "image", "file": files, "message_id": "q1"}, headers=HTMX)
    page = client.get("/c/chat-1?edit=q1").text
    assert [f'value="{file}"' in page for file in files] == [True, True]
    client.post("/c/chat-1", data={"text": "image", "file": files[:1], "edit": "q1"}, headers=HTMX)
    assert [part.get("filename") for part in questions(client)[0]] == ["a.png", None]
    client.post("/c/chat-1", data={"text": "say no pictures", "edit": "q1"}, headers=HTMX)
    assert [part["type"] for part in questions(client)[0]] == ["text"]


def test_a_long_text_fits_into_the_form(client: TestClient) -> None:
    text = "json " + "ü\n" * 300_000
    answered = client.post("/c/chat-1", data={"text": text}, headers=FORM)
    assert answered.status_code == 303
    assert questions(client)[0][0]["text"] == text.rstrip()


def test_a_starter_is_sent_without_what_is_attached(client: TestClient) -> None:
    client.post("/c/chat-1", data={"starter": "say hi", "file": address(client, PNG, "a.png")}, headers=HTMX)
    assert [part["type"] for part in questions(client)[0]] == ["text"]


def test_the_page_says_what_each_preset_takes_and_how_much(client: TestClient) -> None:
    page = client.get("/").text
    assert 'value="other" data-takes="image/gif image/jpeg image/png image/webp"' in page
    assert 'data-max-image-bytes="5000000"' in page
    assert "Images up to 5 MB, PDFs and sounds up to 10 MB, text files up to 1 MB." in page
