"""The `messages` of a request in Anthropic's format → the neutral prompt, in the order that every service takes.

The format allows what not every service does: several messages of a role in a row, which count as one; calls without
results at the end of a broken loop; an answer to go on with as the last message. Results without a call are refused, as
Anthropic's own API does: nobody could say what they belong to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.core.attached import attached
from app.core.convert import FILE_MADE
from app.core.errors import InvalidRequest, UnsupportedContent
from app.core.files import IMAGE_TYPES, PDF
from app.core.heal import Dialogue
from app.core.messages import FilePart, ProviderMetadata
from app.core.model import GO_ON, Content, Media, ModelMessage, Reasoning, Text, ToolCall, ToolResult
from app.core.tools import CANCELLED
from app.wire.anthropic_signatures import call_in, metadata_in, metadata_in_data

MAX_MESSAGES = 10_000

_FILES = IMAGE_TYPES | {PDF}
_SERVER_CALLS = frozenset({"server_tool_use", "mcp_tool_use"})
_ADDRESS = "Addresses are not fetched, and files that another service keeps cannot be had: send the content as base64."


@dataclass(frozen=True, slots=True)
class History:
    messages: tuple[ModelMessage, ...]
    system: tuple[str, ...] = ()
    """What messages of the role `system` say."""


@dataclass(frozen=True, slots=True)
class _Block:
    value: Mapping[str, Any]
    where: str


@dataclass(slots=True)
class _Turn:
    """Messages of one role in a row."""

    role: str
    blocks: list[_Block]


def read_history(raw: Sequence[Any]) -> History:
    """Raises InvalidRequest: `param` names the place, such as `messages[2].content[0]`."""
    system, turns = _turns(raw)
    dialogue = Dialogue()
    answer: list[Content] = []
    answered_at = ""
    for turn in turns:
        if turn.role == "assistant":
            answer = _answer_content(turn.blocks)
            answered_at = turn.blocks[0].where if turn.blocks else ""
            continue
        results, asked = _user_content(turn.blocks)
        if results and all(isinstance(item, Text) for item in asked):
            results, asked = _with_words(results, asked), []
        _add_answer(dialogue, answer, results, answered_at)
        answer = []
        if asked:
            dialogue.ask(asked, turn.blocks[0].where)
    _add_answer(dialogue, answer, {}, answered_at)
    if not dialogue.messages:
        raise InvalidRequest("`messages` says nothing. Send at least one message with content.", param="messages")
    if dialogue.messages[-1].role == "assistant":
        dialogue.ask((Text(GO_ON),), "")
    return History(tuple(dialogue.messages), tuple(system))


def _turns(raw: Sequence[Any]) -> tuple[list[str], list[_Turn]]:
    if len(raw) > MAX_MESSAGES:
        raise InvalidRequest(f"A request may have at most {MAX_MESSAGES:,} messages.", param="messages")
    system: list[str] = []
    turns: list[_Turn] = []
    for index, message in enumerate(raw):
        where = f"messages[{index}]"
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ("user", "assistant", "system"):
            raise InvalidRequest(f"{where}.role must be user or assistant.", param=f"{where}.role")
        blocks = list(_blocks(message.get("content"), f"{where}.content"))
        if role == "system":
            system += [text.text for block in blocks for text in _text(block)]
        elif turns and turns[-1].role == role:
            turns[-1].blocks += blocks
        else:
            turns.append(_Turn(role, blocks))
    return system, turns


def _blocks(content: Any, where: str) -> Iterator[_Block]:
    if isinstance(content, str):
        yield _Block({"type": "text", "text": content}, where)
        return
    if not isinstance(content, list):
        raise InvalidRequest(f"{where} must be a text or a list of blocks.", param=where)
    for index, block in enumerate(content):
        place = f"{where}[{index}]"
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise InvalidRequest(f"{place} must be an object with a `type`.", param=place)
        yield _Block(block, place)


def _add_answer(dialogue: Dialogue, answer: Sequence[Content], results: dict[str, ToolResult], where: str) -> None:
    """An answer, and the results of its calls in their order. A call that has none was cancelled."""
    calls = [item for item in answer if isinstance(item, ToolCall) and not item.provider_executed]
    given: list[Content] = []
    for call in calls:
        found = results.pop(call.id, None)
        given.append(
            ToolResult(call.id, call.name, CANCELLED, is_error=True)
            if found is None
            else ToolResult(call.id, call.name, found.output, found.is_error)
        )
    if results:
        place = next(iter(results.values())).name
        raise InvalidRequest(
            f"{place}.tool_use_id: the message before has no call with this id.", param=f"{place}.tool_use_id"
        )
    if any(not isinstance(item, Reasoning) for item in answer):
        dialogue.answer(answer, given, where)


def _answer_content(blocks: Sequence[_Block]) -> list[Content]:
    content: list[Content] = []
    kept: dict[str, ProviderMetadata] = {}
    for block in blocks:
        if block.value["type"] == "redacted_thinking" and (found := call_in(_string(block, "data"))) is not None:
            kept[found[0]] = found[1]
        else:
            content += _ANSWERS.get(block.value["type"], _answer_of_other_kind)(block)
    content = [
        replace(item, provider_metadata=kept[item.id]) if isinstance(item, ToolCall) and item.id in kept else item
        for item in content
    ]
    ids = [item.id for item in content if isinstance(item, ToolCall)]
    if len(set(ids)) < len(ids):
        raise InvalidRequest("Two calls in a row of answers have the same id.", param="messages")
    return content


def _user_content(blocks: Sequence[_Block]) -> tuple[dict[str, ToolResult], list[Content]]:
    """Results by the id of their call (`name` is their place), and everything else."""
    results: dict[str, ToolResult] = {}
    content: list[Content] = []
    for block in blocks:
        if block.value["type"] != "tool_result":
            content += _asked(block)
            continue
        result, files = _tool_result(block)
        if result.id in results:
            place = f"{block.where}.tool_use_id"
            raise InvalidRequest(f"{place}: a call can have one result.", param=place)
        results[result.id] = result
        if files:
            content += [Text(FILE_MADE), *files]
    return results, content


def _with_words(results: dict[str, ToolResult], said: Sequence[Content]) -> dict[str, ToolResult]:
    """Words behind results, as coding agents send them, go into the last one: not every service takes a user's message
    there, and an answer that nobody gave would stand between.
    """
    *before, last = results.values()
    words = [item.text for item in said if isinstance(item, Text)]
    return {item.id: item for item in (*before, replace(last, output="\n\n".join([last.text, *words])))}


def _asked(block: _Block) -> Sequence[Content]:
    """What a block of the user's says, and one inside a result."""
    match block.value:
        case {"type": "text"}:
            return _text(block)
        case {"type": "image", "source": dict(source)}:
            return [_file(source, block.where)]
        case {"type": "document", "source": dict(source)}:
            return _document(source, block)
        case {"type": "search_result"}:
            return _search_result(block)
        case {"type": "image" | "document"}:
            raise InvalidRequest(f"{block.where}.source is missing.", param=f"{block.where}.source")
        case _:
            pass
    raise UnsupportedContent(
        f"{block.where}: a block of this type cannot be translated for this preset.", param=f"{block.where}.type"
    )


