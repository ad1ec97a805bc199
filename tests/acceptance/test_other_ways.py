"""Conversations that do not simply go on: made anew, edited, copied, temporary, with clients that know less."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.acceptance.conftest import SETTINGS
from tests.acceptance.said import Said, calling
from tests.acceptance.services import SERVICES, Model
from tests.acceptance.use_chat import UseChat


@pytest.fixture(params=("anthropic", "openai", "openai-chat", "google"))
def service(request):
    return SERVICES[request.param]


@pytest.fixture
def model(service, upstream):
    model = Model(service)
    upstream.otherwise = model.reply
    return model


def assert_prefixes(rows):
    assert [place for place, (row, then) in enumerate(pairwise(rows)) if then[: len(row)] != row] == []


def test_a_copy_goes_on_as_the_conversation_would(service, model, upstream, palaver):
    with palaver(service.preset(upstream)) as client:
        chat = UseChat(client, "b1", service.provider)
        chat.send("How is it?")
        fork = client.post("/api/ai/conversations/b1/fork", json={}).json()["id"]
        chat.send("And now?")
        UseChat(client, fork, service.provider, message_only=True).send("And now?")
    assert model.rows[4] == model.rows[2]


def test_an_answer_made_anew_is_asked_for_as_the_first_time(service, model, upstream, palaver):
    with palaver(service.preset(upstream)) as client:
        chat = UseChat(client, "b1", service.provider)
        chat.send("How is it?")
        chat.send("And now?")
        chat.regenerate()
        chat.send("Thanks.")
    assert model.rows[4] == model.rows[2]
    assert model.rows[6][: len(model.rows[5])] == model.rows[5]


def test_an_edited_question_has_the_same_history_before_it(service, model, upstream, palaver):
    with palaver(service.preset(upstream)) as client:
        chat = UseChat(client, "b1", service.provider)
        for text in ("How is it?", "And now?", "Thanks."):
            chat.send(text)
        chat.edit(2, "And tomorrow?")
    assert model.rows[-2][:-1] == model.rows[2][:-1]
    assert "And tomorrow?" in model.rows[-2][-1]


def test_a_conversation_that_is_not_stored_keeps_its_calls_while_it_lasts(service, model, upstream, palaver):
    with palaver(service.preset(upstream)) as client:
        chat = UseChat(client, "b1", service.provider)
        for turn in range(4):
            chat.send(f"Question {turn}", store=False)
        assert client.get("/api/ai/conversations/b1").status_code == 404
    assert_prefixes(model.rows)
    assert not any("repairs" in message.get("metadata", {}) for message in chat.messages)


def test_a_client_that_knows_no_requests_for_approval_confirms_with_a_tool(service, upstream, palaver, ran):
    model = Model(service, calls=("rain", "launch", "wind"))
    upstream.otherwise = model.reply
    with palaver(service.preset(upstream)) as client:
        chat = UseChat(client, "b1", service.provider, sdk="5")
        for turn in range(4):
            chat.send(f"Question {turn}")
            (confirm,) = [part for part in chat.calls if part["type"] == "tool-confirm"]
            confirm.update(state="output-available", output={"approved": turn % 2 == 0})
            chat.go_on()
        stored = chat.stored()
    assert [message["id"] for message in chat.messages] == [message["id"] for message in stored]
    assert_prefixes(model.rows)
    assert "confirm" not in "".join(model.rows[-1])
    assert ran().count("launch Tromsø") == 2


MORE_TOOLS = '''
from app.core.tools import ToolFile, ToolOutput, ToolSource

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


def rain(city: str) -> ToolOutput:
    """How much it rains, as a picture."""
    return ToolOutput({"mm": 7.5}, (ToolFile("image/png", PNG),), (ToolSource("https://rain.example", "Rain"),))


async def wind(city: str):
    """How strong the wind is, more and more exactly."""
    yield "9"
    yield "9.5 m/s"


def launch(city: str) -> str:
    """Fails."""
    raise RuntimeError("No balloon.")
'''


def test_files_sources_progress_and_failures_of_tools_keep_the_history_as_it_was(service, upstream, palaver, tmp_path):
    (tmp_path / "weather.py").write_text(MORE_TOOLS)
    model = Model(service, calls=("rain", "wind", "launch"))
    upstream.otherwise = model.reply
    with palaver(service.preset(upstream), SETTINGS) as client:
        chat = UseChat(client, "b1", service.provider)
        chat.send("How is it?")
        chat.send("And now?")
        assert [message["parts"] for message in chat.messages] == [message["parts"] for message in chat.stored()]
    with palaver(service.preset(upstream), SETTINGS) as client:
        UseChat(client, "b1", service.provider, message_only=True).send("Thanks.")
    assert len(model.rows) == 6
    assert_prefixes(model.rows)
    kinds = [part["type"] for part in chat.last["parts"]]
    assert kinds.count("file") == kinds.count("source-url") == 1
    assert [part["state"] for part in chat.calls] == ["output-available", "output-available", "output-error"]
    assert "iVBOR" in "".join(model.rows[-1])  # the picture, with the next question


def test_a_loop_that_ends_at_its_limit_can_be_gone_on_with(service, upstream, palaver, ran):
    answers = [calling(number, "rain") for number in (1, 2, 3)]
    upstream.reply(*map(service.dialect.frames, [*answers, Said("It rains.", number=4)]))
    with palaver(service.preset(upstream)) as client:
        chat = UseChat(client, "b1", service.provider)
        chat.send("How is it?", options={"maxSteps": 2})
        assert "max_steps" in [warning["setting"] for warning in chat.last["metadata"]["warnings"]]
        assert len(upstream.requests) == 2
        chat.send("Go on.")
    rows = [service.dialect.prompt(request.json) for request in upstream.requests]
    for request in upstream.requests:
        service.check(request.json)
    assert_prefixes(rows)
    assert len(ran()) == 3


def test_an_app_of_sdk_4_sends_its_history_without_ids(service, model, upstream, palaver):
    with palaver(service.preset(upstream)) as client:
        for turn in range(5):
            loaded = client.get("/api/ai/conversations/b1", params={"sdk": "4"})
            said = loaded.json()["messages"] if turn else []
            history = [{key: message[key] for key in ("role", "content", "parts")} for message in said]
            text = f"Question {turn}"
            question = {"role": "user", "content": text, "parts": [{"type": "text", "text": text}]}
            answer = client.post(
                "/api/ai/chat/b1", params={"preset": service.provider}, json={"messages": [*history, question]}
            )
            assert answer.headers["x-vercel-ai-data-stream"] == "v1"
            assert '\nd:{"finishReason":"stop"' in answer.text
        stored = client.get("/api/ai/conversations/b1").json()["messages"]
    assert len(stored) == 10
    assert len(model.rows) == 10
    assert_prefixes(model.rows)
