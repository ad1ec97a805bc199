"""The table of a router: what it holds, and what is said of every mistake in it."""

from __future__ import annotations

from pathlib import Path

import pytest
import regex

from app.core.routing import Router, Rule, When
from app.settings.config_file import read_config_file
from app.settings.errors import ConfigurationError
from app.settings.server import ServerSettings
from app.settings.watch import load_configuration
from app.settings.wave_file import read_wave_files

PRESETS = """
[presets.small]
provider = "groq"

[presets.claude]
provider = "anthropic"

[presets.other]
provider = "router"
candidates = ["small"]

[presets.vectors]
provider = "voyage"
"""

AUTO = """
[presets.auto]
provider = "router"
"""


def read(folder: Path, text: str):
    file = folder / "palaver.toml"
    file.write_text(PRESETS + AUTO + text)
    return read_config_file(file).presets["auto"].router


def test_a_whole_table(tmp_path: Path) -> None:
    router = read(
        tmp_path,
        """
        strategy = "cheapest"
        candidates = ["small", "ai@claude", "default"]
        classifier = "small"
        [[presets.auto.rules]]
        when = { images = true, tools = false, json = true, longer_than = 8000 }
        use = ["claude"]
        [[presets.auto.rules]]
        when = { matches = "(?i)tax", template = "summary", tag = "work", slower_than = 2.5 }
        use = ["claude", "small"]
        """,
    )
    assert router == Router(
        strategy="cheapest",
        candidates=("small", "claude", "default"),
        classifier="small",
        rules=(
            Rule(When(images=True, tools=False, json=True, longer_than=8000), ("claude",)),
            Rule(
                When(matches=regex.compile("(?i)tax"), template="summary", tag="work", slower_than=2.5),
                ("claude", "small"),
            ),
        ),
    )


def test_the_order_of_the_candidates_is_the_strategy_where_none_is_said(tmp_path: Path) -> None:
    assert read(tmp_path, 'candidates = ["small"]').strategy == "best"


RULE = 'candidates = ["small"]\n[[presets.auto.rules]]\n'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "auto.candidates: missing; name the presets that the router chooses among"),
        ("candidates = []", "auto.candidates: must be a list of 1 to 20 names of presets"),
        ('candidates = "small"', "auto.candidates: must be a list of 1 to 20 names of presets"),
        (
            'candidates = ["smal"]',
            "auto.candidates: there is no preset 'smal'; there are claude, default,",
        ),
        ('candidates = ["auto"]', "auto.candidates: a router cannot name itself"),
        (
            'candidates = ["other"]',
            "auto.candidates: 'other' is a router itself; name the presets",
        ),
        ('candidates = ["vectors"]', "auto.candidates: 'vectors' makes embeddings and cannot chat"),
        ('candidates = ["small"]\nclassifier = "no"', "auto.classifier: there is no preset 'no'"),
        ('candidates = ["small"]\nclassifier = "other"', "auto.classifier: 'other' is a router itself"),
        ('candidates = ["small"]\nstrategy = "slow"', "auto.strategy: must be one of cheapest, fastest, best"),
        ('candidates = ["small"]\nmodel = "x"', "auto.model: a router has none; its candidates have their own"),
        ('candidates = ["small"]\nbase_url = "http://x"', "auto.base_url: a router has none"),
        ('candidates = ["small"]\nprices = { input = 1, output = 1 }', "auto.prices: a router has none"),
        ('candidates = ["small"]\ncandidate = 1', "auto.candidate: unknown key; did you mean candidates?"),
        ('candidates = ["small"]\nrules = 1', "auto.rules: must be at most 50 tables"),
        (RULE + 'use = ["small"]', "auto.rules[1].when: missing"),
        (RULE + "when = { images = true }", "auto.rules[1].use: missing"),
        (RULE + 'when = {}\nuse = ["small"]', "auto.rules[1].when: says nothing"),
        (RULE + 'when = { images = 1 }\nuse = ["small"]', "auto.rules[1].when.images: must be true or false"),
        (
            RULE + 'when = { image = true }\nuse = ["small"]',
            "when.image: unknown key; did you mean images?",
        ),
        (RULE + 'when = { longer_than = 0 }\nuse = ["small"]', "when.longer_than: must be a whole number of tokens"),
        (RULE + 'when = { matches = "(" }\nuse = ["small"]', "when.matches: not a regular expression: missing )"),
        (RULE + 'when = { matches = "" }\nuse = ["small"]', "when.matches: must be a regular expression"),
        (RULE + 'when = { template = "A b" }\nuse = ["small"]', "when.template: must be the name of a prompt template"),
        (RULE + 'when = { tag = 1 }\nuse = ["small"]', "when.tag: must be one line of text"),
        (RULE + 'when = { slower_than = -1 }\nuse = ["small"]', "when.slower_than: must be a number of seconds"),
        (RULE + 'when = { images = true }\nuse = ["auto"]', "auto.rules[1].use: a router cannot name itself"),
        (RULE + 'when = { images = true }\nuse = ["no"]', "auto.rules[1].use: there is no preset 'no'"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read(tmp_path, text)
    assert str(raised.value).startswith("palaver.toml: presets.auto")
    assert complaint in str(raised.value)


def test_only_routers_have_candidates(tmp_path: Path) -> None:
    (tmp_path / "palaver.toml").write_text('[presets.a]\nprovider = "groq"\ncandidates = ["b"]')
    with pytest.raises(ConfigurationError, match=r"a\.candidates: only a router has it"):
        read_config_file(tmp_path / "palaver.toml")


def test_waves_files_have_no_words_for_a_router(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text('{"ai@a": {"ai:apitype": "router", "ai:model": "x"}}')
    with pytest.raises(ConfigurationError, match="a router needs a palaver"):
        read_wave_files(tmp_path / "mine.json")


def test_a_changed_router_is_read_again_and_a_broken_one_is_not(tmp_path: Path) -> None:
    file = tmp_path / "palaver.toml"
    file.write_text(PRESETS + AUTO + 'candidates = ["small"]')
    now = [0.0]
    configuration = load_configuration(ServerSettings(data=tmp_path, config=file), {}, None, lambda: now[0])
    for number, (text, candidates) in enumerate(
        [('candidates = ["claude", "small"]', ("claude", "small")), ('candidates = ["nobody"]', ("claude", "small"))], 1
    ):
        file.write_text(PRESETS + AUTO + text)
        now[0] = 10.0 * number
        assert configuration.current().presets["auto"].router.candidates == candidates
    assert "there is no preset 'nobody'" in (configuration.problem or "")
