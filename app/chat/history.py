"""Which history a turn is about: what the client sent, seen beside what is stored.

A full history is taken as the client has it, save that an answer which is to be continued is the stored one. A single
message goes behind the stored branch. Messages without ids (SDK 4, curl) are known by what they say.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.core.errors import InvalidRequest
from app.core.messages import FilePart, OtherPart, UIMessage
from app.core.model import TurnRequest


def needs_stored(request: TurnRequest) -> bool:
    """Whether the stored branch has a say in the history."""
    if request.message_only or request.minted or request.trigger == "regenerate-message":
        return True
    return request.messages[-1].role == "assistant"


def choose_history(request: TurnRequest, stored: Sequence[UIMessage]) -> Sequence[UIMessage]:
    """What the model shall see, ending with the message to answer or the answer to continue.

    Raises:
        InvalidRequest: nothing to answer.
    """
    if request.message_only:
        history = _regenerated(stored, request.message_id) if not request.messages else _appended(stored, request)
    else:
        history = _continued(_recognised(request, stored) if request.minted else request.messages, stored)
    last = history[-1]
    where = f"messages[{len(history) - 1}]"
    if last.role == "system":
        raise InvalidRequest("The last message must come from the user.", param=f"{where}.role")
    if last.role == "user" and not _says_something(last):
        raise InvalidRequest("The last message is empty. Send some text or an image.", param=where)
    if all(message.role != "user" for message in history):
        raise InvalidRequest("There is no message from a user to answer.", param="messages")
    return history


def _says_something(message: UIMessage) -> bool:
    # A part that nobody knows says something too: `to_model_messages` refuses it by name.
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


def _appended(stored: Sequence[UIMessage], request: TurnRequest) -> Sequence[UIMessage]:
    """The branch with the one message that was sent: new, edited (same id), or an answer to continue."""
    sent = request.messages[-1]
    known = next((i for i, message in enumerate(stored) if message.id == sent.id), None)
    if sent.role == "assistant":
        if known is None:
            raise InvalidRequest("This conversation has no answer with that id to continue.", param="message.id")
        return stored[: known + 1]
    return (*(stored if known is None else stored[:known]), sent)


def _continued(history: Sequence[UIMessage], stored: Sequence[UIMessage]) -> Sequence[UIMessage]:
    """An answer that is continued is ours, whatever the client says that it said."""
    last = history[-1]
    ours = next((message for message in stored if message.id == last.id), None)
    return history if last.role != "assistant" or ours is None else (*history[:-1], ours)


def _recognised(request: TurnRequest, stored: Sequence[UIMessage]) -> Sequence[UIMessage]:
    """A history without ids, its beginning replaced by the stored messages that say the same."""
    history = list(request.messages)
    for index, (sent, known) in enumerate(zip(history, stored, strict=False)):
        if sent.id not in request.minted or not _same(sent, known):
            break
        history[index] = known
    return history


def _same(sent: UIMessage, known: UIMessage) -> bool:
    """Another picture is another question; a picture that is not sent again is still meant."""
    return sent.role == known.role and sent.text == known.text and _files(sent) in ([], _files(known))


def _files(message: UIMessage) -> list[str]:
    return [part.url for part in message.parts if isinstance(part, FilePart)]
