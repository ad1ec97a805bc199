"""The chat endpoint over HTTP: formats, errors, resume and stop."""

from __future__ import annotations

import json

import pytest

PNG = "data:image/png;base64,iVBORw0KGgo="


def chunks(response):
    frames = response.text.split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    return [json.loads(frame.removeprefix("data: ")) for frame in frames[:-2] if not frame.startswith(":")]


def ask(client, text, *, url="/api/ai/chat/b1", **body):
    return client.post(url, json={"messages": [{"role": "user", "content": text}], **body})


def said(response):
    return "".join(chunk["delta"] for chunk in chunks(response) if chunk["type"] == "text-delta")


def test_a_hand_written_request_gets_the_ui_message_stream(client):
    response = ask(client, "say hello there")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["x-vercel-ai-ui-message-stream"] == "v1"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    kinds = [chunk["type"] for chunk in chunks(response)]
    assert kinds[:3] == ["start", "start-step", "text-start"]
    assert kinds[-3:] == ["text-end", "finish-step", "finish"]
    assert said(response) == "hello there"


def test_the_metadata_tells_what_answered_and_what_it_took(client):
    start, *_, finish = chunks(ask(client, "say hi"))
    assert start["messageMetadata"]["preset"] == "default"
    assert start["messageMetadata"]["model"] == "echo"
    assert "createdAt" in start["messageMetadata"]
    metadata = finish["messageMetadata"]
    assert metadata["finishReason"] == "stop"
    assert metadata["usage"]["totalTokens"] == metadata["usage"]["inputTokens"] + metadata["usage"]["outputTokens"]
    assert metadata["durationMs"] >= metadata["timeToFirstTokenMs"] >= 0
    assert "finishReason" not in finish


def test_an_app_that_declares_its_version_gets_the_finish_reason(client):
    assert chunks(ask(client, "say hi", url="/api/ai/chat/b1?sdk=6"))[-1]["finishReason"] == "stop"
    request = {"messages": [{"role": "user", "content": "say hi"}]}
    response = client.post("/api/ai/chat/b2", json=request, headers={"x-ai-sdk": "7.0.173"})
    assert chunks(response)[-1]["finishReason"] == "stop"


def test_sdk_4_gets_its_data_stream_by_itself(client):
    message = {"role": "user", "content": "say hi", "parts": [{"type": "text", "text": "say hi"}]}
    response = client.post("/api/ai/chat/b1", json={"id": "x", "messages": [message]})
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["x-vercel-ai-data-stream"] == "v1"
    codes = [line[0] for line in response.text.splitlines()]
    assert codes[:2] == ["8", "f"]
    assert codes[-3:] == ["e", "8", "d"]
    assert "".join(json.loads(line[2:]) for line in response.text.splitlines() if line[0] == "0") == "hi"


def test_plain_text(client):
    response = ask(client, "say hi there", url="/api/ai/chat/b1?protocol=text")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.text == "hi there"


def test_the_wave_format(client):
    request = {"messages": [{"role": "user", "content": "think about it"}]}
    response = client.post("/api/ai/chat/b1", json=request, headers={"x-stream-protocol": "wave"})
    events = chunks(response)
    assert {event["type"] for event in events} == {"thinking", "text", "finish"}
    assert events[-1]["finish_reason"] == "stop"
    assert set(events[-1]["usage"]) == {"prompt_tokens", "completion_tokens", "total_tokens"}


def test_thinking_is_kept_apart_from_the_text(client):
    kinds = [chunk["type"] for chunk in chunks(ask(client, "think about it"))]
    assert kinds.index("reasoning-start") < kinds.index("reasoning-end") < kinds.index("text-start")


def test_a_failure_before_the_first_word_is_a_status_and_a_sentence(client):
    response = ask(client, "error")
    assert response.status_code >= 500
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.text.endswith(".")
    assert "{" not in response.text


def test_a_client_that_asks_for_json_gets_the_code(client):
    request = {"messages": [{"role": "user", "content": "error"}]}
    response = client.post("/api/ai/chat/b1", json=request, headers={"accept": "application/json"})
    assert response.json()["error"]["code"].startswith("provider_")


