"""The body of a chat POST → `TurnRequest`: AI SDK 4 to 7, their prepared variants, and what people write by hand.

Accepted are a full history (`messages`), the last n of it, or one `message`; a message has `parts` (SDK 5 to 7), a
`content` string (SDK 4, hand-written), or a `content` list of `{"type": "text"}` and `{"type": "image"}`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from app.core.errors import InvalidRequest
from app.core.messages import ToolPart, UIMessage
from app.core.model import TurnRequest
from app.core.prompt_templates import TemplateCall
from app.core.values import OPTIONS, Values, parse_values
from app.wire.ai_sdk_v4 import from_v4
from app.wire.client_tools import read_client_tools
from app.wire.prompt_templates import read_call

MAX_MESSAGES = 5_000
MAX_PARTS = 1_000
MAX_ANSWER_PARTS = 5_000
"""Of a message that is the assistant's: the work of many steps."""
ROLES = ("user", "assistant", "system")

_MOST_OF_A_NAME = 80
"""Characters of a field's name in an error: some fields are named by the client."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    turn: TurnRequest
    is_v4: bool
    """The client is AI SDK 4: it understands nothing but the data stream."""
    template: TemplateCall | None = None
    """What the user says, in the place of a message."""


def parse_chat_request(
    body: Mapping[str, Any],
    *,
    preset: str | None,
    headers: Values,
    new_id: Callable[[], str],
    shows_approvals: bool = False,
) -> ChatRequest:
    """What the client wants. Fields of the app that we do not know are ignored.

    Args:
        body: decoded JSON.
        preset: `?preset=`.
        headers: the values that they set.
        new_id: for messages that come without one.
        shows_approvals: the app says that it knows requests for approval.

    Raises:
        InvalidRequest: `param` names the field, such as `messages[2].role`.
    """
    trigger = _trigger(body.get("trigger"))
    template = read_call(body)
    if template is not None and ("messages" in body or "message" in body):
        raise InvalidRequest(
            "`template` stands in the place of `message`. With a history of your own, have it filled in first by "
            "POST /api/ai/templates/{name}/render.",
            param="template",
        )
    has_one = "message" in body or template is not None or trigger == "regenerate-message"
    message_only = "messages" not in body and has_one
    raw = _raw_messages(body, message_only=message_only)
    messages, minted = read_messages(raw, "message" if message_only else "messages", new_id)
    if not messages and not message_only:
        raise InvalidRequest("`messages` is empty. Send at least one message.", param="messages")
    turn = TurnRequest(
        messages=messages,
        minted=minted,
        message_only=message_only,
        trigger=trigger,
        message_id=_optional_text(body, "messageId"),
        preset=preset,
        options=_options(body.get("options")),
        headers=headers,
        store=_store(body.get("store")),
        tools=read_client_tools(body.get("tools")),
        shows_approvals=shows_approvals or _has_answered(messages),
    )
    return ChatRequest(turn, is_v4=any(_is_v4(item) for item in raw), template=template)


def _has_answered(messages: Sequence[UIMessage]) -> bool:
    """An app that does not say its version gives it away: only AI SDK 6 and later answer requests for approval."""
    parts = (part for message in messages for part in message.parts)
    return any(isinstance(part, ToolPart) and part.state == "approval-responded" for part in parts)


def _raw_messages(body: Mapping[str, Any], *, message_only: bool) -> list[Any]:
    """A regeneration by id needs no message at all: the stored branch has the question."""
    if message_only:
        return [body["message"]] if "message" in body else []
    raw = body.get("messages")
    if not isinstance(raw, list):
        raise InvalidRequest("`messages` must be a list of messages.", param="messages")
    return raw


def read_messages(
    raw: list[Any], where: str, new_id: Callable[[], str]
) -> tuple[tuple[UIMessage, ...], frozenset[str]]:
    """UIMessages from any of the formats, and the ids that were minted because the client sent none."""
    if len(raw) > MAX_MESSAGES:
        raise InvalidRequest(f"A conversation may have at most {MAX_MESSAGES} messages.", param=where)
    values: list[dict[str, Any]] = []
    minted: set[str] = set()
    for index, item in enumerate(raw):
        path = f"{where}[{index}]" if where == "messages" else where
        if not isinstance(item, dict):
            raise InvalidRequest(f"{path} must be an object with `role` and `parts`.", param=path)
        if item.get("role") == "data":  # SDK 4's app data: never for the model, not part of the conversation
            continue
        value = _read_message(item, path)
        most = MAX_ANSWER_PARTS if item["role"] == "assistant" else MAX_PARTS
        if len(value["parts"]) > most:
            raise InvalidRequest(f"This message may have at most {most:,} parts.", param=f"{path}.parts")
        if "id" not in value:
            value["id"] = new_id()
            minted.add(value["id"])
        values.append(value)
    return _validated(values, where), frozenset(minted)


def _read_message(item: dict[str, Any], path: str) -> dict[str, Any]:
    if item.get("role") not in ROLES:
        raise InvalidRequest(f"{path}.role must be one of {', '.join(ROLES)}.", param=f"{path}.role")
    if item.get("id", "") is None:
        item = {key: value for key, value in item.items() if key != "id"}
    content, parts = item.get("content"), item.get("parts")
    if isinstance(content, str):
        return from_v4(item, path)
    if isinstance(content, list) and parts is None:
        rest = {key: value for key, value in item.items() if key != "content"}
        return {**rest, "parts": [_content_part(part, f"{path}.content[{i}]") for i, part in enumerate(content)]}
    if not isinstance(parts, list):
        raise InvalidRequest(f"{path} must have `parts`, or `content` as a string or a list.", param=f"{path}.parts")
    return dict(item)


def _content_part(part: Any, path: str) -> dict[str, Any]:
    """A part of a hand-written `content` list, in the spellings of OpenAI, Anthropic and the AI SDK's prompts."""
    match part:
        case {"type": "text", "text": str(text)}:
            return {"type": "text", "text": text}
        case {"type": "image_url", "image_url": {"url": str(url)}} | {"type": "image", "url": str(url)}:
            return _file(url, part)
        case {"type": "image", "source": {"type": "base64", "media_type": str(media_type), "data": str(data)}}:
            return {"type": "file", "mediaType": media_type, "url": f"data:{media_type};base64,{data}"}
        case {"type": "image", "image": str(data)} | {"type": "image", "data": str(data)}:
            return _file(data, part)
        case {"type": "file", "url": str(url)}:
            return _file(url, part)
        case _:
            pass
    raise InvalidRequest(
        f'{path} must be {{"type": "text", "text": …}} or {{"type": "image", "url": "data:…"}}.', param=path
    )


