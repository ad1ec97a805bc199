"""What is known of the model services behind the presets, and the seam through which the page asks."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from app.core.model import Preset

Ability: TypeAlias = Literal["images", "PDFs", "audio", "tools", "thinking"]


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model, as far as its service tells what it is."""

    name: str
    context_tokens: int | None = None
    abilities: tuple[Ability, ...] = ()
    """What the service says that it can do. Empty: it says nothing."""


@dataclass(frozen=True, slots=True)
class Check:
    """Whether a preset could answer now."""

    ok: bool
    sentence: str
    """For people; never a key."""
    models: tuple[ListedModel, ...] = ()


def check_of_router(checks: Mapping[str, Check]) -> Check:
    """From the checks of its candidates, by name: one that can answer is enough."""
    well = ", ".join(name for name, check in checks.items() if check.ok)
    ill = ", ".join(name for name, check in checks.items() if not check.ok)
    if not well:
        return Check(False, f"None of its candidates can answer: {ill}.")
    return Check(True, f"These can answer: {well}. These cannot: {ill}." if ill else f"All can answer: {well}.")


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """What can be said of a preset's service without asking it."""

    title: str
    host: str
    """Host and port of its address; empty for the built-in demo and routers."""
    key_name: str | None
    """The variable that its key comes from, or could come from; None where it needs none."""
    key: Literal["present", "missing", "optional", "none"]
    """`optional`: there is none, and it goes without."""

    is_demo: bool = False
    """The built-in one."""


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A model server on this machine that answers."""

    provider: str
    """Its row of the catalog."""
    base_url: str
    model: str | None
    """A model that it has."""


class Services(Protocol):
    """Asks model services how they are. What it was told holds for a few seconds: asking costs them something."""

    def facts(self, preset: Preset) -> ServiceFacts: ...

    def takes(self, preset: Preset) -> Container[str]:
        """The media types that may stand in a prompt, beside text, as far as the service decides it."""
        ...

    async def check(self, preset: Preset, model: str | None = None) -> Check:
        """`model`: the one to look for, instead of the preset's own."""
        ...

    async def local_server(self) -> LocalServer | None:
        """The best one that answers now."""
        ...
