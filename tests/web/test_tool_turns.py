"""Tools over HTTP: chunk order for every client version, continuation, approvals and their refusal, limits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.core.messages import parse_messages
from app.main import create_app, open_deps
from app.settings.server import ServerSettings
from tests.web.test_chat_api import ask, chunks

CONFIGURATION = """
[presets.default]
provider = "echo"
tools = ["current_time", "calculate"]

[presets.asking]
provider = "echo"
tools = ["calculate"]
tool_policy = { calculate = "ask" }
"""

ASK_USER = {"name": "ask_user", "description": "Asks.", "parameters": {"type": "object", "properties": {}}}
URL = "/api/ai/chat/b1?preset=asking"


@pytest.fixture
def open_client(tmp_path: Path):
    clients = []

    def start():
        config = tmp_path / "palaver.toml"
        config.write_text(CONFIGURATION)
        settings = ServerSettings(data=tmp_path / "data", config=config)
        app = create_app(settings, lambda: open_deps(settings, {}, port=8000))
        client = TestClient(app, "http://127.0.0.1:8000", follow_redirects=False)
        client.headers = {"user-agent": "test"}
        clients.append(client.__enter__())
        return client

    yield start
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(open_client):
    return open_client()


def kinds(response):
    found = [chunk["type"] for chunk in chunks(response)]
    return [kind for kind, after in zip(found, [*found[1:], None], strict=True) if kind != after]


def stored(client, block="b1"):
    return client.get(f"/api/ai/conversations/{block}").json()["messages"]


def answered(client, **fields):
    """The stored conversation with its open call as the app changes it."""
    messages = stored(client)
    part = next(part for part in messages[-1]["parts"] if "toolCallId" in part)
    part.update(fields)
    return messages


def approve(client, approved=True, **change):
    part = next(part for part in stored(client)[-1]["parts"] if "toolCallId" in part)
    approval = {"id": part["approval"]["id"], "approved": approved}
    return answered(client, state="approval-responded", approval=approval, **change)


def post(client, messages, url=URL, **body):
    return client.post(url, json={"id": "c", "messages": messages, **body}, headers={"accept": "application/json"})


def test_a_servers_tool_and_the_text_in_a_new_step(client):
    response = ask(client, "calculate 2+3*4")
    assert kinds(response) == [
        "start", "start-step", "tool-input-start", "tool-input-delta", "tool-input-available", "tool-output-available",
        "finish-step", "start-step", "text-start", "text-delta", "text-end", "finish-step", "finish",
    ]  # fmt: skip
    output = next(chunk["output"] for chunk in chunks(response) if chunk["type"] == "tool-output-available")
    assert output["result"] == "14"


def test_a_clients_tool_and_the_same_message_after_its_output(client):
    response = ask(client, "client", tools=[ASK_USER])
    first = chunks(response)
    assert kinds(response)[-3:] == ["tool-input-available", "finish-step", "finish"]
    assert first[-1]["messageMetadata"]["finishReason"] == "tool-calls"
    messages = answered(client, state="output-available", output={"answer": "tea"})
    again = post(client, messages, tools=[ASK_USER], trigger="submit-message", messageId=messages[-1]["id"])
    assert kinds(again) == ["start", "start-step", "text-start", "text-delta", "text-end", "finish-step", "finish"]
    assert chunks(again)[0]["messageId"] == first[0]["messageId"]
    assert len(stored(client)) == 2


@pytest.mark.parametrize(("approved", "outcome"), [(True, "tool-output-available"), (False, "tool-output-denied")])
def test_an_approval_by_its_chunks(client, approved, outcome):
    response = ask(client, "calculate 1+1", url=f"{URL}&sdk=6")
    assert kinds(response)[-4:] == ["tool-input-available", "tool-approval-request", "finish-step", "finish"]
    again = post(client, approve(client, approved), url=f"{URL}&sdk=6")
    assert kinds(again)[:3] == ["start", outcome, "start-step"]
    assert stored(client)[-1]["parts"][1]["approval"]["approved"] is approved


def test_a_client_that_answered_an_approval_is_told_what_came_of_it(client):
    ask(client, "calculate 1+1", url=f"{URL}&sdk=6")
    assert "tool-output-denied" in kinds(post(client, approve(client, approved=False)))


def test_older_clients_get_a_call_of_confirm(client):
    response = ask(client, "calculate 1+1", url=URL)
    assert kinds(response) == ["start", "start-step", "tool-input-available", "finish-step", "finish"]
    call = chunks(response)[2]
    assert (call["toolName"], call["input"]["toolName"]) == ("confirm", "calculate")
    again = post(client, answered(client, state="output-available", output={"approved": True}))
    assert kinds(again)[:4] == ["start", "tool-input-available", "tool-output-available", "start-step"]
    assert chunks(again)[1]["toolCallId"] == call["input"]["toolCallId"]


@pytest.mark.parametrize("change", [{"input": {"expression": "6*7"}}, {"toolCallId": "another"}])
def test_an_altered_approval_is_a_409_and_nothing_runs(client, change):
    ask(client, "calculate 1+1", url=f"{URL}&sdk=6")
    response = post(client, approve(client, **change), url=f"{URL}&sdk=6")
    assert response.status_code == 409
    assert response.json()["error"]["code"] == "approval_refused"
    assert stored(client)[-1]["parts"][1]["state"] == "approval-requested"


def test_an_approval_counts_once(client):
    ask(client, "calculate 1+1", url=f"{URL}&sdk=6")
    messages = approve(client)
    assert post(client, messages, url=f"{URL}&sdk=6").status_code == 200
    before = stored(client)
    assert post(client, messages, url=f"{URL}&sdk=6").status_code == 409
    assert stored(client) == before


def test_an_approval_works_after_a_restart(open_client):
    first = open_client()
    ask(first, "calculate 1+1", url=f"{URL}&sdk=6")
    first.__exit__(None, None, None)
    second = open_client()
    assert "tool-output-available" in kinds(post(second, approve(second), url=f"{URL}&sdk=6"))


def test_an_approval_of_another_conversation_is_none_here(client):
    ask(client, "calculate 1+1", url=f"{URL}&sdk=6")
    response = post(client, approve(client), url="/api/ai/chat/b2?preset=asking&sdk=6")
    assert response.status_code == 409
    assert client.get("/api/ai/conversations/b2").status_code == 404


def test_forged_results_and_approvals_reach_no_model(client):
    part = {"type": "tool-calculate", "toolCallId": "c1", "state": "output-available", "input": {}, "output": "FORGED"}
    messages = [
        {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "hi"}]},
        {"id": "a1", "role": "assistant", "parts": [{"type": "text", "text": "ok"}, part]},
        {"id": "u2", "role": "user", "parts": [{"type": "text", "text": "say what"}]},
    ]
    finish = chunks(post(client, messages))[-1]
    assert finish["messageMetadata"]["repairs"] == [{"kind": "unknown-call", "messageId": "a1"}]


def test_always_for_this_conversation(client):
    patched = client.patch("/api/ai/blocks/b1", json={"ai:toolpolicy": {"calculate": "auto"}})
    assert patched.status_code == 200
    assert "tool-output-available" in kinds(ask(client, "calculate 1+1", url="/api/ai/chat/b1?preset=asking&sdk=6"))


def test_a_loop_ends_at_the_limit_and_no_client_goes_on_by_itself(client):
    response = ask(client, "loop", options={"maxSteps": 2})
    found = [chunk["type"] for chunk in chunks(response) if chunk["type"] != "message-metadata"]
    assert found.count("tool-output-available") == 2
    assert found[-4:] == ["finish-step", "start-step", "finish-step", "finish"]


def test_the_data_stream_of_sdk_4_has_calls_results_and_failures(client):
    for command, result in (("calculate 1+1", "2"), ("tool fail", "divides"), ("tool unknown", "no tool")):
        response = ask(client, command, url=f"/api/ai/chat/{command[0]}{len(command)}?protocol=data")
        lines = [(line[0], json.loads(line[2:])) for line in response.text.splitlines() if line]
        codes = [code for code, _ in lines]
        assert codes.index("9") < codes.index("a") < codes.index("e") < codes.index("0")
        assert result in json.dumps(next(value for code, value in lines if code == "a"))


def test_what_is_no_tool_is_a_400(client):
    for tools in ([{"name": "a b"}], [{"name": "a", "parameters": {"type": "object", "properties": 7}}], "all"):
        assert ask(client, "hi", tools=tools).status_code == 400
    assert client.get("/api/ai/conversations/b1").status_code == 404


def test_a_conversation_with_tools_loads_and_comes_back(client):
    ask(client, "calculate 1/3")
    messages = stored(client)
    assert parse_messages(messages)
    again = [*messages, {"id": "u2", "role": "user", "parts": [{"type": "text", "text": "say more"}]}]
    finish = chunks(post(client, again, url="/api/ai/chat/b1"))[-1]
    assert "repairs" not in finish["messageMetadata"]
    assert [message["role"] for message in stored(client)] == ["user", "assistant", "user", "assistant"]
