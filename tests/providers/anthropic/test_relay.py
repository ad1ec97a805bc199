"""What is passed on to Anthropic, and what is filled in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.model import ModelRequest, Relayed
from app.providers.anthropic.relay import relayed_body

BODY = {"model": "mine", "max_tokens": 500, "messages": [{"role": "user", "content": "Hi"}]}
TOOL = {"name": "look", "input_schema": {"type": "object"}}
MARK = {"type": "ephemeral"}


def sent(said=None, *, model="claude-haiku-4-5", cached=(), counts=False, **values):
    relayed = Relayed({**BODY, **(said or {})}, counts=counts, cached=frozenset(cached))
    return relayed_body(ModelRequest(model, (), relayed=relayed, **values))


def test_nothing_changes_but_the_model():
    body, betas, prepared = sent({"top_k": 3, "tomorrow": {"a": None}})
    assert body == {**BODY, "model": "claude-haiku-4-5", "top_k": 3, "tomorrow": {"a": None}}
    assert betas == ()
    assert prepared.warnings == ()


def test_the_clients_word_stands_before_the_presets():
    said = {"system": "", "temperature": 0.5, "stop_sequences": ["a"], "tools": [], "thinking": {"type": "disabled"}}
    body, _, _ = sent(
        said, system="Preset", temperature=0.1, top_p=0.2, stop=("b",), thinking="high", provider_tools=({"type": "x"},)
    )
    assert body == {**BODY, **said, "model": "claude-haiku-4-5"}


def test_the_preset_fills_in_what_the_client_leaves_open():
    body, _, _ = sent(system="Preset", temperature=0.1, stop=("b",), provider_tools=({"type": "x"},))
    assert body["system"] == "Preset"
    assert (body["temperature"], body["stop_sequences"], body["tools"]) == (0.1, ["b"], [{"type": "x"}])
    assert (body["max_tokens"], "thinking" in body) == (500, False)


@pytest.mark.parametrize(
    "said", [{"temperature": 1}, {"top_k": 1}, {"output_config": {}}, {"tool_choice": {"type": "any"}, "tools": [TOOL]}]
)
def test_thinking_is_not_filled_in_where_it_might_not_fit(said):
    assert "thinking" not in sent(said, thinking="high")[0]


def test_thinking_is_filled_in_as_the_family_takes_it():
    body, betas, _ = sent(thinking=2048)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 2048}
    assert body["max_tokens"] > 2048
    body, betas, _ = sent(thinking="low", model="claude-opus-5-5")
    assert body["thinking"]["type"] == "adaptive"
    assert body["output_config"] == {"effort": "low"}
    assert len(betas) == 1


def test_a_family_that_does_not_sample_is_not_given_the_presets_temperature():
    body, _, prepared = sent(temperature=0.1, model="claude-opus-5-5")
    assert "temperature" not in body
    assert [warning.setting for warning in prepared.warnings] == ["temperature"]


def test_a_count_gets_only_what_counts():
    body, _, _ = sent(counts=True, system="Preset", temperature=0.1, stop=("b",), thinking="high")
    assert body == {**BODY, "model": "claude-haiku-4-5", "system": "Preset"}


def test_marks_are_put_where_they_are_asked_for():
    later = {**TOOL, "name": "later", "defer_loading": True}
    body, _, _ = sent({"system": "S", "tools": [TOOL, later]}, cached=("system", "tools"), cache="1h")
    assert body["system"] == [{"type": "text", "text": "S", "cache_control": {**MARK, "ttl": "1h"}}]
    assert body["tools"] == [{"cache_control": {**MARK, "ttl": "1h"}, **TOOL}, later]
    assert "cache_control" not in TOOL


def test_a_clients_own_marks_stay_and_there_are_never_more_than_four():
    own = {"type": "text", "text": "S", "cache_control": {**MARK, "ttl": "1h"}}
    asked = {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": MARK}] * 3}
    body, _, _ = sent({"system": [own], "tools": [TOOL], "messages": [asked]}, cached=("system", "tools"))
    assert body["system"] == [own]
    assert body["tools"] == [TOOL]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "text", "thinking"]),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "role", "content", "defer_loading", "cache_control"]), inside, max_size=4
        )
    ),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["system", "tools", "tool_choice", "thinking", "max_tokens", "temperature", "stop_sequences"]),
        JUNK,
    ),
    st.lists(JUNK, max_size=3),
    st.sampled_from(["claude-haiku-4-5", "claude-opus-5-5", "tiny"]),
)
def test_anything_is_passed_on_for_the_service_to_judge(said, messages, model):
    body, _, _ = sent(
        {**said, "messages": messages}, model=model, cached=("system", "tools"), thinking="medium", temperature=0.5
    )
    assert body["messages"] == messages
