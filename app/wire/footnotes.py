"""Footnotes in Markdown: `[^1]` in the text, `[^1]: …` where the note stands.

A note is shown where it is written, so that a text that arrives in pieces shows it once and leaves it there. Numbers
follow the order in which the notes are named.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from mdit_py_plugins.footnote.index import footnote_def

_REFERENCE = re.compile(r"\[\^([^\s\]\[]{1,60})\]")

Environment = MutableMapping[str, Any]
"""markdown-it's, which lives as long as a text. Ours in it: `prefix` of ids (no ids without), `growing` where notes may
still come, `notes` label → number, `marked` labels whose first mark has its id, `guessed` labels that were taken for
notes before one came, `missed` those that were not.
"""


def footnotes(parser: MarkdownIt) -> None:
    """A plugin for markdown-it."""
    parser.block.ruler.before("reference", "footnote_def", footnote_def, {"alt": ["paragraph", "reference"]})
    parser.inline.ruler.after("image", "footnote_ref", _reference)
    parser.add_render_rule("footnote_ref", _render_reference)
    parser.add_render_rule("footnote_reference_open", _render_open)
    parser.add_render_rule("footnote_reference_close", _render_close)


def was_wrong(environment: Environment) -> bool:
    """Whether something of a text that came in pieces was taken for a note and is none, or the other way around."""
    defined = _defined(environment)
    return any(f":{label}" not in defined for label in environment.get("guessed", ())) or any(
        f":{label}" in defined for label in environment.get("missed", ())
    )


def _defined(environment: Environment) -> Any:
    return environment.get("footnotes", {}).get("refs", ())


def _reference(state: StateInline, silent: bool) -> bool:
    if not state.src.startswith("[^", state.pos) or (found := _REFERENCE.match(state.src, state.pos)) is None:
        return False
    label = found[1]
    if f":{label}" not in _defined(state.env):
        if not state.env.get("growing"):
            return False
        is_guessed = label.isdigit()
        state.env.setdefault("guessed" if is_guessed else "missed", set()).add(label)
        if not is_guessed:
            return False
    if not silent:
        state.push("footnote_ref", "", 0).meta = {"label": label}
    state.pos = found.end()
    return True


def _number(environment: Environment, label: str) -> int:
    notes: dict[str, int] = environment.setdefault("notes", {})
    return notes.setdefault(label, len(notes) + 1)


def _render_reference(
    _renderer: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, environment: Environment
) -> str:
    label = tokens[index].meta["label"]
    number, prefix = _number(environment, label), environment.get("prefix")
    if not prefix:
        return f"<sup>{number}</sup>"
    marked: set[str] = environment.setdefault("marked", set())
    own_id = "" if label in marked else f' id="{prefix}-mark-{number}"'
    marked.add(label)
    return f'<sup><a href="#{prefix}-note-{number}"{own_id}>{number}</a></sup>'


def _render_open(
    _renderer: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, environment: Environment
) -> str:
    number, prefix = _number(environment, tokens[index].meta["label"]), environment.get("prefix")
    own_id = f' id="{prefix}-note-{number}"' if prefix else ""
    return f'<ol class="footnotes" start="{number}"><li{own_id}>'


def _render_close(
    _renderer: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, environment: Environment
) -> str:
    prefix = environment.get("prefix")
    begin = next(
        token
        for token in reversed(tokens[:index])
        if token.type == "footnote_reference_open" and token.level == tokens[index].level
    )
    number = _number(environment, begin.meta["label"])
    back = f'<a href="#{prefix}-mark-{number}" aria-label="Back to the text">\u21a9\ufe0e</a>' if prefix else ""
    return f"{back}</li></ol>\n"
