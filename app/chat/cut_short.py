"""What a model call has used that ended before its service said so: an estimate, of what was told until then.

Otherwise whoever leaves in time would have answers for nothing, whatever the limit of the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.chat.routing_rules import wanted_by
from app.core.events import ModelEvent, ReasoningDelta, TextDelta, ToolInputDelta, Usage, Verbatim
from app.core.model import ModelRequest
from app.core.routing import NO_OCCASION, estimated_tokens

_FRAME = 120
"""Bytes of a relayed event around the text in it."""


class Told:
    """The part of an answer that has been told."""

    def __init__(self, request: ModelRequest) -> None:
        self._request = request
        self._characters = 0
        self._prompt: Usage | None = None
        self._begun = False

    def add(self, batch: Sequence[ModelEvent]) -> None:
        for event in batch:
            match event:
                case TextDelta(_, delta) | ReasoningDelta(_, delta) | ToolInputDelta(_, delta):
                    self._begun = True
                    self._characters += len(delta)
                case Verbatim(_, Usage() as prompt):
                    self._begun, self._prompt = True, prompt
                case Verbatim(data):
                    self._begun = True
                    self._characters += max(0, len(data) - _FRAME)
                case _:
                    pass

    def usage(self) -> Usage | None:
        """None where nothing has been told."""
        if not self._begun:
            return None
        prompt = self._prompt or Usage(wanted_by(self._request, NO_OCCASION).tokens, 0)
        return replace(prompt, output_tokens=estimated_tokens(self._characters))
