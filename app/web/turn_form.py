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

from app.core.errors import ApprovalRefused, InvalidRequest
from app.core.messages import FilePart, TextPart, ToolPart, UIMessage
from app.core.model import TurnRequest
from app.core.tools import ApprovalAnswer
from app.web.deps import State
from app.web.requests import deps_of

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
    """What the form asks for, and the question that it brings; `messages` are those of the conversation.

    Raises:
        InvalidRequest: it asks to edit a question that is not there.
        ApprovalRefused: it answers a request for approval that is not there.
    """
    if (answer_id := fields.get("regenerate")) is not None:
        turn = TurnRequest((), message_only=True, trigger="regenerate-message", message_id=answer_id or None)
        return _shown(turn), None
    if (answer_id := fields.get("continue")) is not None:
        return _shown(TurnRequest((_answer(answer_id),), message_only=True)), None
    if (approval := _approval(fields)) is not None:
        answer_id = _asked_in(messages, approval.approval_id)
        turn = TurnRequest((_answer(answer_id),), message_only=True, message_id=answer_id, approvals=(approval,))
        return _shown(turn), None
    question = _question(fields, messages)
    return _shown(TurnRequest((question,), message_only=True)), question


def _approval(fields: Mapping[str, str]) -> ApprovalAnswer | None:
    for name in ("deny", "approve", "always"):  # whoever says both has not said yes
        if (approval_id := fields.get(name)) is not None:
            return ApprovalAnswer(approval_id, approved=name != "deny", always=name == "always")
    return None


def _asked_in(messages: Sequence[UIMessage], approval_id: str) -> str:
    """The id of the answer that a request for approval stands in: always the last message. Whether the request is one
    of ours, and open, the records know.
    """
    for part in messages[-1].parts if messages else ():
        if isinstance(part, ToolPart) and approval_id in (part.asks, part.approval and part.approval.id):
            return messages[-1].id
    raise ApprovalRefused("This request for approval is not open any more. Load the conversation again.")


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
