"""Prompt templates as JSON: for programs, and as files that hold one or many.

{"palaver": 1, "templates": [{"name": "greeting", "title": "…", "description": "…", "text": "Hello {{ name }}"},
                             {"name": "interview", "messages": [{"role": "system", "text": "…"}, …]}]}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.errors import InvalidRequest, InvalidTemplate
from app.core.prompt_templates import (
    MAX_TEMPLATES,
    Content,
    PromptMessage,
    PromptTemplate,
    StoredTemplate,
    TemplateCall,
    check_template,
    is_template_name,
)
from app.core.template_language import Variable

FORMAT = 1
"""Of the file. It goes up when an older Palaver could not read it any more."""

_ROLES = ("system", "user", "assistant")
_KEYS = ("name", "title", "description", "text", "messages")
_ANSWERED = ("variables", "version", "savedAt")
"""Also in what we answer, and without a meaning in what is sent: what was loaded can be sent back."""


@dataclass(frozen=True, slots=True)
class ReadFile:
    templates: Sequence[tuple[int, PromptTemplate]]
    skipped: Sequence[tuple[int, str]]
    """Place in the list, and why."""


def read_template(value: Mapping[str, Any], name: str | None = None) -> PromptTemplate:
    """A template out of a body or a file.

    Args:
        value: decoded JSON.
        name: the one in the address; without one it stands in the value.

    Raises:
        InvalidRequest, InvalidTemplate: `param` names the field.
    """
    unknown = [key for key in value if key not in (*_KEYS, *_ANSWERED)]
    if unknown:
        raise InvalidRequest(f"A template has only these fields: {', '.join(_KEYS)}.", param=unknown[0][:80])
    if name is not None and value.get("name", name) != name:
        raise InvalidRequest("`name` is not the one in the address. Leave it out.", param="name")
    if ("text" in value) == ("messages" in value):
        raise InvalidTemplate("A template has either `text` or `messages`.", param="text")
    content = _messages(value["messages"]) if "messages" in value else _string(value, "text")
    template = PromptTemplate(
        name=_string(value, "name") if name is None else name,
        content=content,
        title=_string(value, "title", ""),
        description=_string(value, "description", ""),
    )
    return check_template(template)


def read_file(value: Any) -> ReadFile:
    """The templates of a file; those that are wrong are skipped.

    Raises:
        InvalidRequest: it is no such file.
    """
    items = value.get("templates") if isinstance(value, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise InvalidRequest(
            'This is no file with templates: it must be {"palaver": 1, "templates": […]}.', param="templates"
        )
    if value.get("palaver") != FORMAT:
        raise InvalidRequest("`palaver` must be 1: a newer Palaver may have written this file.", param="palaver")
    if len(items) > MAX_TEMPLATES:
        raise InvalidRequest(f"A file may hold at most {MAX_TEMPLATES:,} templates.", param="templates")
    templates: list[tuple[int, PromptTemplate]] = []
    skipped: list[tuple[int, str]] = []
    for index, item in enumerate(items):
        try:
            templates.append((index, read_template(item)))
        except InvalidRequest as error:
            skipped.append((index, error.message))
    return ReadFile(templates, skipped)


def write_file(templates: Iterable[PromptTemplate]) -> bytes:
    """A file that `read_file` reads again, for people to read too."""
    value = {"palaver": FORMAT, "templates": [_said(template) for template in templates]}
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()


def to_wire(stored: StoredTemplate) -> dict[str, Any]:
    """All that is known of a template."""
    return {**_said(stored.template), **_about(stored)}


def to_listed(stored: StoredTemplate) -> dict[str, Any]:
    """Without what it says."""
    said = _said(stored.template)
    return {key: said[key] for key in ("name", "title", "description") if key in said} | _about(stored)


def to_filled(content: Content) -> dict[str, Any]:
    """A template with its variables filled in."""
    if isinstance(content, str):
        return {"text": content}
    return {"messages": [_message(message) for message in content]}


def read_call(body: Mapping[str, Any]) -> TemplateCall | None:
    """The template that a request asks for by `template` and `variables`, if it does.

    Raises:
        InvalidRequest, InvalidTemplate: either is not what it must be.
    """
    if "template" not in body:
        return None
    name = body["template"]
    if not isinstance(name, str) or not is_template_name(name):
        raise InvalidTemplate("`template` must be the name of a prompt template.", param="template")
    return TemplateCall(name, read_variables(body))


def read_variables(body: Mapping[str, Any]) -> Mapping[str, Any]:
    variables = body.get("variables", {})
    if not isinstance(variables, dict):
        raise InvalidRequest("`variables` must be an object of names and values.", param="variables")
    return variables


def _said(template: PromptTemplate) -> dict[str, Any]:
    optional = {"title": template.title, "description": template.description}
    return {
        "name": template.name,
        **{key: text for key, text in optional.items() if text},
        **to_filled(template.content),
    }


def _about(stored: StoredTemplate) -> dict[str, Any]:
    variables = [_variable(variable) for variable in stored.template.variables]
    return {"variables": variables, "version": stored.version, "savedAt": stored.saved_at}


def _variable(variable: Variable) -> dict[str, Any]:
    value: dict[str, Any] = {"name": variable.name, "required": variable.required}
    return value if variable.default is None else {**value, "default": variable.default}


def _message(message: PromptMessage) -> dict[str, str]:
    return {"role": message.role, "text": message.text}


def _messages(value: Any) -> tuple[PromptMessage, ...]:
    items = value if isinstance(value, list) else []
    for item in items:
        right = isinstance(item, dict) and item.keys() == {"role", "text"} and item["role"] in _ROLES
        if not right or not isinstance(item["text"], str):
            items = []
            break
    if not items:
        roles = ", ".join(_ROLES)
        raise InvalidTemplate(
            f'`messages` must be a list of {{"role", "text"}}; a role is one of {roles}.', param="messages"
        )
    return tuple(PromptMessage(item["role"], item["text"]) for item in items)


def _string(value: Mapping[str, Any], field: str, default: str | None = None) -> str:
    found = value.get(field, default)
    if not isinstance(found, str):
        raise InvalidRequest(f"`{field}` must be a text.", param=field)
    return found
