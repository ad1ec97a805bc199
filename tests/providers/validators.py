"""Strict judges of what is sent to each service: as its API refuses a request, so these raise an AssertionError.

Written from the services' documentation and from the errors that their APIs are known to answer with; where an API
tolerates more than its documentation says, the documentation counts. Each takes the JSON body of a request.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise, takewhile
from typing import Any

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ANTHROPIC_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_DATA_URL = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,[A-Za-z0-9+/]+=*")


def check_json(body: Any, *, nullable: frozenset[str] = frozenset()) -> None:
    """It can be sent at all, and no key stands there without a value, save those of `nullable`."""
    json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    _check_no_null(body, nullable)


def _check_no_null(value: Any, nullable: frozenset[str]) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            assert item is not None or key in nullable, f"{key} is null"
            _check_no_null(item, nullable)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_no_null(item, nullable)


def _check_unique(ids: Iterable[str]) -> None:
    listed = list(ids)
    assert len(listed) == len(set(listed)), "an id stands there twice"


def _check_alternate(roles: Sequence[str], first: str, last: Iterable[str]) -> None:
    assert roles, "no messages"
    assert roles[0] == first, f"begins with {roles[0]}"
    assert roles[-1] in last, f"ends with {roles[-1]}"
    assert all(before != after for before, after in pairwise(roles)), "the same role twice in a row"


# Anthropic Messages

_USERS_BLOCKS = frozenset({"text", "image", "document", "tool_result"})
_THOUGHTS = frozenset({"thinking", "redacted_thinking"})
_SERVER_CALLS = frozenset({"server_tool_use", "mcp_tool_use"})


def check_anthropic(body: Mapping[str, Any]) -> None:
    messages = body["messages"]
    check_json({**body, "messages": [], "tools": []})
    _check_alternate([message["role"] for message in messages], "user", {"user"})
    marks = [block for block in _all_blocks(body) if "cache_control" in block]
    assert len(marks) <= 4, "more than four cache breakpoints"
    assert all(block.get("type") not in _THOUGHTS for block in marks), "thinking cannot be a cache breakpoint"
    for message in messages:
        assert isinstance(message["content"], list)
        assert message["content"], "an empty message"
        check = _check_users_block if message["role"] == "user" else _check_answers_block
        for block in message["content"]:
            check(block)
    for before, after in pairwise(messages):
        if before["role"] == "assistant":
            _check_anthropic_results(before["content"], after["content"])
        else:
            _check_anthropic_answer(after["content"])
    _check_server_tools([message["content"] for message in messages if message["role"] == "assistant"], messages[-1])
    assert not _of_type(messages[0]["content"], "tool_result"), "a result without a call"
    _check_unique(block["id"] for message in messages for block in message["content"] if "id" in block)
    _check_anthropic_thinking(body)


def _all_blocks(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    system = body.get("system", [])
    blocks = [] if isinstance(system, str) else list(system)
    return blocks + list(body.get("tools", [])) + [b for message in body["messages"] for b in message["content"]]


def _of_type(blocks: Iterable[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    return [block for block in blocks if block["type"] == kind]


def _check_users_block(block: Mapping[str, Any]) -> None:
    assert block["type"] in _USERS_BLOCKS, f"a user has no {block['type']}"
    check_json(block)
    match block["type"]:
        case "text":
            assert block["text"].strip(), "a text block without text"
        case "image":
            assert block["source"]["media_type"] in {"image/png", "image/jpeg", "image/gif", "image/webp"}
            base64.b64decode(block["source"]["data"], validate=True)
        case "document":
            assert block["source"]["media_type"] == "application/pdf"
            base64.b64decode(block["source"]["data"], validate=True)
        case "tool_result":
            assert isinstance(block["content"], str | list)
            assert not block.get("is_error") or block["content"], "an error without words"


def _check_answers_block(block: Mapping[str, Any]) -> None:
    kind = block["type"]
    assert kind not in _USERS_BLOCKS - {"text"}, f"an assistant has no {kind}"
    if kind == "text":
        assert block["text"].strip(), "a text block without text"
    elif kind == "thinking":
        assert block["signature"], "thinking without a signature"
        assert isinstance(block["thinking"], str)
    elif kind == "redacted_thinking":
        assert block["data"]
    elif kind == "tool_use" or kind in _SERVER_CALLS:
        assert re.fullmatch(r"[a-zA-Z0-9_-]+", block["id"]), "an id that the API refuses"
        assert _ANTHROPIC_NAME.fullmatch(block["name"]), "a name that the API refuses"
        assert isinstance(block["input"], Mapping), "input must be an object"


def _check_anthropic_results(answer: Sequence[Mapping[str, Any]], said: Sequence[Mapping[str, Any]]) -> None:
    """The next message begins with one result for each call, and holds no other."""
    calls = [block["id"] for block in _of_type(answer, "tool_use")]
    results = [block["tool_use_id"] for block in _of_type(said, "tool_result")]
    assert sorted(calls) == sorted(results), "calls and results do not match"
    assert all(block["type"] == "tool_result" for block in said[: len(results)]), "results must come first"


def _check_anthropic_answer(blocks: Sequence[Mapping[str, Any]]) -> None:
    assert blocks[-1]["type"] not in _THOUGHTS, "thinking that leads to nothing"
    kinds = [block["type"] for block in blocks]
    if "tool_use" in kinds:
        behind = set(kinds[kinds.index("tool_use") :])
        assert behind <= {"tool_use", *_THOUGHTS}, "something between a call and its result"


def _check_server_tools(answers: Sequence[Sequence[Mapping[str, Any]]], said: Mapping[str, Any]) -> None:
    """A result stands in the answer of its call, or begins the next one; while the last answer's calls of ours are
    answered (and nothing else is `said`), its server tools may wait. Code may wait for calls over several answers.
    """
    waiting: set[str] = set()
    for blocks in answers:
        heads = {block["tool_use_id"] for block in takewhile(_is_ran, blocks)}
        callers = {block.get("caller", {}).get("tool_id") for block in _of_type(blocks, "tool_use")}
        assert waiting <= heads | callers, "a server tool's call without its result"
        called = set(waiting)
        for block in blocks:
            if block["type"] in _SERVER_CALLS:
                called.add(block["id"])
            elif _is_ran(block):
                assert block["tool_use_id"] in called, "a server tool's result without its call"
                called.remove(block["tool_use_id"])
        waiting = called
    is_loop = all(block["type"] == "tool_result" for block in said["content"])
    assert is_loop or not waiting, "a server tool's call without its result"


def _is_ran(block: Mapping[str, Any]) -> bool:
    return str(block["type"]).endswith("_tool_result")


def _check_anthropic_thinking(body: Mapping[str, Any]) -> None:
    thinking = body.get("thinking", {})
    if thinking.get("type") != "enabled":
        return
    assert 1024 <= thinking["budget_tokens"] < body["max_tokens"], "no room to think"
    *_, answer, said = [{"content": []}, *body["messages"]]
    if _of_type(said["content"], "tool_result"):
        said_first = next(block for block in answer["content"] if not _is_ran(block))
        assert said_first["type"] in _THOUGHTS, "a call made without thinking"


# OpenAI chat completions and their dialects


def check_chat(body: Mapping[str, Any]) -> None:
    check_json(body, nullable=frozenset({"content"}))
    messages = body["messages"]
    roles = [message["role"] for message in messages]
    assert set(roles) <= {"system", "developer", "user", "assistant", "tool"}
    head = next((index for index, role in enumerate(roles) if role not in {"system", "developer"}), len(roles))
    assert not {"system", "developer"} & set(roles[head:]), "a system message in the middle"
    assert roles[-1] in {"user", "tool"}, "nothing to answer"
    open_calls: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            assert message["tool_call_id"] in open_calls, "a tool message that does not follow its call"
            open_calls.remove(message["tool_call_id"])
            assert isinstance(message["content"], str)
            continue
        assert not open_calls, "calls without a tool message"
        if message["role"] == "assistant":
            open_calls = _check_chat_answer(message)
        else:
            _check_chat_words(message["content"])
    assert not open_calls, "calls without a tool message"


def _check_chat_answer(message: Mapping[str, Any]) -> list[str]:
    calls = message.get("tool_calls")
    assert calls or message["content"], "an assistant message without content"
    assert calls is None or calls, "an empty list of calls"
    for call in calls or ():
        assert call["type"] == "function"
        assert call["id"]
        assert _NAME.fullmatch(call["function"]["name"]), "a name that the API refuses"
        assert isinstance(json.loads(call["function"]["arguments"]), dict), "arguments must be an object"
    ids = [call["id"] for call in calls or ()]
    _check_unique(ids)
    return ids


def _check_chat_words(content: Any) -> None:
    assert content, "an empty message"
    for part in [] if isinstance(content, str) else content:
        match part["type"]:
            case "text":
                assert part["text"], "an empty text part"
            case "image_url":
                assert _DATA_URL.fullmatch(part["image_url"]["url"])
            case "input_audio":
                assert part["input_audio"]["format"] in {"wav", "mp3"}
            case "file":
                assert part["file"]["filename"]
                assert _DATA_URL.fullmatch(part["file"]["file_data"])
            case "document_url":
                assert _DATA_URL.fullmatch(part["document_url"])
            case kind:
                raise AssertionError(f"no part of type {kind}")


def check_perplexity(body: Mapping[str, Any]) -> None:
    check_chat(body)
    roles = [message["role"] for message in body["messages"]]
    _check_alternate([role for role in roles if role != "system"], "user", {"user"})
    assert set(roles) <= {"system", "user", "assistant"}


def check_mistral(body: Mapping[str, Any]) -> None:
    check_chat(body)
    roles = [message["role"] for message in body["messages"] if message["role"] != "system"]
    assert roles[0] == "user"
    for before, after in pairwise(roles):
        assert (before, after) != ("tool", "user"), "Unexpected role 'user' after role 'tool'"
        assert before != after or before == "tool", "the same role twice in a row"
    for message in body["messages"]:
        for call in message.get("tool_calls", ()):
            assert re.fullmatch(r"[A-Za-z0-9]{9}", call["id"]), "an id of another length than nine"


# OpenAI Responses

_WORDS = {"user": frozenset({"input_text", "input_image", "input_file"}), "assistant": frozenset({"output_text"})}


def check_responses(body: Mapping[str, Any]) -> None:
    items = body["input"]
    check_json({**body, "input": []})
    assert items, "no input"
    calls: dict[str, str] = {}
    answered: set[str] = set()
    for item, following in zip(items, [*items[1:], None], strict=True):
        kind = item.get("type", "message")
        match kind:
            case "message":
                _check_responses_message(item)
            case "function_call":
                check_json(item)
                assert item["call_id"] not in calls, "an id stands there twice"
                assert 0 < len(item["call_id"]) <= 64, "a call_id that the API refuses"
                calls[item["call_id"]] = item["name"]
                assert _NAME.fullmatch(item["name"]), "a name that the API refuses"
                assert isinstance(json.loads(item["arguments"]), dict)
            case "function_call_output":
                assert item["call_id"] in calls, "No tool call found for function call output"
                assert item["call_id"] not in answered, "a call answered twice"
                answered.add(item["call_id"])
                assert isinstance(item["output"], str | list)
            case "reasoning":
                assert isinstance(item["summary"], list)
                assert "encrypted_content" in item or "id" in item
                assert following is not None, "reasoning without the item that follows it"
                assert _is_output(following), "reasoning without the item that follows it"
            case "image_generation_call":
                assert isinstance(item["result"], str), "a picture that is none"
            case "item_reference":
                assert body.get("store") is not False, "a reference to what was never stored"
    assert calls.keys() == answered, "No tool output found for function call"
    assert not _is_output(items[-1]) or items[-1].get("type", "").endswith("_call_output"), "nothing to answer"
    _check_unique(item["id"] for item in items if "id" in item)


def _is_output(item: Mapping[str, Any]) -> bool:
    """Whether a model said it."""
    kind = item.get("type", "message")
    return item["role"] == "assistant" if kind == "message" else kind != "function_call_output"


def _check_responses_message(item: Mapping[str, Any]) -> None:
    check_json(item)
    role, content = item["role"], item["content"]
    assert content, "a message without content"
    if isinstance(content, str):
        return
    for part in content:
        assert part["type"] in _WORDS.get(role, {"input_text"}), f"{role} has no {part['type']}"
        if part["type"] in {"input_text", "output_text"}:
            assert part["text"], "a text without text"


# Gemini

_DATA = frozenset(
    {
        "text",
        "inlineData",
        "functionCall",
        "functionResponse",
        "executableCode",
        "codeExecutionResult",
        "toolCall",
        "toolResponse",
    }
)


_NO_SIGNATURE = "skip_thought_signature_validator"
"""What Google's documentation says to send with a call that another model made."""


