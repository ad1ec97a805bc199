"""Prompt templates: texts with placeholders that people keep under a name, and the seam to where they are kept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

from app.core.errors import InvalidRequest, InvalidTemplate
from app.core.messages import Role
from app.core.template_language import MAX_TEMPLATE, Variable, fill, variables_in

MAX_TEMPLATES = 1_000
MAX_VERSIONS = 100
"""Of one template; the oldest go."""
MAX_MESSAGES = 50
MAX_TITLE = 200
MAX_DESCRIPTION = 2_000
RESERVED_NAMES = frozenset({"new", "import", "export", "examples", "preview", "use"})
"""Addresses of their own."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class PromptMessage:
    role: Role
    text: str


Content: TypeAlias = str | tuple[PromptMessage, ...]


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    name: str
    content: Content
    """A text that the user says, or the beginning of a conversation."""
    title: str = ""
    description: str = ""

    @property
    def texts(self) -> Sequence[str]:
        return [self.content] if isinstance(self.content, str) else [message.text for message in self.content]

    @property
    def variables(self) -> Sequence[Variable]:
        """Raises InvalidTemplate."""
        return variables_in(self.texts)

    def filled(self, variables: Mapping[str, Any]) -> Content:
        """Raises InvalidTemplate, InvalidVariables: see `template_language.fill`."""
        texts = fill(self.texts, variables)
        if isinstance(self.content, str):
            return texts[0]
        return tuple(replace(message, text=text) for message, text in zip(self.content, texts, strict=True))


@dataclass(frozen=True, slots=True)
class TemplateCall:
    """A template by name, with what its variables shall be."""

    name: str
    variables: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredTemplate:
    template: PromptTemplate
    version: int
    """1 for the first; the ETag."""
    saved_at: str
    """ISO 8601, UTC."""


class TemplateStore(Protocol):
    """Every method may raise StorageUnavailable."""

    async def all(self) -> Sequence[StoredTemplate]:
        """The newest version of each, by name."""
        ...

    async def load(self, name: str, version: int | None = None) -> StoredTemplate | None: ...

    async def versions(self, name: str) -> Sequence[StoredTemplate]:
        """Newest first; none for an unknown name."""
        ...

    async def save(self, template: PromptTemplate, *, if_version: int | None = None) -> StoredTemplate:
        """Make it the newest version; what says the same as that already changes nothing. `if_version` 0 means: must
        not exist yet.

        Raises:
            VersionConflict: `if_version` is not the newest version.
            InvalidRequest: there are too many templates.
        """
        ...

    async def delete(self, name: str, *, if_version: int | None = None) -> bool:
        """With all its versions. Raises VersionConflict as `save` does."""
        ...


def is_template_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None and text not in RESERVED_NAMES


def check_template(template: PromptTemplate) -> PromptTemplate:
    """The template as it may be kept.

    Raises:
        InvalidRequest, InvalidTemplate: with what to do; `param` names the field.
    """
    if not is_template_name(template.name):
        reserved = ", ".join(sorted(RESERVED_NAMES))
        raise InvalidRequest(
            "The name of a template has 1 to 64 small letters, digits, `-` and `_`, the first a letter or digit. "
            f"Taken are {reserved}.",
            param="name",
        )
    for field, text, most in (
        ("title", template.title, MAX_TITLE),
        ("description", template.description, MAX_DESCRIPTION),
    ):
        if len(text) > most or "\0" in text:
            raise InvalidRequest(f"`{field}` must be a text of at most {most:,} characters.", param=field)
    _check_content(template.content)
    if sum(map(len, template.texts)) > MAX_TEMPLATE:
        raise InvalidTemplate(f"The template is too long; {MAX_TEMPLATE:,} characters are the limit.", param="text")
    variables_in(template.texts)  # reads them all
    return template


def _check_content(content: Content) -> None:
    if isinstance(content, str):
        if not content.strip():
            raise InvalidTemplate("The template has no text. Write what it shall say.", param="text")
    elif not content or len(content) > MAX_MESSAGES or content[-1].role != "user":
        raise InvalidTemplate(
            f"`messages` must be 1 to {MAX_MESSAGES} messages, of which the last is the user's.", param="messages"
        )
    elif not all(message.text.strip() for message in content):
        raise InvalidTemplate("Every message of a template needs a text.", param="messages")
    texts = [content] if isinstance(content, str) else [message.text for message in content]
    if any("\0" in text for text in texts):
        raise InvalidTemplate("A template cannot hold a NUL character.", param="text")
