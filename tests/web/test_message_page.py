"""What can be done with a message on the page, by forms: with JavaScript and without."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

FORM = {"origin": "http://127.0.0.1:8000"}
HTMX = {**FORM, "hx-request": "true", "accept": "text/html, text/event-stream"}
API = "/api/ai/conversations/chat-1"
PAGE = "/c/chat-1/message"


@pytest.fixture
def chat(client: TestClient) -> TestClient:
    for text in ("first", "second"):
        assert client.post("/c/chat-1", data={"text": text}, headers=FORM).status_code == 303
    return client


def messages(client: TestClient, block: str = "chat-1") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"/api/ai/conversations/{block}").json()["messages"]
    return found


def version(page: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', page)
    assert found is not None
    return found[1]


def test_every_message_leads_to_its_own_page(chat: TestClient) -> None:
    page = chat.get("/c/chat-1").text
    for message in messages(chat):
        assert f'form="message" name="id" value="{message["id"]}"' in page
        assert chat.get(PAGE, params={"id": message["id"]}).status_code == 200
    assert chat.get(PAGE, params={"id": "nobody"}).status_code == 404


def test_the_page_of_an_answer_tells_how_it_was_made(chat: TestClient) -> None:
    answer = messages(chat)[1]
    page = chat.get(PAGE, params={"id": answer["id"]}).text
    assert '<th scope="row">Model</th><td>echo</td>' in page
    assert "By itself" in page
    assert "Delete 3 messages?" in page
    assert "Delete this message?" in chat.get(PAGE, params={"id": messages(chat)[3]["id"]}).text


def test_a_new_chat_from_here(chat: TestClient) -> None:
    answer = messages(chat)[1]
    led = chat.post(PAGE, data={"fork": answer["id"]}, headers=FORM)
    assert led.status_code == 303
    block = led.headers["location"].removeprefix("/c/")
    assert messages(chat, block) == messages(chat)[:2]
    live = chat.post(PAGE, data={"fork": answer["id"]}, headers=HTMX)
    assert (live.status_code, live.content) == (200, b"")
    assert messages(chat, live.headers["hx-redirect"].removeprefix("/c/")) == messages(chat)[:2]


def test_a_message_is_deleted_as_it_was_seen(chat: TestClient) -> None:
    question = messages(chat)[2]
    seen = version(chat.get(PAGE, params={"id": question["id"]}).text)
    chat.post("/c/chat-1", data={"text": "third"}, headers=FORM)
    refused = chat.post(PAGE, data={"delete": question["id"], "version": seen}, headers=FORM)
    assert refused.status_code == 412
    assert 'role="alert"' in refused.text
    assert "Delete 4 messages?" in refused.text
    led = chat.post(PAGE, data={"delete": question["id"], "version": version(refused.text)}, headers=FORM)
    assert led.status_code == 303
    assert led.headers["location"].startswith("/c/chat-1?removed=removed-")
    assert len(messages(chat)) == 2


@pytest.mark.parametrize("headers", [FORM, HTMX])
def test_what_was_deleted_is_brought_back_by_the_button_that_comes_with_it(
    chat: TestClient, headers: dict[str, str]
) -> None:
    before = messages(chat)
    led = chat.post(PAGE, data={"delete": before[2]["id"]}, headers=headers)
    shown = led.text if headers is HTMX else chat.get(led.headers["location"]).text
    [key] = re.findall(r'name="restore" value="(removed-\w+)"', shown)
    assert len(messages(chat)) == 2
    back = chat.post(PAGE, data={"restore": key}, headers=headers)
    assert back.headers["location"] == "/c/chat-1" if headers is FORM else "second" in back.text
    assert messages(chat) == before
    assert chat.post(PAGE, data={"restore": key}, headers=headers).status_code == 404


def test_htmx_gets_the_transcript_without_what_was_deleted(chat: TestClient) -> None:
    question = messages(chat)[2]
    stream = chat.post(PAGE, data={"delete": question["id"]}, headers=HTMX)
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert "first" in stream.text
    assert "second" not in stream.text
    assert f'id="after" value="{messages(chat)[-1]["id"]}"' in stream.text
    assert stream.text.endswith("event: done\ndata:\n\n")


@pytest.mark.parametrize("headers", [FORM, HTMX])
def test_with_the_first_message_the_way_leads_to_a_new_chat(chat: TestClient, headers: dict[str, str]) -> None:
    led = chat.post(PAGE, data={"delete": messages(chat)[0]["id"]}, headers=headers)
    assert led.headers.get("location", led.headers.get("hx-redirect")) == "/?deleted=chat-1"
    assert chat.get(API).status_code == 404


def test_an_answer_is_rated_from_under_it(chat: TestClient) -> None:
    answer = messages(chat)[1]["id"]
    led = chat.post(PAGE, data={"down": answer}, headers=FORM)
    assert led.headers["location"] == f"/c/chat-1#m-{answer}"
    pressed = f'name="unrate" value="{answer}" data-rate="down" aria-pressed="true"'
    assert pressed in chat.get("/c/chat-1").text
    chat.post(PAGE, data={"unrate": answer}, headers=FORM)
    assert 'aria-pressed="true"' not in chat.get("/c/chat-1").text


def test_a_word_is_said_about_it_on_its_page(chat: TestClient) -> None:
    answer = messages(chat)[1]["id"]
    led = chat.post(PAGE, data={"up": answer, "comment": "<b>Short</b>"}, headers=FORM)
    assert led.headers["location"] == f"{PAGE}?id={answer}"
    assert "“&lt;b&gt;Short&lt;/b&gt;”" in chat.get(led.headers["location"]).text
    assert chat.get("/api/ai/feedback").json()["feedback"][0]["comment"] == "<b>Short</b>"


def test_a_form_that_says_nothing_is_refused(chat: TestClient) -> None:
    assert chat.post(PAGE, data={}, headers=FORM).status_code == 400


def test_an_answer_is_made_again_by_another_preset_once(chat: TestClient) -> None:
    answer = messages(chat)[3]
    again = {"regenerate": answer["id"], "preset": "default"}
    led = chat.post("/c/chat-1?preset=other", data=again, headers=FORM)
    assert led.status_code == 303
    made = messages(chat)[3]
    assert (made["metadata"]["preset"], made["id"] != answer["id"]) == ("other", True)
    assert "ai:preset" not in chat.get("/api/ai/blocks/chat-1").json()["metadata"]
    assert "2/2" in chat.get("/c/chat-1").text
    unknown = chat.post("/c/chat-1?preset=nobody", data=again, headers=FORM)
    assert unknown.status_code == 400


def test_an_older_answer_is_made_again_beside_what_followed(chat: TestClient) -> None:
    before = messages(chat)
    stream = chat.post("/c/chat-1?preset=other", data={"regenerate": before[1]["id"]}, headers=HTMX)
    assert stream.text.endswith("event: done\ndata:\n\n")
    assert [message["id"] for message in messages(chat)][:1] == [before[0]["id"]]
    assert len(messages(chat)) == 2


def test_another_preset_answers_a_temporary_chat_too(client: TestClient) -> None:
    stream = client.post("/temporary/t1?preset=other", data={"text": "hello", "preset": "default"}, headers=HTMX)
    assert "&#34;preset&#34;:&#34;other&#34;" in stream.text
