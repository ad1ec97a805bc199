"""The page's form: what its fields ask for.

`text` or `starter` with `message_id`, or with `edit`: the question to ask differently. Or one of `regenerate`: the
answer to make anew, empty for the one that the last message never got; `continue`: the answer to go on with; `approve`,
`deny` or `always`: the request for approval that is answered; `branch`: the one to show. And `preset`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from starlette.requests import Request

from app.core.errors import InvalidRequest
from app.core.messages import FilePart, TextPart, ToolPart, UIMessage
from app.core.model import TurnRequest
from app.core.tools import ApprovalAnswer
from app.web.deps import State
from app.web.requests import deps_of

NEED_MESSAGES = frozenset({"edit", "approve", "deny", "always"})
"""The fields that `turn_of` needs the conversation's messages for."""

_MESSAGE_ID = re.compile(r"[\w-]{1,64}", re.ASCII)


async def read_fields(request: Request[State]) -> Mapping[str, str]:
    async with request.form(max_files=0, max_fields=20) as form:
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
    if any("\0" in value for value in fields.values()):
        raise InvalidRequest("The form holds a NUL character, which cannot be stored.")
    fields["message_id"] = fields.get("message_id") or deps_of(request).new_id()
    if _MESSAGE_ID.fullmatch(fields["message_id"]) is None:
        raise InvalidRequest("`message_id` must be 1 to 64 letters, digits, `_` or `-`.", param="message_id")
    if len(fields.get("continue", "x")) not in range(1, 257):
        raise InvalidRequest("`continue` must be the id of an answer.", param="continue")
    return fields


def turn_of(fields: Mapping[str, str], messages: Sequence[UIMessage]) -> tuple[TurnRequest, UIMessage | None]:
    """What the form asks for, and the question that it brings; `messages` are those of the conversation."""
    if (answer_id := fields.get("regenerate")) is not None:
        turn = TurnRequest((), message_only=True, trigger="regenerate-message", message_id=answer_id or None)
        return _shown(turn), None
    if (answer_id := fields.get("continue")) is not None:
        return _shown(TurnRequest((_answer(answer_id),), message_only=True)), None
    if (approval := approval_of(fields)) is not None:
        message, _ = asked_for(messages, approval.approval_id)
        turn = TurnRequest((_answer(message.id),), message_only=True, message_id=message.id, approvals=(approval,))
        return _shown(turn), None
    question = _question(fields, messages)
    return _shown(TurnRequest((question,), message_only=True)), question


def approval_of(fields: Mapping[str, str]) -> ApprovalAnswer | None:
    for name, approved in (("approve", True), ("always", True), ("deny", False)):
        if (approval_id := fields.get(name)) is not None:
            return ApprovalAnswer(approval_id, approved)
    return None


def asked_for(messages: Sequence[UIMessage], approval_id: str) -> tuple[UIMessage, ToolPart]:
    """The call that a request for approval is about, and the message it stands in.

    Raises:
        InvalidRequest: there is no such request.
    """
    for message in messages:
        for part in message.parts:
            if isinstance(part, ToolPart) and part.approval is not None and part.approval.id == approval_id:
                return message, part
    raise InvalidRequest("This conversation has no request for approval with that id.", param="approve")


def _question(fields: Mapping[str, str], messages: Sequence[UIMessage]) -> UIMessage:
    text = (fields.get("starter") or fields.get("text", "")).replace("\r\n", "\n").strip("\n").rstrip()
    said = TextPart(type="text", text=text)
    if (edited_id := fields.get("edit")) is None:
        return UIMessage(id=fields["message_id"], role="user", parts=(said,))
    edited = next((message for message in messages if message.id == edited_id and message.role == "user"), None)
    if edited is None:
        raise InvalidRequest("This conversation has no question with that id.", param="edit")
    files = [part for part in edited.parts if isinstance(part, FilePart)]
    return UIMessage(id=edited.id, role="user", parts=(*files, said))


def _answer(message_id: str) -> UIMessage:
    return UIMessage(id=message_id, role="assistant", parts=())


def _shown(turn: TurnRequest) -> TurnRequest:
    """The page has a card for requests for approval."""
    return replace(turn, shows_approvals=True)
