"""When a POST is the same one sent again: clients repeat one that seems lost, and nothing may happen twice."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from app.chat.presets import Resolved
from app.core.messages import ToolPart, UIMessage
from app.core.model import TurnRequest


def question_key(request: TurnRequest, history: Sequence[UIMessage], resolved: Resolved) -> str | None:
    """The same for the same question sent again. None where nobody can tell: a regeneration, or ids of our making."""
    last = history[-1]
    if request.trigger != "submit-message" or last.role != "user" or last.id in request.minted:
        return None
    if request.minted:  # known by what it says: the same words may well be another request
        return None
    asked = (
        [message.id for message in history],
        last.to_wire(),
        resolved.preset.name,
        resolved.values.said(),
        request.store,
    )
    return _digest(asked)


def continuation_key(request: TurnRequest) -> tuple[str | None, bool]:
    """The same for the same outputs of a client's tools, or answers to requests for approval, sent again; None where
    the request has neither. And whether it holds such answers: those count once, so that only the running turn is
    the same.
    """
    last = request.messages[-1] if request.messages else None
    parts = [part for part in last.parts if isinstance(part, ToolPart)] if last is not None else []
    approves = bool(request.approvals) or any(part.state == "approval-responded" for part in parts)
    brings = approves or any(part.state in ("output-available", "output-error") for part in parts)
    if not brings or request.trigger != "submit-message" or (last is not None and last.role != "assistant"):
        return None, False
    asked = (
        [message.id for message in request.messages if message.id not in request.minted],
        [part.to_wire() for part in parts],
        request.approvals,
        request.message_id,
        request.preset,
        request.options.said(),
        request.headers.said(),
        request.store,
    )
    return _digest(asked), approves


def _digest(asked: Any) -> str:
    return sha256(repr(asked).encode("utf-8", "surrogatepass")).hexdigest()
