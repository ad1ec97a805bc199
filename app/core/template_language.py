"""The language of prompt templates: text with placeholders that are filled in and can do nothing else.

    Dear {{ user.name | default("friend") }}, {{ items | join(", ") | truncate(200) }} and {{ "{{" }}

A placeholder names a value by keys, and positions in lists, with dots between them; filters change it from left to
right. There are no conditions, loops or calls. A value is data: what it says is never read as a template again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, Literal, TypeAlias

from app.core.errors import InvalidTemplate, InvalidVariables

MAX_TEMPLATE = 100_000
"""Characters of a template, all its texts together."""
MAX_PLACEHOLDERS = 1_000
MAX_FILTERS = 8
"""Of one placeholder."""
MAX_PATH = 100
"""Characters of a variable's name."""
MAX_FILLED = 1_000_000
"""Characters of everything that values become on the way, before filters cut them."""

Argument: TypeAlias = str | int

_OPEN, _CLOSE = "{{", "}}"
_SPACE = re.compile(r"\s*")
_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|(?P<number>-?\d{1,9}(?![\w.]))"""
    r"""|(?P<name>[^\W\d]\w*(?:\.\w+)*)|(?P<mark>\}\}|[|(),])"""
)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Filter:
    name: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Placeholder:
    path: str | None
    """None: it holds a text of its own, `{{ "{{" }}`."""
    literal: Argument | None
    filters: tuple[Filter, ...]

    @property
    def default(self) -> str | None:
        """What stands for a value that nobody gives."""
        found = (str(each.arguments[0]) for each in self.filters if each.name == "default")
        return next(found, None)


Piece: TypeAlias = str | Placeholder


@dataclass(frozen=True, slots=True)
class Variable:
    """What a template asks for."""

    name: str
    required: bool
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A piece of a filled template."""

    text: str
    """Of what is missing, its name."""
    kind: Literal["text", "value", "missing"]


def parse(text: str) -> Sequence[Piece]:
    """The template's text and placeholders, in order.

    Raises:
        InvalidTemplate: with the line, and what to do.
    """
    if len(text) > MAX_TEMPLATE:
        raise InvalidTemplate(f"The template is too long; {MAX_TEMPLATE:,} characters are the limit.")
    pieces: list[Piece] = []
    start = count = 0
    while (found := text.find(_OPEN, start)) >= 0:
        count += 1
        if count > MAX_PLACEHOLDERS:
            raise _wrong(text, found, f"there are too many placeholders; {MAX_PLACEHOLDERS:,} are the limit")
        if found > start:
            pieces.append(text[start:found])
        placeholder, start = _Reader(text, found).placeholder()
        pieces.append(placeholder)
    if start < len(text):
        pieces.append(text[start:])
    return pieces


def variables_in(texts: Iterable[str]) -> Sequence[Variable]:
    """The variables of a template of several texts, each once, in the order of their first use. One is required where
    any of its placeholders has no default.
    """
    uses: dict[str, list[str | None]] = {}
    for text in texts:
        for piece in parse(text):
            if isinstance(piece, Placeholder) and piece.path is not None:
                uses.setdefault(piece.path, []).append(piece.default)
    return [
        Variable(name, required=None in defaults, default=None if None in defaults else defaults[0])
        for name, defaults in uses.items()
    ]


def fill(texts: Sequence[str], variables: Mapping[str, Any]) -> Sequence[str]:
    """The texts with their placeholders filled.

    Args:
        texts: of one template.
        variables: JSON values by name; `user.name` may be given as an object `user` or under that very name.

    Raises:
        InvalidTemplate: as `parse` says.
        InvalidVariables: a value is missing, or given and not asked for; or the result would be too long.
    """
    filled = _filled(texts, variables)
    pieces = [(piece, value) for pairs in filled for piece, value in pairs if isinstance(piece, Placeholder)]
    missing = dict.fromkeys(piece.path or "" for piece, value in pieces if value is None)
    known = list(dict.fromkeys(piece.path for piece, _ in pieces if piece.path is not None))
    unknown = [name for name in variables if not any(name == path or path.startswith(f"{name}.") for path in known)]
    if missing or unknown:
        raise InvalidVariables(_complaint(list(missing), unknown, known), param="variables")
    return ["".join(value or "" for _, value in pairs) for pairs in filled]


