"""What OpenAI's models take, as far as their names tell. Facts of November 2026.

Names of other makers tell nothing, and neither does Azure's name for a deployment: whoever asks such a model sends what
it has, and the service says what it refuses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Abilities:
    reasons: bool | None = None
    """None: the name does not say."""
    least_effort: str | None = None
    """What comes nearest to not thinking; None: the name does not say, or it never thinks."""
    sampling: bool = True
    """Takes `temperature` and `top_p` at its least effort; at any other effort no model that reasons does."""


_PREFIX = re.compile(r"^(?:ft:|openai/)")
_CHATS = Abilities(reasons=False)
_FAMILIES: tuple[tuple[re.Pattern[str], Abilities], ...] = (
    (re.compile(r"gpt-[34]|chatgpt-|gpt-5-chat"), _CHATS),
    (re.compile(r"o\d+(?:-|$)"), Abilities(reasons=True, least_effort="low", sampling=False)),
    (re.compile(r"gpt-5(?:-|$)"), Abilities(reasons=True, least_effort="minimal", sampling=False)),
    (re.compile(r"gpt-5\.\d|gpt-6\.1-terra|gpt-6-(?:luna|sol)"), Abilities(reasons=True, least_effort="none")),
    (re.compile(r"gpt-[6-9]"), Abilities(reasons=True, least_effort="low", sampling=False)),
)
_UNKNOWN = Abilities()


def abilities(model: str) -> Abilities:
    name = _PREFIX.sub("", model)
    return next((known for names, known in _FAMILIES if names.match(name)), _UNKNOWN)
