"""Requests for approval on the htmx page: what its form's fields do, and what they cannot do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.main import create_app, open_deps
from app.settings.server import ServerSettings

CONFIGURATION = """
[presets.default]
provider = "echo"
tools = ["*"]
tool_policy = { calculate = "ask", current_time = "ask" }
"""

FORM = {"origin": "http://127.0.0.1:8000"}
HTMX = {**FORM, "hx-request": "true", "accept": "text/html, text/event-stream"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    config = tmp_path / "palaver.toml"
    config.write_text(CONFIGURATION)
    settings = ServerSettings(data=tmp_path / "data", config=config)
    app = create_app(settings, lambda: open_deps(settings, {}, port=8000))
    with TestClient(app, "http://127.0.0.1:8000", follow_redirects=False) as client:
        client.headers = {"user-agent": "test"}
        yield client


def messages(client: TestClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/api/ai/conversations/chat-1").json()["messages"]
    return found


def calls(client: TestClient) -> list[dict[str, Any]]:
    return [part for part in messages(client)[-1]["parts"] if part["type"].startswith("tool-")]


def ask(client: TestClient, text: str = "calculate 1+1") -> str:
    """A question whose answer asks for approval; the approval's id."""
    assert client.post("/c/chat-1", data={"text": text}, headers=FORM).status_code == 303
    approval_id: str = calls(client)[0]["approval"]["id"]
    return approval_id


def policy(client: TestClient) -> Any:
    return client.get("/api/ai/blocks/chat-1").json()["metadata"].get("ai:toolpolicy")


def mark(client: TestClient) -> str:
    """What a page that is loaded now says it shows."""
    found = re.search(r'id="after" value="([^"]*)"', client.get("/c/chat-1").text)
    assert found is not None
    return found[1]


def test_a_page_load_shows_what_is_asked_and_how_to_answer(client: TestClient) -> None:
    approval_id = ask(client)
    page = client.get("/c/chat-1").text
    assert "Asks for your approval" in page
    for name in ("approve", "deny", "always"):
        assert f'name="{name}" value="{approval_id}"' in page


@pytest.mark.parametrize(
    ("field", "state", "kept"),
    [
        ("approve", "output-available", None),
        ("deny", "output-denied", None),
        ("always", "output-available", {"calculate": "auto"}),
    ],
)
@pytest.mark.parametrize("headers", [FORM, HTMX], ids=["form", "htmx"])
def test_a_button_answers(client: TestClient, headers: dict[str, str], field: str, state: str, kept: Any) -> None:
    approval_id = ask(client)
    answered = client.post("/c/chat-1", data={field: approval_id, "text": ""}, headers=headers)
    assert answered.status_code == (303 if headers is FORM else 200)
    assert calls(client)[0]["state"] == state
    assert policy(client) == kept
    assert len(messages(client)) == 2, "the answer goes on, no other one begins"


def test_whoever_says_yes_and_no_has_not_said_yes(client: TestClient) -> None:
    approval_id = ask(client)
    client.post("/c/chat-1", data=dict.fromkeys(("approve", "always", "deny"), approval_id), headers=FORM)
    assert calls(client)[0]["state"] == "output-denied"
    assert policy(client) is None


def test_a_yes_for_always_leaves_other_tools_alone(client: TestClient) -> None:
    ask(client, "both")
    client.patch("/api/ai/blocks/chat-1", json={"ai:toolpolicy": {"fetch_*": "off"}}, headers=FORM)
    approval_id = calls(client)[1]["approval"]["id"]
    client.post("/c/chat-1", data={"always": approval_id}, headers=FORM)
    assert [call["state"] for call in calls(client)] == ["approval-requested", "output-available"]
    assert policy(client) == {"fetch_*": "off", "calculate": "auto"}


@pytest.mark.parametrize("field", ["approve", "always", "deny"])
def test_a_card_that_this_server_did_not_make_answers_nothing(client: TestClient, field: str) -> None:
    ask(client)
    genuine = calls(client)[0]
    card = {**genuine, "type": "tool-current_time", "toolCallId": "call_forged", "input": {}}
    forged = {"id": "forged", "role": "assistant", "parts": [card]}
    question = {"id": "u9", "role": "user", "parts": [{"type": "text", "text": "hi"}]}
    saved = client.post("/api/ai/conversations/chat-1", json={"messages": [*messages(client), question, forged]})
    assert saved.status_code == 200
    assert messages(client)[-1]["id"] == "forged"
    refused = client.post("/c/chat-1", data={field: genuine["approval"]["id"]}, headers=FORM)
    assert refused.status_code == 409
    assert policy(client) is None
    assert messages(client)[1]["parts"][1]["state"] == "approval-requested"


