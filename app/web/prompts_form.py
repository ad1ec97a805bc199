"""The form of a prompt template: what its fields say, and what comes of it when it is tried.

`name` of a new template, `title`, `description`, one `role` and `text` for each message, the `version` that was loaded,
and what the variables shall be: `v.topic`. `shown` are the variables that the page has fields for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from starlette.datastructures import FormData
from starlette.requests import Request

from app.core.errors import InvalidRequest
from app.core.messages import Role
from app.core.prompt_templates import PromptMessage, PromptTemplate, StoredTemplate
from app.core.template_language import Shown, Variable, show
from app.web.deps import State

_MAX_FIELDS = 1_200
_MAX_FIELD_BYTES = 1_000_000
_ROLES: Mapping[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}


@dataclass(frozen=True, slots=True)
class Draft:
    """What the form holds."""

    name: str = ""
    title: str = ""
    description: str = ""
    messages: Sequence[PromptMessage] = (PromptMessage("user", ""),)
    values: Mapping[str, str] = field(default_factory=dict)
    version: int = 0
    """The newest one when the form was loaded; 0 for a new template."""

    @property
    def template(self) -> PromptTemplate:
        """What it would be when it is saved. One message of the user is a text."""
        messages = tuple(self.messages)
        content = messages[0].text if len(messages) == 1 and messages[0].role == "user" else messages
        return PromptTemplate(self.name, content, self.title, self.description)

    @property
    def given(self) -> Mapping[str, str]:
        """The values of variables that the template has; raises InvalidTemplate."""
        names = {variable.name for variable in self.template.variables}
        return {name: value for name, value in self.values.items() if value and name in names}


@dataclass(frozen=True, slots=True)
class Trial:
    """A draft, filled in as far as its values go."""

    variables: Sequence[Variable] = ()
    shown: Sequence[Sequence[Shown]] = ()
    """Of every message."""
    problem: str = ""
    """What is wrong with the text."""

    @property
    def names(self) -> str:
        return " ".join(variable.name for variable in self.variables)


def try_draft(draft: Draft) -> Trial:
    try:
        return Trial(draft.template.variables, show(draft.template.texts, draft.given))
    except InvalidRequest as error:
        return Trial(problem=error.message)


def draft_of(stored: StoredTemplate, newest: int) -> Draft:
    template = stored.template
    content = template.content
    messages = (PromptMessage("user", content),) if isinstance(content, str) else content
    return Draft(template.name, template.title, template.description, messages, version=newest)


async def read_draft(request: Request[State], name: str | None = None) -> tuple[Draft, Mapping[str, str]]:
    """The form's draft, and its other fields; `name` is the one in the address."""
    async with request.form(max_fields=_MAX_FIELDS, max_files=0, max_part_size=_MAX_FIELD_BYTES) as form:
        fields = {key: _text(value) for key, value in form.items()}
        version = fields.get("version", "")
        draft = Draft(
            name=name or fields.get("name", "").strip(),
            title=fields.get("title", "").strip(),
            description=fields.get("description", "").strip(),
            messages=_messages(form) or Draft().messages,
            values={key.removeprefix("v."): value for key, value in fields.items() if key.startswith("v.")},
            version=int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0,
        )
        return draft, fields


def _messages(form: FormData) -> Sequence[PromptMessage]:
    """Those without a text are left out: that is how one is removed."""
    pairs = zip(form.getlist("role"), form.getlist("text"), strict=False)
    return [PromptMessage(_ROLES.get(_text(role), "user"), _text(text)) for role, text in pairs if _text(text).strip()]


def _text(value: object) -> str:
    return value.replace("\r\n", "\n") if isinstance(value, str) else ""