def _text(block: _Block) -> Sequence[Text]:
    text = _string(block, "text")
    citations = block.value.get("citations")
    kept = {"anthropic": {"citations": citations}} if isinstance(citations, list) and citations else None
    return [Text(text, kept)] if text.strip() else ()


def _file(source: Mapping[str, Any], where: str, title: str | None = None) -> Text | Media:
    match source:
        case {"type": "base64", "media_type": str(media_type), "data": str(data)}:
            url = f"data:{media_type};base64,{data}"
            return attached(FilePart(media_type=media_type, url=url, filename=title), where, {}, _FILES)
        case {"type": "url" | "file"}:
            raise UnsupportedContent(_ADDRESS, param=f"{where}.source")
        case _:
            pass
    raise InvalidRequest(
        f"{where}.source must be of type base64, with `media_type` and `data`.", param=f"{where}.source"
    )


def _document(source: Mapping[str, Any], block: _Block) -> Sequence[Content]:
    said = {name: block.value.get(name) for name in ("title", "context")}
    if not all(isinstance(text, str | None) for text in said.values()):
        raise InvalidRequest(f"{block.where}: `title` and `context` must be texts.", param=block.where)
    context = [Text(said["context"])] if said["context"] else []
    match source:
        case {"type": "text", "data": str(text)}:
            return [*context, Text(_titled(text, said["title"]))]
        case {"type": "content", "content": content}:
            inside = [item for each in _blocks(content, f"{block.where}.source.content") for item in _asked(each)]
            return [*context, *([Text(said["title"])] if said["title"] else []), *inside]
        case _:
            return [*context, _file(source, block.where, said["title"])]