def test_a_failure_in_mid_stream_is_an_error_chunk_after_closed_parts(client):
    events = chunks(ask(client, "error midway"))
    assert [event["type"] for event in events[-2:]] == ["text-end", "error"]
    assert client.get("/api/ai/conversations/b1").json()["messages"][-1]["metadata"]["status"] == "error"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"messages": []}, "invalid_request"),
        ({"messages": [{"role": "user", "content": "  "}]}, "invalid_request"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "invalid_request"),
        ({"messages": [{"role": "user", "content": "hi"}], "options": {"temperature": "hot"}}, "invalid_request"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "url": "http://a.example/"}]}]},
            "unsupported_content",
        ),
    ],
)
def test_what_is_wrong_gets_a_400_and_stores_nothing(client, body, code):
    response = client.post("/api/ai/chat/b1", json=body, headers={"accept": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == code
    assert client.get("/api/ai/conversations/b1").status_code == 404


@pytest.mark.parametrize(
    "url", ["/api/ai/chat/b1?preset=nope", "/api/ai/chat/b1?protocol=xml", "/api/ai/chat/b1?sdk=x"]
)
def test_an_unknown_choice_is_refused_with_what_there_is(client, url):
    assert ask(client, "hi", url=url).status_code == 400
    assert client.get("/api/ai/conversations/b1").status_code == 404


@pytest.mark.parametrize("block", ["..", ".hidden", "a b", "a%2Fb", "x" * 129, "%00", "ä", "a%0d%0ab"])
def test_a_name_that_no_conversation_can_have_is_not_found(client, block):
    assert ask(client, "hi", url=f"/api/ai/chat/{block}").status_code in {404, 405}


def test_nothing_runs_is_204_and_for_sdk_4_an_empty_200(client):
    assert client.get("/api/ai/chat/b1/stream").status_code == 204
    assert client.get("/api/ai/chat/b1/chat-1/stream?preset=default").status_code == 204
    assert client.get("/api/ai/chat/b1?preset=default/chat-1/stream").status_code == 204
    response = client.get("/api/ai/chat/b1?preset=default?chatId=chat-1")
    assert (response.status_code, response.content) == (200, b"")


def test_stop_when_nothing_runs(client):
    assert client.post("/api/ai/chat/b1/stop").json() == {"stopped": False}


def test_an_image_reaches_the_model(client):
    content = [{"type": "text", "text": "image"}, {"type": "image", "url": PNG}]
    response = client.post("/api/ai/chat/b1", json={"messages": [{"role": "user", "content": content}]})
    assert "image/png" in said(response)


def test_three_turns_of_an_sdk_client_are_stored_once(client):
    messages = []
    for number in range(3):
        question = {"id": f"u{number}", "role": "user", "parts": [{"type": "text", "text": f"say {number}"}]}
        messages.append(question)
        start = chunks(client.post("/api/ai/chat/b1", json={"id": "c", "messages": messages}))[0]
        answer = {"id": start["messageId"], "role": "assistant", "parts": [{"type": "text", "text": str(number)}]}
        messages.append(answer)
    stored = client.get("/api/ai/conversations/b1").json()["messages"]
    assert [message["id"] for message in stored] == [message["id"] for message in messages]


def test_a_client_without_ids_does_not_double_what_is_stored(client):
    messages = [{"role": "user", "content": "say a"}]
    client.post("/api/ai/chat/b1", json={"messages": messages})
    messages += [{"role": "assistant", "content": "a"}, {"role": "user", "content": "say b"}]
    client.post("/api/ai/chat/b1", json={"messages": messages})
    stored = client.get("/api/ai/conversations/b1").json()["messages"]
    assert [message["parts"][-1]["text"] for message in stored] == ["say a", "a", "say b", "b"]


@pytest.mark.parametrize("query", ["protocol=data", "sdk=6", "preset=default", "preset=a%2Fb", "x=1&protocol=ui"])
@pytest.mark.parametrize("appended", ["/c1/stream", "?chatId=c1", "/c%2F1/stream"])
def test_whatever_parameter_is_last_an_old_sdk_may_append_to_it(client, query, appended):
    assert client.get(f"/api/ai/chat/b1?{query}{appended}").status_code in {200, 204}


def test_an_apps_own_chat_id_on_the_new_address_is_not_taken_for_sdk_4(client):
    assert client.get("/api/ai/chat/b1/c1/stream?chatId=7").status_code == 204


def test_head_looks_without_attaching(client):
    assert client.head("/api/ai/chat/b1/stream").status_code == 204


def test_an_answer_is_made_anew_by_its_id_alone(client):
    first = chunks(ask(client, "say one", url="/api/ai/chat/b1"))[0]["messageId"]
    request = {"trigger": "regenerate-message", "messageId": first}
    response = client.post("/api/ai/chat/b1", json=request)
    assert said(response) == "one"
    stored = client.get("/api/ai/conversations/b1").json()["messages"]
    assert [message["role"] for message in stored] == ["user", "assistant"]
    assert stored[1]["id"] == chunks(response)[0]["messageId"] != first
    assert client.post("/api/ai/chat/b1", json={**request, "messageId": "nobody"}).status_code == 400


@pytest.mark.parametrize("state", [[], {}, None, 7, "done"])
def test_a_tool_invocation_of_sdk_4_that_is_none_is_refused(client, state):
    part = {
        "type": "tool-invocation",
        "toolInvocation": {"state": state, "toolCallId": "c", "toolName": "t", "args": {}},
    }
    messages = [{"role": "assistant", "content": "", "parts": [part]}, {"role": "user", "content": "x", "parts": []}]
    assert client.post("/api/ai/chat/b1", json={"messages": messages}).status_code == 400


def test_a_deleted_conversation_is_not_answered_from_memory(client):
    body = {"messages": [{"id": "u1", "role": "user", "parts": [{"type": "text", "text": "say hi"}]}]}
    first = chunks(client.post("/api/ai/chat/b1", json=body))[0]["messageId"]
    assert chunks(client.post("/api/ai/chat/b1", json=body))[0]["messageId"] == first
    client.delete("/api/ai/conversations/b1")
    assert chunks(client.post("/api/ai/chat/b1", json=body))[0]["messageId"] != first
    assert client.get("/api/ai/conversations/b1").status_code == 200
