"""What may stand in HTML that a text was made into: a short list of tags and attributes. It has the last word: nothing
that runs, loads from elsewhere or talks to htmx gets through.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import nh3
from pygments.token import STANDARD_TYPES

OWN_IMAGE = re.compile(r"/files/[\w-]{1,128}|data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+", re.ASCII)

_TAGS = (
    "p br hr h1 h2 h3 h4 h5 h6 em strong s del code pre blockquote ul ol li a table thead tbody tr th td sup sub img "
    "span input div details summary"
)
_MATH_TAGS = (
    "math mrow mi mo mn mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover mmultiscripts "
    "mprescripts mtable mtr mtd mpadded mphantom menclose mstyle"
)
_MATH_ATTRIBUTES: Mapping[str, set[str]] = {
    "math": {"display"},
    "mi": {"mathvariant"},
    "mo": {"stretchy", "lspace", "rspace", "form", "largeop", "movablelimits", "symmetric", "minsize", "maxsize"},
    "mspace": {"width"},
    "mfrac": {"linethickness"},
    "mover": {"accent"},
    "munder": {"accentunder"},
    "munderover": {"accent", "accentunder"},
    "mtable": {"displaystyle", "scriptlevel"},
    "mtd": {"columnalign"},
    "menclose": {"notation"},
    "mstyle": {"displaystyle", "scriptlevel"},
    "mpadded": {"width", "lspace"},
}

_OWN_ID = r"m-[\w-]{1,64}-(?:\d{1,6}-(?:note|mark)|source)-\d{1,6}"
"""Of a footnote, of the place where it is named, and of a source: `app.wire.markdown` and the templates make them."""
_LENGTHS = frozenset({"width", "lspace", "rspace", "minsize", "maxsize"})
_LENGTH = r"-?\d{0,2}(?:\.\d{1,4})?(?:em|ex)?"

_PATTERNS: Mapping[tuple[str, str], re.Pattern[str]] = {
    ("a", "href"): re.compile(rf"(?:https?://|mailto:)\S+|#{_OWN_ID}", re.IGNORECASE | re.ASCII),
    ("a", "id"): re.compile(_OWN_ID, re.ASCII),
    ("li", "id"): re.compile(_OWN_ID, re.ASCII),
    ("a", "target"): re.compile("_blank"),
    ("img", "src"): OWN_IMAGE,
    ("code", "class"): re.compile(r"language-[\w+#.-]{1,30}", re.ASCII),
    ("ol", "start"): re.compile(r"\d{1,9}", re.ASCII),
    **{(tag, "dir"): re.compile("auto") for tag in ("ul", "ol", "blockquote", "table")},
    ("th", "align"): re.compile("left|center|right"),
    ("td", "align"): re.compile("left|center|right"),
    **{
        (tag, name): re.compile(_LENGTH if name in _LENGTHS else r"[\w-]{1,20}")
        for tag, names in _MATH_ATTRIBUTES.items()
        for name in names
    },
}


def sanitised(html: str) -> str:
    return _cleaner.clean(html)


def _attribute(tag: str, name: str, value: str) -> str | None:
    pattern = _PATTERNS.get((tag, name))
    return value if pattern is None or pattern.fullmatch(value) else None


_cleaner = nh3.Cleaner(
    tags={*_TAGS.split(), *_MATH_TAGS.split()},
    attributes={
        "*": set(),  # else ammonia lets `title` and `lang` through everywhere
        "a": {"href", "target", "id", "aria-label"},
        "img": {"src", "alt"},
        "code": {"class"},
        "ol": {"start", "dir"},
        "ul": {"dir"},
        "blockquote": {"dir"},
        "table": {"dir"},
        "li": {"id"},
        "th": {"align"},
        "td": {"align"},
        **_MATH_ATTRIBUTES,
    },
    attribute_filter=_attribute,
    allowed_classes={
        "span": {name for name in STANDARD_TYPES.values() if name},  # pygments
        "div": {"code", "code-bar"},
        "details": {"fold", "rows"},
        "ol": {"footnotes"},
    },
    tag_attribute_values={"input": {"checked": {""}}},  # the boxes of a task list
    set_tag_attribute_values={"input": {"type": "checkbox", "disabled": "", "aria-label": "Task"}},
    link_rel="noopener noreferrer nofollow ugc",
    url_schemes={"http", "https", "mailto", "data"},
)
