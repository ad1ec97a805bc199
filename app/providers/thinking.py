"""How much a model shall think, where a service takes an effort and was asked for tokens, or the other way round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

Effort: TypeAlias = Literal["low", "medium", "high"]

BUDGETS: Mapping[str, int] = {"low": 4096, "medium": 16384, "high": 32768}
"""Tokens."""


def nearest_effort(tokens: int, budgets: Mapping[str, int] = BUDGETS) -> Effort:
    """The least effort whose budget is no smaller; high for all that are bigger."""
    if tokens <= budgets["low"]:
        return "low"
    return "medium" if tokens <= budgets["medium"] else "high"
