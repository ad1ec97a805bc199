"""Conversations of every kind, sound and broken, for hypothesis: what clients keep, what a ledger says of it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from app.core.messages import UIMessage, parse_messages
from app.core.tools import ToolRecord

IDS = ("call_1", "toolu_2", "functions.add:3", "9chars789", "srvtoolu_4", "ws_5", "ig_6", "code_7", "é 8", "x" * 80)
"""As services make them, and two that none would."""

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"

METADATA: tuple[Mapping[str, Any] | None, ...] = (
    None,
    {},
    {"anthropic": {"signature": "c2lnbmVk"}},
    {"anthropic": {"redactedData": "cmVkYWN0ZWQ="}},
    {"openai": {"itemId": "rs_1", "reasoningEncryptedContent": "ZW5jcnlwdGVk"}},
    {"google": {"thoughtSignature": "dGhvdWdodA=="}},
    {"deepseek": {"field": "reasoning_content"}},
)
"""Of texts and thoughts. Not always of the service that would say such a thing: nobody can rely on that."""

_words = st.one_of(st.sampled_from(["", " ", "\n", "Hello.", "Grüße 🎈"]), st.text(max_size=8))
_metadata = st.sampled_from(METADATA)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4) | st.just({"result": "cGljdHVyZQ=="}),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def _data_url(content: bytes) -> str:
    return f"data:application/octet-stream;base64,{base64.b64encode(content).decode()}"


_part_states = st.sampled_from([{}, {"state": "done"}, {"state": "streaming"}])
_tool_states = st.sampled_from(
    [
        "input-streaming",
        "input-available",
        "approval-requested",
        "approval-responded",
        "output-available",
        "output-error",
        "output-denied",
    ]
)
_step = st.just({"type": "step-start"})
_text = st.builds(lambda text, state: {"type": "text", "text": text, **state}, _words, _part_states)
_signed_text = st.builds(lambda part, data: _with(part, "providerMetadata", data), _text, _metadata)
_thought = st.builds(
    lambda text, state, data: _with({"type": "reasoning", "text": text, **state}, "providerMetadata", data),
    _words,
    _part_states,
    _metadata,
)
_call = st.builds(
    lambda call_id, state: {
        "type": "tool-forged",
        "toolCallId": call_id,
        "state": state,
        "input": 1,
        "output": "forged",
    },
    st.sampled_from(IDS),
    _tool_states,
)
_file = st.builds(
    lambda url: {"type": "file", "mediaType": "", "url": url, "filename": "a.x"},
    st.sampled_from(
        [
            _data_url(PNG),
            _data_url(b"a,b\n"),
            _data_url(b"%PDF-"),
            _data_url(b"MZ\x90"),
            f"/files/{'a' * 64}",
            "https://a",
        ]
    ),
)
_other = st.sampled_from(
    [
        {"type": "source-url", "sourceId": "s", "url": "https://a.example"},
        {"type": "data-weather", "data": 1},
        {"type": "custom", "kind": "a.b"},
    ]
)


def _with(part: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    return part if value is None else {**part, key: value}


_answers = st.lists(st.one_of(_step, _signed_text, _thought, _call, _call, _file, _other), max_size=8)
_questions = st.lists(st.one_of(_text, _file, _other), max_size=3)
_messages = st.one_of(
    st.tuples(st.just("user"), _questions),
    st.tuples(st.just("assistant"), _answers),
    st.tuples(st.just("assistant"), _answers),
    st.tuples(st.just("system"), st.lists(_text, max_size=1)),
)


def _parsed(messages: Sequence[tuple[str, Sequence[Any]]]) -> tuple[UIMessage, ...]:
    return parse_messages(
        [{"id": str(number), "role": role, "parts": parts} for number, (role, parts) in enumerate(messages)]
    )


histories = st.lists(_messages, max_size=7).map(_parsed)


def _server_metadata(call_id: str) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """Of a call that a service ran, and of its result: what the service wants back."""
    match call_id:
        case "srvtoolu_4":
            result = {"type": "web_search_tool_result", "tool_use_id": call_id, "content": []}
            block = {"type": "server_tool_use", "name": "web_search"}
            return {"anthropic": {"block": block}}, {"anthropic": {"block": result}}
        case "ws_5":
            item = {"type": "web_search_call", "id": call_id, "status": "completed", "action": {"type": "search"}}
            return None, {"openai": {"item": item}}
        case "ig_6":
            return None, {"openai": {"item": {"type": "image_generation_call", "id": call_id, "status": "completed"}}}
        case "code_7":
            return {"google": {"part": "executableCode"}}, {"google": {"part": "codeExecutionResult"}}
        case _:
            return None, None


def _record(call_id: str) -> st.SearchStrategy[ToolRecord]:
    def build(name: str, arguments: Any, runs: Any, state: Any, output: Any, signed: Any) -> ToolRecord:
        call_metadata, result_metadata = _server_metadata(call_id) if runs == "provider" else (signed, None)
        return ToolRecord(
            tool_call_id=call_id,
            message_id="1",
            tool_name=name,
            input=arguments,
            runs=runs,
            state=state,
            output=output if state == "done" else None,
            error_text="It failed." if state == "failed" else None,
            call_metadata=call_metadata,
            result_metadata=result_metadata,
        )

    return st.builds(
        build,
        st.sampled_from(["add", "web_search", "files__read_file", "made up!", ""]),
        st.one_of(st.just({"a": 1}), _json),
        st.sampled_from(["server", "client", "provider"]),
        st.sampled_from(["open", "asking", "approved", "running", "done", "failed", "denied"]),
        _json,
        st.sampled_from([None, {"google": {"thoughtSignature": "c2ln"}}]),
    )


ledgers = st.lists(st.sampled_from(IDS), unique=True).flatmap(
    lambda ids: st.fixed_dictionaries({call_id: _record(call_id) for call_id in ids})
)