def show(texts: Sequence[str], variables: Mapping[str, Any]) -> Sequence[Sequence[Shown]]:
    """The texts as `fill` would fill them, in pieces for people to look at; what is missing may be missing.

    Raises:
        InvalidTemplate, InvalidVariables: as `fill`, save for names.
    """
    return [[_shown(piece, value) for piece, value in pairs] for pairs in _filled(texts, variables)]


def _filled(texts: Sequence[str], variables: Mapping[str, Any]) -> Sequence[Sequence[tuple[Piece, str | None]]]:
    """Every piece with the text that stands for it."""
    if len(variables) > MAX_PLACEHOLDERS:
        raise InvalidVariables(f"There are too many variables; {MAX_PLACEHOLDERS:,} are the limit.", param="variables")
    work = _Work()
    return [
        [(piece, piece if isinstance(piece, str) else work.value_of(piece, variables)) for piece in parse(text)]
        for text in texts
    ]


def _shown(piece: Piece, value: str | None) -> Shown:
    if isinstance(piece, str):
        return Shown(piece, "text")
    return Shown(piece.path or "", "missing") if value is None else Shown(value, "value")


class _Reader:
    """Reads one placeholder, token by token."""

    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self._start = start
        self._at = start + len(_OPEN)

    def placeholder(self) -> tuple[Placeholder, int]:
        """The placeholder, and where the text goes on behind it."""
        kind, value = self._next()
        if kind not in ("name", "text"):
            raise self._wrong("a placeholder begins with the name of a variable, such as {{ topic }}")
        if kind == "name" and len(value) > MAX_PATH:
            raise self._wrong(f"the name of a variable has at most {MAX_PATH} characters")
        filters = tuple(self._filters())
        if kind == "name":
            return Placeholder(value, None, filters), self._at
        return Placeholder(None, _unquoted(value), filters), self._at

    def _filters(self) -> Iterator[Filter]:
        count = 0
        kind, value = self._next()
        while value != _CLOSE or kind != "mark":
            if value != "|" or kind != "mark":
                raise self._wrong("after the variable comes }} or a filter behind |")
            kind, name = self._next()
            if kind != "name" or name not in FILTERS:
                raise self._wrong(f"there is no such filter; there are {', '.join(FILTERS)}")
            if (count := count + 1) > MAX_FILTERS:
                raise self._wrong(f"a placeholder has at most {MAX_FILTERS} filters")
            kind, value = self._next()
            arguments: tuple[Argument, ...] = ()
            if (kind, value) == ("mark", "("):
                arguments = tuple(self._arguments())
                kind, value = self._next()
            if not _fits(FILTERS[name].arguments, arguments):
                raise self._wrong(f"write the filter as {FILTERS[name].usage}")
            yield Filter(name, arguments)

    def _arguments(self) -> Iterator[Argument]:
        kind, value = self._next()
        while value != ")" or kind != "mark":
            if kind not in ("text", "number"):
                raise self._wrong('between ( and ) stand texts in quotes, such as "you", or whole numbers')
            yield _unquoted(value) if kind == "text" else int(value)
            kind, value = self._next()
            if (kind, value) == ("mark", ","):
                kind, value = self._next()

    def _next(self) -> tuple[str, str]:
        space = _SPACE.match(self._text, self._at)
        assert space is not None
        self._at = space.end()
        token = _TOKEN.match(self._text, self._at)
        if token is None:
            if self._text.find(_CLOSE, self._at) < 0:
                raise self._wrong('{{ is never closed; close it with }}, or write {{ "{{" }} for the braces themselves')
            raise self._wrong(
                "this cannot stand in a placeholder; write a variable and filters, such as "
                '{{ topic | default("cats") }}, or {{ "{{" }} for the braces themselves'
            )
        self._at = token.end()
        return str(token.lastgroup), token[0]

    def _wrong(self, complaint: str) -> InvalidTemplate:
        return _wrong(self._text, self._start, complaint)


