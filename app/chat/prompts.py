"""Prompt templates in use: filled in, as what the user says or as a preset's system prompt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from app.chat.presets import Resolved
from app.core.conversations import ConversationStore
from app.core.errors import InvalidTemplate, InvalidVariables, NotFound
from app.core.messages import TextPart, UIMessage
from app.core.model import TurnRequest
from app.core.prompt_templates import Content, StoredTemplate, TemplateCall, TemplateStore


class Prompts:
    def __init__(self, store: TemplateStore, conversations: ConversationStore, new_id: Callable[[], str]) -> None:
        self.store = store
        self._conversations = conversations
        self._new_id = new_id

    async def find(self, name: str, version: int | None = None) -> StoredTemplate:
        """Raises NotFound."""
        stored = await self.store.load(name, version)
        if stored is None:
            raise NotFound("There is no such template." if version is None else "The template has no such version.")
        return stored

    async def turn(self, block_id: str, request: TurnRequest, call: TemplateCall) -> TurnRequest:
        """The turn in which the user says what the template says. Of a template with several messages, all stand
        behind what is stored.

        Raises:
            InvalidTemplate, InvalidVariables: no such template, or the variables do not fit it.
        """
        stored = await self.store.load(call.name)
        if stored is None:
            raise InvalidTemplate("There is no template of this name. List them with GET /api/ai/templates.")
        said = self.messages(stored.template.filled(call.variables))
        request = replace(request, template=call.name)
        minted = frozenset(message.id for message in said)
        if len(said) == 1:
            return replace(request, messages=said, minted=minted, message_only=True)
        conversation = await self._conversations.load(block_id)
        before = conversation.messages if conversation is not None else ()
        return replace(request, messages=(*before, *said), minted=minted, message_only=False)

    def messages(self, content: Content) -> tuple[UIMessage, ...]:
        """What a filled template says, as messages of a conversation."""
        if isinstance(content, str):
            return (UIMessage(id=self._new_id(), role="user", parts=(TextPart(type="text", text=content),)),)
        return tuple(
            UIMessage(id=self._new_id(), role=message.role, parts=(TextPart(type="text", text=message.text),))
            for message in content
        )

    async def with_system(self, resolved: Resolved) -> Resolved:
        """With the system prompt that the preset takes from a template, where that one has the say.

        Raises:
            InvalidTemplate: the preset's template is not there, or not what a system prompt can be.
        """
        if resolved.candidates:
            candidates = tuple([await self.with_system(candidate) for candidate in resolved.candidates])
            return replace(resolved, candidates=candidates, system_template=None)
        call = resolved.system_template
        if call is None:
            return resolved
        where = f"The preset {resolved.preset.name} takes its system prompt from the template {call.name}"
        stored = await self.store.load(call.name)
        if stored is None:
            raise InvalidTemplate(f"{where}, which does not exist. Create it, or change the preset.")
        try:
            text = stored.template.filled(call.variables)
        except InvalidVariables as error:
            raise InvalidTemplate(f"{where}, and their variables do not fit. {error.message}") from None
        if not isinstance(text, str):
            raise InvalidTemplate(f"{where}, which has several messages. It must be one text.")
        return replace(resolved, values=resolved.values.model_copy(update={"system": text}), system_template=None)