def _file(url_or_data: str, part: Mapping[str, Any]) -> dict[str, Any]:
    media_type = next(
        (part[key] for key in ("mediaType", "mimeType", "media_type") if isinstance(part.get(key), str)), None
    )
    if url_or_data.startswith("data:"):
        return {"type": "file", "mediaType": media_type or url_or_data[5:].split(";", 1)[0], "url": url_or_data}
    if ":" in url_or_data:  # an address: refused where it would be read, with the reason
        return {"type": "file", "mediaType": media_type or "", "url": url_or_data}
    media_type = media_type or "image/png"
    return {"type": "file", "mediaType": media_type, "url": f"data:{media_type};base64,{url_or_data}"}


def _validated(values: list[dict[str, Any]], where: str) -> tuple[UIMessage, ...]:
    """One by one, because pydantic lets no other thread do anything while it works."""
    messages: list[UIMessage] = []
    try:
        for value in values:
            messages.append(UIMessage.model_validate(value))  # noqa: PERF401 - how many there are says which is wrong
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        path = f"messages[{len(messages)}]" if where == "messages" else where
        rest = first["loc"]
        # pydantic names the union's tag between a part's index and its field; people do not know it
        fields = [step for i, step in enumerate(rest) if not (i == 2 and rest[0] == "parts")]
        path += "".join(f"[{step}]" if isinstance(step, int) else f".{step[:_MOST_OF_A_NAME]}" for step in fields)
        raise InvalidRequest(f"{path}: {_SENTENCES.get(first['type'], first['msg'])}.", param=path) from None
    return tuple(messages)


_SENTENCES = {
    "missing": "is missing",
    "string_type": "must be a string",
    "string_pattern_mismatch": "is not a type of part",
    "model_type": "must be an object with a `type`",
    "model_attributes_type": "must be an object with a `type`",
}
"""pydantic's own words name Python types."""


def _is_v4(item: Any) -> bool:
    """SDK 5 and later never send `content`; 4 always sends it, and its `parts` beside it."""
    return isinstance(item, dict) and isinstance(item.get("content"), str) and isinstance(item.get("parts"), list)


def _trigger(value: Any) -> Any:
    if value is None:
        return "submit-message"
    if value not in ("submit-message", "regenerate-message"):
        raise InvalidRequest("`trigger` must be submit-message or regenerate-message.", param="trigger")
    return value


def _optional_text(body: Mapping[str, Any], key: str) -> str | None:
    value = body.get(key)
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"`{key}` must be a string.", param=key)
    return value


def _options(value: Any) -> Values:
    if value is None:
        return Values()
    if not isinstance(value, dict):
        raise InvalidRequest("`options` must be an object.", param="options")
    return parse_values(value, OPTIONS, where="options")


def _store(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return value is not False
    raise InvalidRequest("`store` must be true or false.", param="store")
