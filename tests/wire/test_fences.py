"""Code blocks that hold whatever they are given, and end."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from app.wire.fences import close_fences, fenced


@pytest.mark.parametrize("text", ["a", "```\nb\n```", "`````", "~~~\n````"])
def test_a_code_block_holds_any_text(text):
    (block,) = MarkdownIt().parse(fenced(text, "python"))
    assert (block.type, block.info, block.content) == ("fence", "python", text + "\n")


@pytest.mark.parametrize("language", ["", "a b", "x\n```", "`", "ü" * 40])
def test_a_language_that_could_not_stand_there_is_left_out(language):
    assert fenced("a", language) == "```\na\n```"


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        ("```py\na", "```py\na\n```"),
        ("~~~~\n```\na", "~~~~\n```\na\n~~~~"),
        ("```\na\n```", "```\na\n```"),
        ("````\n```\n````", "````\n```\n````"),
        ("```\na\n``` b", "```\na\n``` b\n```"),
        ("a ``` b", "a ``` b"),
        ("``` a`b", "``` a`b"),
        ("    ```\na", "    ```\na"),
        ("plain", "plain"),
    ],
)
def test_an_open_code_block_is_closed(text, closed):
    assert close_fences(text) == closed
    assert MarkdownIt().parse(closed + "\n\n# next")[-2].content == "next"