def check_gemini(body: Mapping[str, Any]) -> None:
    check_json({**body, "contents": [], "tools": []})
    contents = body["contents"]
    _check_alternate([content["role"] for content in contents], "user", {"user"})
    for before, content in zip([{"role": "user", "parts": []}, *contents], contents, strict=False):
        assert content["role"] in {"user", "model"}
        assert content["parts"], "a content without parts"
        for part in content["parts"]:
            _check_gemini_part(part)
        calls = [part["functionCall"] for part in before["parts"] if "functionCall" in part]
        results = [part["functionResponse"] for part in content["parts"] if "functionResponse" in part]
        assert len(calls) == len(results), "the number of function response parts must equal that of the calls"
        assert [call["name"] for call in calls] == [result["name"] for result in results]
        assert [call.get("id") for call in calls] == [result.get("id") for result in results]
        assert not results or len(results) == len(content["parts"]), "something beside function responses"
        if content["role"] == "user":
            assert not any("functionCall" in part or part.get("thought") for part in content["parts"])


def _check_gemini_part(part: Mapping[str, Any]) -> None:
    (kind,) = part.keys() & _DATA
    assert part.keys() <= _DATA | {"thought", "thoughtSignature"}
    if part.get("thoughtSignature", _NO_SIGNATURE) != _NO_SIGNATURE:
        base64.b64decode(part["thoughtSignature"], validate=True)
    match kind:
        case "text":
            assert part["text"].strip() or "thoughtSignature" in part, "a text part without text"
        case "inlineData":
            assert part["inlineData"]["mimeType"]
            base64.b64decode(part["inlineData"]["data"], validate=True)
        case "functionCall":
            assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}", part["functionCall"]["name"])
            assert isinstance(part["functionCall"].get("args", {}), Mapping)
        case "functionResponse":
            assert isinstance(part["functionResponse"]["response"], Mapping), "a response must be an object"
