"""Which history a turn is about: what the client sent, seen beside what is stored.

A full history is taken as the client has it, save that an answer which is to be continued is the stored one. A single
message goes behind the stored branch. Messages without ids (SDK 4, curl) are known by what they say.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from app.core.errors import InvalidRequest
from app.core.messages import FilePart, OtherPart, ToolPart, UIMessage
from app.core.model import TurnRequest


@dataclass(frozen=True, slots=True)
class History:
    messages: Sequence[UIMessage]
    """What the model shall see, ending with the message to answer or the answer to continue."""
    sent: UIMessage | None = None
    """The answer to continue as the client has it: the outputs of its tools stand there, and what the user approved."""
    is_stored: bool = False
    """The answer to continue is the stored one."""


def needs_stored(request: TurnRequest) -> bool:
    """Whether the stored branch has a say in the history."""
    if request.message_only or request.minted or request.trigger == "regenerate-message":
        return True
    return request.messages[-1].role == "assistant" or _named(request) is not None


def choose_history(request: TurnRequest, stored: Sequence[UIMessage]) -> History:
    """Raises InvalidRequest: nothing to answer."""
    if not request.message_only:
        history = _whole(request, stored)
    elif request.messages:
        history = _appended(stored, request)
    elif request.trigger == "regenerate-message":
        history = History(_regenerated(stored, request.message_id))
    else:
        history = _continued(stored, request.message_id, None)
    last = history.messages[-1]
    where = f"messages[{len(history.messages) - 1}]"
    if last.role == "system":
        raise InvalidRequest("The last message must come from the user.", param=f"{where}.role")
    if last.role == "user" and not _says_something(last):
        raise InvalidRequest("The last message is empty. Send some text or an image.", param=where)
    if all(message.role != "user" for message in history.messages):
        raise InvalidRequest("There is no message from a user to answer.", param="messages")
    return history


def _named(request: TurnRequest) -> int | None:
    """Where the answer stands that `messageId` asks to continue. The user may have typed on while it waited."""
    if request.trigger != "submit-message" or request.message_id is None:
        return None
    found = (i for i, message in enumerate(request.messages) if message.id == request.message_id)
    index = next(found, None)
    return index if index is not None and request.messages[index].role == "assistant" else None


def _says_something(message: UIMessage) -> bool:
    # A part that nobody knows says something too: `to_prompt` refuses it by name.
    return bool(message.text.strip()) or any(isinstance(part, FilePart | OtherPart) for part in message.parts)


def _regenerated(stored: Sequence[UIMessage], message_id: str | None) -> Sequence[UIMessage]:
    """The branch up to the question whose answer is wanted anew; without an id it is the last one."""
    if not stored:
        raise InvalidRequest("There is no answer to regenerate in this conversation.", param="messageId")
    index = len(stored) - 1
    if message_id is not None:
        index = next((i for i, message in enumerate(stored) if message.id == message_id), -1)
        if index < 0:
            raise InvalidRequest("This conversation has no message with that id.", param="messageId")
    history = stored[:index] if stored[index].role == "assistant" else stored[: index + 1]
    if not history:
        raise InvalidRequest("There is no message before this answer.", param="messageId")
    return history


def _appended(stored: Sequence[UIMessage], request: TurnRequest) -> History:
    """The branch with the one message that was sent: new, edited (same id), or an answer to continue."""
    sent = request.messages[-1]
    if sent.role == "assistant":
        if sent.id in request.minted and (known := _with_calls_of(sent, stored)) is not None:
            return _continued(stored, known.id, sent)
        return _continued(stored, sent.id, sent)
    known_at = next((i for i, message in enumerate(stored) if message.id == sent.id), None)
    return History((*(stored if known_at is None else stored[:known_at]), sent))


def _continued(stored: Sequence[UIMessage], message_id: str | None, sent: UIMessage | None) -> History:
    index = next((i for i, message in enumerate(stored) if message.id == message_id), None)
    if index is None or stored[index].role != "assistant":
        raise InvalidRequest("This conversation has no answer with that id to continue.", param="message.id")
    return History(stored[: index + 1], sent, is_stored=True)


def _whole(request: TurnRequest, stored: Sequence[UIMessage]) -> History:
    """The history as the client has it. An answer that is continued is ours, whatever the client says that it said."""
    sent = request.messages
    if (named := _named(request)) is not None:
        sent = sent[: named + 1]
    history = _recognised(sent, request.minted, stored) if request.minted else sent
    if history[-1].role != "assistant":
        return History(history)
    ours = next((message for message in stored if message.id == history[-1].id), None)
    if ours is None and sent[-1].id in request.minted:
        ours = _with_calls_of(sent[-1], stored)
    if ours is None:
        return History(history, sent[-1])
    return History((*history[:-1], ours), sent[-1], is_stored=True)


def _with_calls_of(sent: UIMessage, stored: Sequence[UIMessage]) -> UIMessage | None:
    """The stored answer that a message without an id is: the one with its tool calls."""
    calls = {part.tool_call_id for part in sent.parts if isinstance(part, ToolPart)}
    for message in reversed(stored):
        if message.role == "assistant" and any(
            isinstance(part, ToolPart) and part.tool_call_id in calls for part in message.parts
        ):
            return message
    return None


def _recognised(
    messages: Sequence[UIMessage], minted: Container[str], stored: Sequence[UIMessage]
) -> Sequence[UIMessage]:
    """A history without ids, its beginning replaced by the stored messages that say the same."""
    history = list(messages)
    for index, (sent, known) in enumerate(zip(history, stored, strict=False)):
        if sent.id not in minted or not _same(sent, known):
            break
        history[index] = known
    return history


def _same(sent: UIMessage, known: UIMessage) -> bool:
    """Another picture is another question; a picture that is not sent again is still meant."""
    return sent.role == known.role and sent.text == known.text and _files(sent) in ([], _files(known))


def _files(message: UIMessage) -> list[str]:
    return [part.url for part in message.parts if isinstance(part, FilePart)]
