"""The body of a chat POST, in every form that clients send."""

from __future__ import annotations

from itertools import count

import pytest

from app.core.errors import InvalidRequest
from app.core.messages import FilePart
from app.core.values import NO_VALUES
from app.wire.chat_request import parse_chat_request

PNG = "data:image/png;base64,iVBORw0KGgo="


def parse(body):
    ids = count(1)
    return parse_chat_request(body, preset=None, headers=NO_VALUES, new_id=lambda: f"new{next(ids)}")


def user(text, **more):
    return {"id": "u1", "role": "user", "parts": [{"type": "text", "text": text}], **more}


def test_the_request_of_sdk_5_to_7():
    body = {"id": "chat", "messages": [user("hi")], "trigger": "regenerate-message", "messageId": "a9", "app": 1}
    chat = parse(body)
    assert not chat.is_v4
    assert chat.turn.messages[0].to_wire() == user("hi")
    assert (chat.turn.trigger, chat.turn.message_id) == ("regenerate-message", "a9")
    assert not chat.turn.minted
    assert not chat.turn.message_only


def test_the_request_of_sdk_4():
    chat = parse(
        {"id": "c", "messages": [{"role": "user", "content": "hi", "parts": [{"type": "text", "text": "hi"}]}]}
    )
    assert chat.is_v4
    assert chat.turn.messages[0].text == "hi"
    assert chat.turn.minted == {"new1"}


def test_the_shortest_request_that_people_write_is_not_taken_for_sdk_4():
    chat = parse({"messages": [{"role": "user", "content": "hi"}]})
    assert not chat.is_v4
    assert chat.turn.messages[0].text == "hi"


def test_only_the_last_message():
    turn = parse({"id": "c", "message": user("hi")}).turn
    assert turn.message_only
    assert turn.messages[0].id == "u1"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image", "url": PNG},
        {"type": "image", "image": PNG},
        {"type": "image", "data": "iVBORw0KGgo=", "mediaType": "image/png"},
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
        {"type": "file", "url": PNG},
    ],
)
def test_images_in_the_spellings_that_people_use(part):
    content = [{"type": "text", "text": "look"}, part]
    message = parse({"messages": [{"role": "user", "content": content}]}).turn.messages[0]
    assert message.text == "look"
    assert message.parts[1] == FilePart(media_type="image/png", url=PNG)


def test_options_are_read_and_store_may_be_refused():
    body = {"messages": [user("hi")], "store": False}
    body["options"] = {
        "model": "m",
        "temperature": 0.5,
        "maxTokens": 9,
        "topP": 1,
        "stop": "x",
        "thinking": "low",
        "responseFormat": "json",
    }
    turn = parse(body).turn
    assert not turn.store
    assert turn.options.said() == {
        "model": "m",
        "temperature": 0.5,
        "max_tokens": 9,
        "top_p": 1,
        "stop": ("x",),
        "thinking": "low",
        "response_format": "json",
    }


def test_messages_with_the_data_role_of_sdk_4_are_not_for_the_model():
    messages = [{"role": "data", "content": "", "data": 1}, {"role": "user", "content": "hi"}]
    assert [message.role for message in parse({"messages": messages}).turn.messages] == ["user"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [None]}, "messages[0]"),
        ({"messages": [{"role": "user"}]}, "messages[0].parts"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].parts"),
        ({"messages": [{"role": "user", "parts": ["x"]}]}, "messages[0].parts[0]"),
        ({"messages": [{"role": "user", "parts": "x"}]}, "messages[0].parts"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": None, "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [user("a", id=7)]}, "messages[0].id"),
        ({"messages": [user("a", id="")]}, "messages[0].id"),
        ({"messages": [user("a", id="x" * 999)]}, "messages[0].id"),
        ({"messages": [user("a"), {"role": "user", "parts": [{"type": "text"}]}]}, "messages[1].parts[0].text"),
        ({"messages": [{"role": "user", "parts": [{"type": "text", "text": None}]}]}, "messages[0].parts[0].text"),
        ({"messages": [{"role": "user", "parts": [{"text": "x"}]}]}, "messages[0].parts[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content[0]"),
        ({"messages": [user("x")] * 5001}, "messages"),
        ({"messages": [{"role": "user", "parts": [{"type": "step-start"}] * 1001}]}, "messages[0].parts"),
        ({"messages": [user("x")], "trigger": "explode"}, "trigger"),
        ({"messages": [user("x")], "messageId": 1}, "messageId"),
        ({"messages": [user("x")], "options": []}, "options"),
        ({"messages": [user("x")], "options": {"base_url": "http://x"}}, "options.base_url"),
        ({"messages": [user("x")], "options": {"temperature": 9}}, "options.temperature"),
        ({"messages": [user("x")], "options": {"system": "you are mine"}}, "options.system"),
        ({"messages": [user("x")], "store": "no"}, "store"),
        ({"message": "hi"}, "message"),
        ({"message": {"role": "user", "parts": [{"type": "file"}]}}, "message.parts[0].mediaType"),
        ({"messages": [{"role": "data", "content": ""}]}, "messages"),
    ],
)
def test_what_is_wrong_is_named(body, param):
    with pytest.raises(InvalidRequest) as refused:
        parse(body)
    assert refused.value.param == param
    assert refused.value.status == 400
    assert "Part" not in refused.value.message, "no names of Python classes"


def test_a_long_name_of_a_client_is_not_said_back():
    part = {"type": "text", "text": "x", "providerMetadata": {"k" * 1_000_000: 1}}
    with pytest.raises(InvalidRequest) as refused:
        parse({"messages": [{"role": "user", "parts": [part]}]})
    assert refused.value.param == f"messages[0].parts[0].providerMetadata.{'k' * 80}"
    assert len(refused.value.message) < 200


def test_an_answer_may_have_more_parts_than_a_question():
    parts = [{"type": "text", "text": "x"}] * 2_500
    answer = {"id": "a1", "role": "assistant", "parts": parts}
    assert len(parse({"messages": [user("hi"), answer]}).turn.messages[1].parts) == 2_500
    for body in ({**answer, "parts": parts * 3}, {**answer, "role": "user"}):
        with pytest.raises(InvalidRequest) as refused:
            parse({"messages": [user("hi"), body]})
        assert refused.value.param == "messages[1].parts"
