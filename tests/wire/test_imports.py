"""What can be imported, and as what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.conversations import Dates
from app.core.errors import InvalidRequest
from app.wire.imports import MAX_CONVERSATIONS, read_import

FIXTURES = Path(__file__).parent / "fixtures"


def fixture(name):
    return json.loads((FIXTURES / name).read_text())


def only(value):
    ((_, conversation),) = read_import(value).conversations
    return conversation


def said(conversation):
    """Role and text parts of every message."""
    return [(m.role, [part.text for part in m.parts if part.type == "text"]) for m in conversation.messages]


def own(**more):
    conversation = {
        "id": "b1",
        "title": "A title",
        "createdAt": "2026-11-21T12:00:00.000001Z",
        "updatedAt": "2026-11-21T13:00:00.000000Z",
        "metadata": {"pinned": True},
        "messages": [{"id": "m1", "role": "user", "parts": [{"type": "text", "text": "hi"}], "odd": 1}],
    }
    return {"palaver": 1, "conversation": {**conversation, **more}}


def test_our_own_export_is_read_as_it_was_written():
    conversation = only(own())
    assert conversation.block_id == "b1"
    assert conversation.title == "A title"
    assert conversation.metadata == {"pinned": True}
    assert conversation.dates == Dates("2026-11-21T12:00:00.000001Z", "2026-11-21T13:00:00.000000Z")
    assert [message.to_wire() for message in conversation.messages] == own()["conversation"]["messages"]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"palaver": 2, "conversation": {}}, "`palaver` must be 1"),
        ({"palaver": 1}, "`conversation` must be an object"),
        (own(id="../x"), "`conversation.id` must be"),
        (own(id=None), "`conversation.id` must be"),
        (own(title=None), "`conversation.title` must be"),
        (own(metadata=[]), "`conversation.metadata` must be"),
        (own(messages={}), "`messages` must be a list"),
        (own(messages=[]), "has no messages"),
        (own(messages=[{"id": "a", "role": "robot", "parts": []}]), "messages[0].role must be one of"),
        ({"messages": 1}, "`messages` must be a list"),
        ({"messages": [{"role": "user"}]}, "messages[0] must have `parts`"),
        ({"messages": [{"role": "user", "content": "x"}] * 5_001}, "at most 5000 messages"),
        ({"mapping": []}, "`mapping` must be an object"),
        ({"mapping": {}}, "no messages that could be kept"),
        ({"chat_messages": {}}, "`chat_messages` must be a list"),
        ({"chat_messages": []}, "no messages that could be kept"),
        ({"chat_messages": [{"sender": "robot", "text": "hi"}]}, "must be human or assistant"),
        ({"role": "user", "content": "hi"}, "no conversation that can be imported"),
        ({}, "no conversation that can be imported"),
        ([], "There is no conversation"),
        ({"conversations": []}, "There is no conversation"),
        ([{}] * (MAX_CONVERSATIONS + 1), "At most 1,000 conversations"),
        ("text", "no conversation that can be imported"),
        (None, "no conversation that can be imported"),
    ],
)
def test_what_is_no_conversation_is_refused_by_its_name(value, why):
    with pytest.raises(InvalidRequest) as refused:
        read_import(value)
    assert why in refused.value.message


def test_one_bad_conversation_does_not_lose_the_others():
    found = read_import([own(), {"palaver": 9}, 7, own(id="b2"), []])
    assert [(index, item.block_id) for index, item in found.conversations] == [(0, "b1"), (3, "b2")]
    assert [item.index for item in found.skipped] == [1, 2, 4]
    assert found.is_list


@pytest.mark.parametrize(
    "wrapped",
    [lambda m: m, lambda m: {"messages": m}, lambda m: {"conversations": [m]}],
    ids=["bare", "named", "in a list"],
)
def test_a_plain_list_is_a_conversation(wrapped):
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"role": "assistant", "content": "hello"},
    ]
    conversation = only(wrapped(messages))
    assert said(conversation) == [("system", ["Be kind."]), ("user", ["hi"]), ("assistant", ["hello"])]
    assert conversation.block_id.startswith("import-")
    assert conversation.title == ""


def test_a_plain_list_may_have_a_name_and_dates():
    value = {
        "id": "my-chat",
        "title": " A\ntitle ",
        "createdAt": "2026-01-01T00:00:00+01:00",
        "messages": [{"role": "user", "content": "hi"}],
    }
    conversation = only(value)
    assert (conversation.block_id, conversation.title) == ("my-chat", "A title")
    assert conversation.dates == Dates(*["2025-12-31T23:00:00.000000Z"] * 2)


def test_what_has_no_ids_gets_the_same_ones_every_time():
    messages = [{"role": "user", "content": "again"}, {"role": "user", "content": "again"}]
    first, second = only(messages), only(messages)
    assert first == second
    assert first.messages[0].id != first.messages[1].id
    longer = only([*messages, {"role": "assistant", "content": "yes"}])
    assert longer.messages[:2] == first.messages
    assert longer.block_id != first.block_id


def test_an_id_that_cannot_be_one_is_replaced():
    conversation = only({"id": "not an id", "messages": [{"role": "user", "content": "hi", "id": None}]})
    assert conversation.block_id.startswith("import-")
    assert conversation.messages[0].id


def test_chatgpts_export_is_read_as_people_saw_it():
    found = read_import(fixture("chatgpt.json"))
    ((index, conversation),) = found.conversations
    assert index == 0
    assert conversation.block_id == "chatgpt-6905f0c0-1234-8333-9abc-def012345678"
    assert conversation.title == "Area of a circle"
    assert conversation.dates == Dates("2025-11-01T12:26:39.500000Z", "2025-11-01T12:28:20.750000Z")
    assert said(conversation) == [
        ("user", ["[image]\n\nWhat is the area of this circle?\n\n[file: notes.pdf]"]),
        (
            "assistant",
            [
                "```python\nprint(3.14159 * 2 ** 2)\n```\n\n```\n12.56636\n```\n\n"
                "About 12.57. ([Circles](https://example.org/circles)) See also."
            ],
        ),
        ("user", ["Write it down, please.\n\n[audio]"]),
        (
            "assistant",
            ["```python\ndef area(r):\n    return 3.14159 * r * r\n```\n\n[image]\n\nHere it is."],
        ),
    ]
    assert [item.why for item in found.skipped] == ["The conversation has no messages that could be kept."]


def test_chatgpts_thoughts_sources_models_and_ids_are_kept():
    messages = read_import(fixture("chatgpt.json")).conversations[0][1].messages
    assert [message.id for message in messages] == ["q1", "th", "q2", "canvas"]
    answer = messages[1]
    assert [part.text for part in answer.parts if part.type == "reasoning"] == ["**Measuring**\n\nThe radius is 2."]
    assert [(p.url, p.title) for p in answer.parts if p.type == "source-url"] == [
        ("https://example.org/circles", "Circles")
    ]
    assert answer.metadata == {"model": "gpt-5-thinking", "createdAt": "2025-11-01T12:26:40.250000Z"}


def chatgpt(mapping, **more):
    return {"mapping": mapping, "conversation_id": "c", **more}


def chatgpt_node(parent, role="user", text="hi", **message):
    return {
        "parent": parent,
        "message": {"author": {"role": role}, "content": {"content_type": "text", "parts": [text]}, **message},
    }


def test_without_a_current_node_the_last_leaf_of_chatgpts_tree_counts():
    mapping = {"a": chatgpt_node(None), "b": chatgpt_node("a", "assistant", "old"), "c": chatgpt_node("a", "assistant")}
    assert said(only(chatgpt(mapping))) == [("user", ["hi"]), ("assistant", ["hi"])]
    assert said(only(chatgpt(mapping, current_node="b"))) == [("user", ["hi"]), ("assistant", ["old"])]
    assert said(only(chatgpt(mapping, current_node="gone"))) == said(only(chatgpt(mapping)))


def test_a_circle_in_chatgpts_tree_ends():
    mapping = {"a": chatgpt_node("b"), "b": chatgpt_node("a", "assistant")}
    assert len(only(chatgpt(mapping, current_node="a")).messages) == 2


@pytest.mark.parametrize(
    "node",
    [
        None,
        {},
        {"message": None},
        {"message": {"author": None, "content": None}},
        {"message": {"author": {"role": "assistant"}, "content": {"content_type": "thoughts", "thoughts": "x"}}},
        {"message": {"author": {"role": "assistant"}, "content": {"content_type": "text", "parts": None}}},
        {"message": {"author": {"role": "user"}, "content": {"content_type": "text", "parts": [None, 1, {}]}}},
        {"message": {"author": {"role": "user"}, "content": {"content_type": "text", "parts": 7}}},
        {"message": {"author": {"role": "user"}, "content": {"content_type": ["text"], "parts": ["x"]}}},
        {
            "message": {
                "author": {"role": "assistant"},
                "recipient": "canmore.create_textdoc",
                "content": {"content_type": "code", "text": "{broken"},
            }
        },
    ],
)
def test_a_node_of_chatgpt_that_says_nothing_is_passed_over(node):
    following = chatgpt_node("odd", text="but this")
    odd = {"parent": None, **node} if node is not None else None
    assert said(only(chatgpt({"odd": odd, "b": following}))) == [("user", ["but this"])]


def test_claudes_export_is_read_as_people_saw_it():
    found = read_import(fixture("claude.json"))
    ((_, conversation),) = found.conversations
    assert conversation.block_id == "claude-019d386a-7691-7e84-bcd6-1637c32bd6ad"
    assert conversation.title == "A poem about rain"
    assert conversation.dates == Dates("2026-03-29T07:06:35.552627Z", "2026-03-29T07:23:12.364007Z")
    assert said(conversation) == [
        (
            "user",
            [
                "rain.txt:\n\n````\nIt rains.\n```\nstill\n```\n````\n\nA pasted text.\n\n[file: cloud.jpg]\n\n"
                "Summarise this, please."
            ],
        ),
        ("assistant", ["It rains.\n\n**Rain, in verse**\n\n````\nDrip\n```\ndrop\n````"]),
        ("user", ["Thanks"]),
        ("assistant", ["You are welcome."]),
    ]
    answer = conversation.messages[1]
    assert answer.id == "a1"
    assert [part.text for part in answer.parts if part.type == "reasoning"] == ["Rain, then."]
    assert [(p.url, p.title) for p in answer.parts if p.type == "source-url"] == [("https://example.org/rain", "Rain")]
    assert [item.index for item in found.skipped] == [1]


def test_claudes_older_lists_have_no_branches():
    chat = [{"sender": "human", "text": "hi"}, {"sender": "assistant", "text": "hi"}, {"sender": "human", "text": "hi"}]
    conversation = only({"uuid": "c", "chat_messages": chat})
    assert said(conversation) == [("user", ["hi"]), ("assistant", ["hi"]), ("user", ["hi"])]
    assert len({message.id for message in conversation.messages}) == 3


def test_claudes_current_leaf_decides_between_branches():
    (value, _) = fixture("claude.json")
    conversation = only({**value, "current_leaf_message_uuid": "a1-old"})
    assert [message.id for message in conversation.messages] == ["h1", "a1-old"]


@pytest.mark.parametrize("date", [None, True, "yesterday", 1e300, -1e300, "", [], {"a": 1}])
def test_a_date_that_is_none_is_passed_over(date):
    mapping = {"a": chatgpt_node(None, create_time=date)}
    conversation = only(chatgpt(mapping, create_time=date, update_time=date))
    assert conversation.dates is None
    assert conversation.messages[0].metadata == {}


@pytest.mark.parametrize("service_id", [None, 7, "", "a b/../c", "x" * 500])
def test_a_foreign_id_becomes_a_block_id_whatever_it_is(service_id):
    value = {"conversation_id": service_id, "mapping": {"a": chatgpt_node(None)}, "title": 7}
    assert only(value) == only(value)
    assert only(value).block_id.startswith("chatgpt-")
    assert len(only(value).block_id) <= 128


WORDS = st.sampled_from(
    ["user", "assistant", "tool", "all", "python", "canmore.create_textdoc", "text", "code", "multimodal_text",
     "thoughts", "execution_output", "human", "tool_use", "artifacts", "thinking", "a", "b", "https://example.org"]
)  # fmt: skip
KEYS = st.sampled_from(
    ["message", "author", "role", "content", "content_type", "parts", "metadata", "parent", "id", "recipient", "weight",
     "thoughts", "citations", "content_references", "items", "url", "title", "matched_text", "alt", "create_time",
     "attachments", "text", "uuid", "sender", "input", "type", "name", "thinking", "parent_message_uuid", "language"]
)  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=25,
)
BROKEN = st.one_of(
    ANYTHING,
    st.fixed_dictionaries(
        {"mapping": st.dictionaries(st.sampled_from("abcd"), ANYTHING)},
        optional={"current_node": ANYTHING, "title": ANYTHING, "conversation_id": ANYTHING},
    ),
    st.fixed_dictionaries(
        {"chat_messages": st.lists(ANYTHING)},
        optional={"uuid": ANYTHING, "name": ANYTHING, "current_leaf_message_uuid": ANYTHING},
    ),
    st.fixed_dictionaries({"messages": ANYTHING}, optional={"id": ANYTHING, "title": ANYTHING}),
    st.fixed_dictionaries({"palaver": st.just(1), "conversation": ANYTHING}),
)


@given(BROKEN)
def test_whatever_comes_is_read_or_refused(value):
    try:
        found = read_import(value)
    except InvalidRequest:
        return
    for _, conversation in found.conversations:
        ids = [message.id for message in conversation.messages]
        assert ids
