"""The page's form: what its fields ask for.

`text` or `starter` with `message_id`, or with `edit`: the question to ask differently. Beside `text`, what is attached:
`file`, as often as there are files, each `/files/<id>?name=<what it is called>`, and `upload`, the files themselves,
from browsers without JavaScript. Or one of `regenerate`: the answer to make anew, empty for the one that the last
message never got; `continue`: the answer to go on with; `approve`, `deny` or `always`: the request for approval that is
answered; `branch`: the one to show. And `preset`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote_plus

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from app.core.errors import ApprovalRefused, InvalidRequest, UnsupportedContent
from app.core.files import file_id_in
from app.core.messages import FilePart, TextPart, ToolPart, UIMessage
from app.core.model import TurnRequest
from app.core.tools import ApprovalAnswer
from app.web.deps import Deps, State
from app.web.files_api import file_part, keep_file
from app.web.requests import deps_of

MAX_FILES = 20

_MAX_FIELDS = MAX_FILES + 20
_MAX_FIELD_BYTES = 12_000_000
"""A million characters as a browser spells them in a form. Of the whole body, the guard says how much it may be."""

_MESSAGE_ID = re.compile(r"[\w-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class TurnForm:
    fields: Mapping[str, str]
    files: tuple[FilePart, ...] = ()
    """What is attached, stored already."""
    refusal: str = ""
    """Why one of the files was not stored. The others, and the text, are still to be shown."""


async def read_form(request: Request[State]) -> TurnForm:
    deps = deps_of(request)
    limits = {"max_files": MAX_FILES, "max_fields": _MAX_FIELDS, "max_part_size": _MAX_FIELD_BYTES}
    async with request.form(**limits) as form:
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        if any("\0" in value for value in fields.values()):
            raise InvalidRequest("The form holds a NUL character, which cannot be stored.")
        fields["message_id"] = fields.get("message_id") or deps.new_id()
        if _MESSAGE_ID.fullmatch(fields["message_id"]) is None:
            raise InvalidRequest("`message_id` must be 1 to 64 letters, digits, `_` or `-`.", param="message_id")
        if len(fields.get("continue", "x")) not in range(1, 257):
            raise InvalidRequest("`continue` must be the id of an answer.", param="continue")
        files, refusal = await _attached(deps, form)
        return TurnForm(fields, files, refusal)


async def _attached(deps: Deps, form: FormData) -> tuple[tuple[FilePart, ...], str]:
    """The files, and why one of them is missing."""
    files: list[FilePart] = []
    refusals: list[str] = []
    for name, value in form.multi_items():
        try:
            if isinstance(value, UploadFile) and value.filename:
                files.append(await keep_file(deps, await value.read(), value.filename, "upload"))
            elif name == "file" and isinstance(value, str):
                files.append(await _stored_before(deps, value))
        except UnsupportedContent as error:
            called = f"{value.filename}: " if isinstance(value, UploadFile) else ""
            refusals.append(called + error.message)
    if len(files) > MAX_FILES:
        refusals.append(f"At most {MAX_FILES} files fit in one message.")
    return tuple(files[:MAX_FILES]), " ".join(refusals)


async def _stored_before(deps: Deps, address: str) -> FilePart:
    file_id = file_id_in(address)
    stored = await deps.files.find(file_id) if file_id is not None else None
    if file_id is None or stored is None:
        raise UnsupportedContent("The server does not have a file of this message any more. Attach it again.")
    return file_part(file_id, stored.media_type, unquote_plus(address.partition("?name=")[2]))


def turn_of(form: TurnForm, messages: Sequence[UIMessage]) -> tuple[TurnRequest, UIMessage | None]:
    """What the form asks for, and the question that it brings; `messages` are those of the conversation.

    Raises:
        InvalidRequest: it asks to edit a question that is not there.
        UnsupportedContent: a file could not be stored.
        ApprovalRefused: it answers a request for approval that is not there.
    """
    fields = form.fields
    if (answer_id := fields.get("regenerate")) is not None:
        turn = TurnRequest((), message_only=True, trigger="regenerate-message", message_id=answer_id or None)
        return _shown(turn), None
    if (answer_id := fields.get("continue")) is not None:
        return _shown(TurnRequest((_answer(answer_id),), message_only=True)), None
    if (approval := _approval(fields)) is not None:
        answer_id = _asked_in(messages, approval.approval_id)
        turn = TurnRequest((_answer(answer_id),), message_only=True, message_id=answer_id, approvals=(approval,))
        return _shown(turn), None
    if form.refusal:
        raise UnsupportedContent(form.refusal, param="file")
    question = _question(form, messages)
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


def _question(form: TurnForm, messages: Sequence[UIMessage]) -> UIMessage:
    """What the form says, in place of everything that an edited question said before."""
    fields = form.fields
    if (starter := fields.get("starter")) is not None:
        return UIMessage(id=fields["message_id"], role="user", parts=(TextPart(type="text", text=starter),))
    text = fields.get("text", "").replace("\r\n", "\n").strip("\n").rstrip()
    said = (TextPart(type="text", text=text),) if text or not form.files else ()
    if (edited_id := fields.get("edit")) is None:
        return UIMessage(id=fields["message_id"], role="user", parts=(*form.files, *said))
    edited = next((message for message in messages if message.id == edited_id and message.role == "user"), None)
    if edited is None:
        raise InvalidRequest("This conversation has no question with that id.", param="edit")
    foreign = (part for part in edited.parts if isinstance(part, FilePart) and file_id_in(part.url) is None)
    return UIMessage(id=edited.id, role="user", parts=(*foreign, *form.files, *said))


def _answer(message_id: str) -> UIMessage:
    return UIMessage(id=message_id, role="assistant", parts=())


def _shown(turn: TurnRequest) -> TurnRequest:
    """The page has a card for requests for approval."""
    return replace(turn, shows_approvals=True)