def _wrong(text: str, place: int, complaint: str) -> InvalidTemplate:
    return InvalidTemplate(f"Line {text.count(chr(10), 0, place) + 1}: {complaint}.")


def _unquoted(text: str) -> str:
    return _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[1]), text[1:-1])


def _fits(wanted: tuple[type | UnionType, ...], given: tuple[Argument, ...]) -> bool:
    return len(wanted) == len(given) and all(
        isinstance(argument, kind) and not (kind is int and isinstance(argument, int) and argument < 0)
        for argument, kind in zip(given, wanted, strict=True)
    )


class _Work:
    """Fills placeholders, and counts what that costs."""

    def __init__(self) -> None:
        self._left = MAX_FILLED

    def value_of(self, placeholder: Placeholder, variables: Mapping[str, Any]) -> str | None:
        """The text that stands for the placeholder; None where a value is missing."""
        path = placeholder.path
        value = placeholder.literal if path is None else _find(path, variables)
        for each in placeholder.filters:
            kind = FILTERS[each.name]
            if each.name == "default":
                value = _default(value, *each.arguments)
            elif value is not None:
                value = kind.apply(self._counted(_text(value)) if kind.takes_text else value, *each.arguments)
                self._counted(value)
        return None if value is None else self._counted(_text(value))

    def _counted(self, text: str) -> str:
        """The text, if there is room for it: what a filter cuts away has cost something too."""
        self._left -= len(text)
        if self._left < 0:
            raise InvalidVariables(
                f"The filled template is too long; {MAX_FILLED:,} characters are the limit.", param="variables"
            )
        return text


def _find(path: str, variables: Mapping[str, Any]) -> Any:
    if path in variables:
        return variables[path]
    value: Any = variables
    for key in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list | tuple) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _text(value: Any) -> str:
    """A value as text: a list of plain values with commas, anything else that is no text as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and not any(isinstance(item, dict | list | tuple) for item in value):
        return ", ".join(map(_text, value))
    return _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _default(value: Any, instead: Argument) -> Any:
    return instead if value is None or value in ("", [], {}) else value


def _join(value: Any, between: str) -> str:
    return between.join(map(_text, value)) if isinstance(value, list | tuple) else _text(value)


def _truncate(text: str, most: int) -> str:
    return text if len(text) <= most else text[: max(0, most - 1)].rstrip() + "…" * min(most, 1)


@dataclass(frozen=True, slots=True)
class _FilterKind:
    usage: str
    apply: Callable[..., Any]
    arguments: tuple[type | UnionType, ...] = ()
    takes_text: bool = True
    """Otherwise it takes the value as it is."""


FILTERS: Mapping[str, _FilterKind] = {
    "default": _FilterKind('default("text")', _default, (str | int,), takes_text=False),
    "trim": _FilterKind("trim", str.strip),
    "upper": _FilterKind("upper", str.upper),
    "lower": _FilterKind("lower", str.lower),
    "capitalize": _FilterKind("capitalize", lambda text: text[:1].upper() + text[1:]),
    "truncate": _FilterKind("truncate(100)", _truncate, (int,)),
    "join": _FilterKind('join(", ")', _join, (str,), takes_text=False),
    "json": _FilterKind("json", _json, takes_text=False),
}


def _complaint(missing: Sequence[str], unknown: Sequence[str], known: Sequence[str]) -> str:
    """Names only, never values; what a client calls its variables is shown where it could be a name."""
    sentences = []
    if missing:
        sentences.append(f"Missing: {', '.join(missing[:20])}.")
    if unknown:
        names = [name if re.fullmatch(r"[\w.]{1,100}", name) else "a name that no variable has" for name in unknown]
        takes = f"The template takes {', '.join(known[:20])}." if known else "The template takes no variables."
        sentences.append(f"Unknown: {', '.join(dict.fromkeys(names[:20]))}. {takes}")
    return " ".join(sentences)
