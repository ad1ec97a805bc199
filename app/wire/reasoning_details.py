"""What a model has thought, as `reasoning_details` of a chat completion's message: the form that OpenRouter made known.

Beside the text, which `reasoning_content` has too, they hold what a service wants back with the next request: a
signature, or the thinking in encrypted form. A client that keeps the message keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.core.errors import InvalidRequest
from app.core.gateway import CLIENT
from app.core.messages import ProviderMetadata
from app.core.model import Reasoning

_ANTHROPIC = "anthropic-claude-v1"
_OPENAI = "openai-responses-v1"

_MOST = 1_000


def to_details(reasoning: Reasoning, index: int = 0) -> list[dict[str, Any]]:
    """The details of one piece of thinking, counted from `index`; none where its service wants nothing back."""
    details: list[dict[str, Any]] = []
    for metadata in (reasoning.provider_metadata or {}).values():
        match metadata:
            case {"signature": str(signature)}:
                details = [_detail("text", _ANTHROPIC, text=reasoning.text, signature=signature)]
            case {"redactedData": str(data)}:
                details = [_detail("encrypted", _ANTHROPIC, data=data)]
            case {"itemId": str(item_id)}:
                details = _item(reasoning.text, item_id, metadata)
            case _:
                pass
    return [{**detail, "index": index + place} for place, detail in enumerate(details)]


def read_details(raw: Any, where: str) -> list[Reasoning]:
    """The thinking that a service gets back; what nobody could use is left out.

    Raises:
        InvalidRequest: it is no list of objects.
    """
    if raw is None:
        return []
    if not isinstance(raw, list) or len(raw) > _MOST or not all(isinstance(detail, dict) for detail in raw):
        raise InvalidRequest(f"{where} must be a list of at most {_MOST:,} objects.", param=where)
    return [thought for detail in raw if (thought := _read(detail)) is not None]


def _item(text: str, item_id: str, metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of OpenAI's Responses: parts of one item have its id, the last of them what is encrypted."""
    details: list[dict[str, Any]] = []
    if metadata.get("reasoningText"):
        details.append(_detail("text", _OPENAI, id=item_id, text=text))
    elif text:
        details.append(_detail("summary", _OPENAI, id=item_id, summary=text))
    if isinstance(encrypted := metadata.get("reasoningEncryptedContent"), str):
        details.append(_detail("encrypted", _OPENAI, id=item_id, data=encrypted))
    return details


def _detail(kind: str, source: str, **fields: str) -> dict[str, Any]:
    return {"type": f"reasoning.{kind}", "format": source, **fields}


def _read(detail: Mapping[str, Any]) -> Reasoning | None:
    def thought(text: str, name: str, **own: Any) -> Reasoning:
        metadata: ProviderMetadata = {name: own}
        return Reasoning(text, metadata)

    match detail:
        case {"type": "reasoning.text", "text": str(text), "signature": str(signature)}:
            return thought(text, "anthropic", signature=signature)
        case {"type": "reasoning.encrypted", "format": source, "data": str(data)} if source == _ANTHROPIC:
            return thought("", "anthropic", redactedData=data)
        case {"type": "reasoning.encrypted", "id": str(item_id), "data": str(data)}:
            return thought("", CLIENT, itemId=item_id, reasoningEncryptedContent=data)
        case {"type": "reasoning.summary", "id": str(item_id), "summary": str(text)}:
            return thought(text, CLIENT, itemId=item_id)
        case {"type": "reasoning.text", "id": str(item_id), "text": str(text)}:
            return thought(text, CLIENT, itemId=item_id, reasoningText=True)
        case _:
            return None