def _search_result(block: _Block) -> Sequence[Content]:
    title, source = _string(block, "title"), _string(block, "source")
    texts = [
        text.text for each in _blocks(block.value.get("content"), f"{block.where}.content") for text in _text(each)
    ]
    return [Text(_titled("\n".join(texts), f"{title} ({source})"))]


def _titled(text: str, title: str | None) -> str:
    return f"{title}\n\n{text}" if title else text


def _tool_result(block: _Block) -> tuple[ToolResult, Sequence[Content]]:
    """A result as text, and the files in it, which stand behind: not every service takes them inside."""
    call_id, is_error = _string(block, "tool_use_id"), block.value.get("is_error", False)
    if not isinstance(is_error, bool | None):
        raise InvalidRequest(f"{block.where}.is_error must be true or false.", param=f"{block.where}.is_error")
    content: list[Content] = []
    for each in _blocks(block.value.get("content") or "", f"{block.where}.content"):
        if each.value["type"] == "tool_reference":
            content.append(Text(json.dumps(each.value, ensure_ascii=False)))
        else:
            content += _asked(each)
    text = "\n".join(item.text for item in content if isinstance(item, Text))
    files = [item for item in content if isinstance(item, Media)]
    said = text or ("The result is a file." if files else "")
    return ToolResult(call_id, block.where, said, bool(is_error)), files


def _thinking(block: _Block) -> Sequence[Content]:
    text, signature = _string(block, "thinking"), block.value.get("signature")
    return [Reasoning(text, metadata_in(signature) if isinstance(signature, str) and signature else None)]


def _redacted(block: _Block) -> Sequence[Content]:
    return [Reasoning("", metadata_in_data(_string(block, "data")))]


def _call(block: _Block) -> Sequence[Content]:
    """What a call or a result of a service's own tool has besides goes back to Anthropic, and to no other."""
    ran = block.value["type"] in _SERVER_CALLS
    value = block.value.get("input", {})
    if not isinstance(value, dict):
        raise InvalidRequest(f"{block.where}.input must be an object.", param=f"{block.where}.input")
    kept = {
        name: item
        for name, item in block.value.items()
        if item is not None and name not in ("id", "input", "cache_control")
    }
    is_plain = kept.keys() == {"type", "name"} and not ran
    metadata = None if is_plain else {"anthropic": {"block": kept}}
    return [ToolCall(_string(block, "id"), _string(block, "name"), value, ran, metadata)]


def _server_result(block: _Block) -> Sequence[Content]:
    kept = {name: item for name, item in block.value.items() if name != "cache_control"}
    metadata = {"anthropic": {"block": kept}}
    call_id = _string(block, "tool_use_id")
    return [ToolResult(call_id, "", block.value.get("content"), False, True, metadata)]


def _answer_of_other_kind(block: _Block) -> Sequence[Content]:
    if block.value["type"].endswith("_tool_result"):
        return _server_result(block)
    return _asked(block)


_ANSWERS: Mapping[str, Callable[[_Block], Sequence[Content]]] = {
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _call,
    **dict.fromkeys(_SERVER_CALLS, _call),
}


def _string(block: _Block, name: str) -> str:
    value = block.value.get(name)
    if not isinstance(value, str) or (not value and name in ("id", "name", "tool_use_id")):
        raise InvalidRequest(f"{block.where}.{name} must be a text.", param=f"{block.where}.{name}")
    return value