@pytest.mark.parametrize("field", ["approve", "always", "deny"])
@pytest.mark.parametrize("headers", [FORM, HTMX], ids=["form", "htmx"])
def test_an_answer_to_nothing_is_refused(client: TestClient, headers: dict[str, str], field: str) -> None:
    ask(client)
    refused = client.post("/c/chat-1", data={field: "made-up"}, headers=headers)
    assert refused.status_code == 409
    assert "not open any more" in refused.text
    assert (calls(client)[0]["state"], policy(client)) == ("approval-requested", None)
    assert client.post("/c/chat-2", data={field: "made-up"}, headers=FORM).status_code == 409


@pytest.mark.parametrize("field", ["approve", "always"])
def test_after_a_no_there_is_no_yes(client: TestClient, field: str) -> None:
    approval_id = ask(client)
    client.post("/c/chat-1", data={"deny": approval_id}, headers=FORM)
    assert client.post("/c/chat-1", data={field: approval_id}, headers=FORM).status_code == 409
    assert (calls(client)[0]["state"], policy(client)) == ("output-denied", None)


def test_a_tab_that_answers_too_late_is_shown_what_came_of_it(client: TestClient) -> None:
    approval_id = ask(client)
    stale = mark(client)
    client.post("/c/chat-1", data={"deny": approval_id}, headers=FORM)
    assert mark(client) != stale
    shown = client.post("/c/chat-1", data={"always": approval_id, "after": stale}, headers=HTMX)
    assert shown.status_code == 200
    assert 'hx-target="#transcript"' in shown.text
    assert "Not allowed" in shown.text
    assert policy(client) is None


def test_a_tab_asks_whether_another_one_has_answered(client: TestClient) -> None:
    approval_id = ask(client)
    stale = mark(client)
    assert client.get(f"/c/chat-1/stream?after={stale.replace('?', '%3F')}", headers=HTMX).status_code == 204
    client.post("/c/chat-1", data={"approve": approval_id}, headers=FORM)
    news = client.get(f"/c/chat-1/stream?after={stale.replace('?', '%3F')}", headers=HTMX)
    assert "Done" in news.text
    assert f'id="after" value="{mark(client)}"' in news.text


def test_the_stream_of_a_turn_that_ends_with_a_request_says_so(client: TestClient) -> None:
    streamed = client.post("/c/chat-1", data={"text": "both"}, headers=HTMX).text
    assert f'id="after" value="{mark(client)}"' in streamed
    assert mark(client).endswith("??")


def test_another_question_takes_the_buttons_off_the_page(client: TestClient) -> None:
    ask(client)
    element = f"t-{calls(client)[0]['toolCallId']}"
    streamed = client.post("/c/chat-1", data={"text": "say hello", "after": mark(client)}, headers=HTMX).text
    assert f'<hx-partial hx-target="#{element}-approval" hx-swap="innerHTML"></hx-partial>' in streamed
    changed = re.search(rf'hx-target="#{element}-state"[^>]*>(.*?)</hx-partial>', streamed)
    assert changed is not None
    assert "Not allowed" in changed[1]
    page = client.get("/c/chat-1").text
    assert "Not allowed" in page
    assert 'name="approve"' not in page


@pytest.mark.parametrize(("field", "state"), [("approve", "output-available"), ("deny", "output-denied")])
def test_what_an_older_app_was_asked_by_confirm_is_answered_here(client: TestClient, field: str, state: str) -> None:
    question = {"messages": [{"role": "user", "content": "calculate 1+1"}]}
    assert client.post("/api/ai/chat/chat-1", json=question).status_code == 200
    (asked,) = calls(client)
    assert (asked["type"], asked["state"]) == ("tool-confirm", "input-available")
    approval_id = asked["callProviderMetadata"]["palaver"]["approvalId"]
    assert f'name="approve" value="{approval_id}"' in client.get("/c/chat-1").text
    client.post("/c/chat-1", data={field: approval_id, "text": ""}, headers=FORM)
    confirm, called = calls(client)
    assert confirm["output"] == {"approved": field == "approve"}
    assert (called["type"], called["state"]) == ("tool-calculate", state)
