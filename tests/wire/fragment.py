"""Places of a page that changes are made to, as a browser and htmx make them; what is not touched keeps every byte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from app.core.messages import UIMessage
from app.web.templates import create_templates
from app.web.transcripts import Transcript
from app.wire.growing import Change
from app.wire.transcript import Place, render_transcript

ROOT = Path(__file__).parents[2]
TEMPLATES = create_templates(ROOT / "templates", ROOT / "static")

_VOID = frozenset({"br", "hr", "img", "input"})


@dataclass
class Element:
    tag: str = ""
    start: str = ""
    children: list[Element | str] = field(default_factory=list)

    @property
    def inner(self) -> str:
        return "".join(child if isinstance(child, str) else child.outer for child in self.children)

    @property
    def outer(self) -> str:
        return self.start + self.inner + ("" if self.tag in _VOID else f"</{self.tag}>")

    @property
    def elements(self) -> list[Element]:
        return [child for child in self.children if isinstance(child, Element)]

    def nodes(self) -> Iterator[Element | str]:
        for child in self.children:
            yield child
            if isinstance(child, Element):
                yield from child.nodes()


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.open = [Element()]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, self.get_starttag_text() or "")
        self.open[-1].children.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag, "the fragment is not well formed"

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)

    def handle_entityref(self, name: str) -> None:
        self.handle_data(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.handle_data(f"&#{name};")


def parse(html: str) -> list[Element | str]:
    builder = _Builder()
    builder.feed(html)
    builder.close()
    assert len(builder.open) == 1, "the fragment is not well formed"
    return builder.open[0].children


class Places:
    """`done` and `tail` of a text."""

    def __init__(self) -> None:
        self._roots = {"done": Element("div"), "tail": Element("div")}

    def __getitem__(self, name: str) -> str:
        return self._roots[name].inner

    @property
    def shown(self) -> str:
        return self["done"] + self["tail"]

    def apply(self, changes: Sequence[Change]) -> None:
        for change in changes:
            name, *steps = change.place.split(">")
            self.swap(name, steps, change.swap, change.html)

    def swap(self, name: str, steps: Sequence[str], swap: str, html: str) -> None:
        parents, element = [self._roots[name]], self._roots[name]
        for step in steps:
            if step == ":first-child":
                found = element.elements[:1]
            elif step == ":last-child":
                found = element.elements[-1:]
            elif step == ":nth-last-child(2)":
                found = element.elements[-2:-1]
            else:
                found = [child for child in element.elements if child.tag == step]
            assert len(found) == 1, f"{name} {steps} is not one place"
            parents.append(element)
            element = found[0]
        if swap == "beforeend":
            element.children += parse(html)
        elif swap == "outerHTML":
            position = next(i for i, child in enumerate(parents[-1].children) if child is element)
            parents[-1].children[position : position + 1] = parse(html)
        else:
            assert swap in ("innerHTML", "innerMorph")
            element.children = parse(html)


def show_stored(messages: Sequence[UIMessage], places: Mapping[str, Place]) -> str:
    """What a page load makes of messages."""
    return render_transcript(TEMPLATES, Transcript(messages, places).values)
