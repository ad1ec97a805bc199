"""The settings of a conversation, without a script: what the form shows, saves and refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.main import create_app, open_deps
from app.settings.server import ServerSettings

FORM = {"origin": "http://127.0.0.1:8000"}
PAGE = "/c/chat-1/settings"
BLOCK = "/api/ai/blocks/chat-1"

CONFIGURATION = """
[settings]
"ai:temperature" = 0.7

[presets.default]
provider = "echo"
tools = ["current_time", "fetch_page", "calculate", "lost"]
system = "Be calm."
tool_policy = { calculate = "off" }

[presets.other]
provider = "echo"
title = "The other"
model = "echo-2"
"""


def running(folder: Path, configuration: str = CONFIGURATION) -> TestClient:
    """A server whose data lie in `folder`, as a context manager."""
    config = folder / "palaver.toml"
    config.write_text(configuration)
    settings = ServerSettings(data=folder / "data", config=config)
    app = create_app(settings, lambda: open_deps(settings, {}, port=8000))
    return TestClient(app, "http://127.0.0.1:8000", follow_redirects=False)


@pytest.fixture
def visitor(tmp_path: Path) -> Iterator[TestClient]:
    with running(tmp_path) as client:
        yield client


def save(visitor: TestClient, **fields: str):
    return visitor.post(PAGE, data=fields, headers=FORM)


def stored(visitor: TestClient) -> dict[str, object]:
    metadata: dict[str, object] = visitor.get(BLOCK).json()["metadata"]
    return metadata


def field(html: str, name: str) -> str:
    """The tag of a field."""
    [tag] = re.findall(rf'<(?:input|textarea|select)[^>]* name="{name}"[^>]*>', html)
    return str(tag)


def test_empty_fields_show_what_they_inherit(visitor: TestClient) -> None:
    page = visitor.get(PAGE).text
    assert 'placeholder="echo"' in field(page, "model")
    assert 'placeholder="Be calm."' in field(page, "system")
    assert 'placeholder="0.7"' in field(page, "temperature")
    assert 'placeholder="The service decides"' in field(page, "max_tokens")


def test_what_is_saved_is_what_the_api_would_have_stored(visitor: TestClient) -> None:
    answer = save(
        visitor,
        preset="other",
        model=" m ",
        system="Rhyme.\r\nAlways.",
        temperature="1",
        max_tokens="100",
        thinking="low",
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/c/chat-1")
    assert stored(visitor) == {
        "ai:preset": "other",
        "ai:model": "m",
        "ai:system": "Rhyme.\nAlways.",
        "ai:temperature": 1,
        "ai:maxtokens": 100,
        "ai:thinking": "low",
    }
    page = visitor.get(PAGE).text
    assert ' value="m"' in field(page, "model")
    assert '<option value="other" selected>' in page


def test_settings_made_before_the_first_message_are_those_of_the_conversation(visitor: TestClient) -> None:
    save(visitor, model="mine")
    visitor.post("/c/chat-1", data={"text": "hello"}, headers=FORM)
    assert stored(visitor)["ai:model"] == "mine"
    assert visitor.get("/api/ai/usage").json()["byModel"][0]["model"] == "echo/mine"


def test_an_emptied_field_inherits_again(visitor: TestClient) -> None:
    save(visitor, model="mine", temperature="0.1")
    save(visitor, temperature="0.1")
    assert stored(visitor) == {"ai:temperature": 0.1}


def test_what_the_form_has_no_field_for_stays(visitor: TestClient) -> None:
    kept = {"title": "Mine", "ai:topp": 0.5, "app:colour": "red"}
    visitor.patch(BLOCK, json=kept)
    save(visitor, model="m")
    assert stored(visitor) == {**kept, "ai:model": "m"}


def test_what_few_need_is_set_in_a_fold_that_says_why(visitor: TestClient) -> None:
    page = visitor.get(PAGE).text
    assert '<details class="data more"><summary>' in page
    assert "Now: 16, built-in default." in page
    assert "Now: For 5 minutes, built-in default." in page
    save(visitor, top_p="0.5", stop="END\r\n\r\nSTOP here", cache="1h", max_steps="3")
    assert stored(visitor) == {"ai:topp": 0.5, "ai:stop": ["END", "STOP here"], "ai:cache": "1h", "ai:maxsteps": 3}
    page = visitor.get(PAGE).text
    assert '<details class="data more" open><summary>' in page
    assert ">END\nSTOP here</textarea>" in page
    assert "Now: END, STOP here, from this conversation." in page
    save(visitor, top_p="", stop="", cache="", max_steps="")
    assert stored(visitor) == {}


def test_a_cache_that_is_on_is_one_of_the_choices(visitor: TestClient) -> None:
    visitor.patch(BLOCK, json={"ai:cache": True, "ai:stop": "END"})
    page = visitor.get(PAGE).text
    assert '<option value="5m" selected>' in page
    assert ">END</textarea>" in page


def test_no_system_prompt_is_something_else_than_an_inherited_one(visitor: TestClient) -> None:
    save(visitor, no_system="on")
    assert stored(visitor) == {"ai:system": ""}
    assert "checked" in field(visitor.get(PAGE).text, "no_system")


def test_a_budget_is_a_way_to_think(visitor: TestClient) -> None:
    save(visitor, thinking="high", thinking_budget="2000")
    assert stored(visitor) == {"ai:thinking": 2000}
    assert 'value="2000"' in field(visitor.get(PAGE).text, "thinking_budget")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("temperature", "3", "Must be a number from 0 to 2."),
        ("temperature", "0,7", "Must be a number from 0 to 2."),
        ("temperature", "nan", "Must be a number from 0 to 2."),
        ("max_tokens", "many", "Must be a whole number from 1 to 10,000,000."),
        ("max_tokens", "1.5", "Must be a whole number from 1 to 10,000,000."),
        ("top_p", "2", "Must be a number from 0 to 1."),
        ("max_steps", "99", "Must be a whole number from 1 to 64."),
        ("stop", "x" * 201, "Must be a string or a list of at most 16 strings, each of 1 to 200 characters."),
        ("model", "x" * 201, "Must be the name of a model, of at most 200 characters."),
        ("thinking_budget", "-1", "Must be off, low, medium, high or a number of tokens."),
        ("preset", "gone", "There is no preset of this name. The presets are: default, other."),
        ("tool:fetch_page", "maybe", "Must be a table of tool names and auto, ask or off."),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_nothing_is_saved(
    visitor: TestClient, name: str, value: str, sentence: str
) -> None:
    answer = visitor.post(PAGE, data={"system": "Keep me.", name: value}, headers=FORM)
    assert answer.status_code == 400
    assert f">{sentence}</p>" in answer.text
    assert ">Keep me.</textarea>" in answer.text
    assert stored(visitor) == {}


def test_both_of_two_mistakes_are_told_at_once(visitor: TestClient) -> None:
    page = save(visitor, temperature="9", max_tokens="0").text
    assert page.count('aria-invalid="true"') == 2
    assert "2 fields need another look" in page


def test_every_tool_of_the_preset_has_a_rule(visitor: TestClient) -> None:
    page = visitor.get(PAGE).text
    assert "Asks first (inherited)" in page
    assert "Runs freely (inherited)" in page
    assert "Off in the configuration" in page
    assert 'name="tool:calculate"' not in page
    assert "There is no tool lost." in page.replace("&#39;", "")
    save(visitor, **{"tool:fetch_page": "off", "tool:current_time": ""})
    assert stored(visitor) == {"ai:toolpolicy": {"fetch_page": "off"}}


def test_always_allow_can_be_taken_back(visitor: TestClient) -> None:
    visitor.patch(BLOCK, json={"ai:toolpolicy": {"fetch_page": "auto", "mcp:files/*": "ask"}})
    assert '<option value="auto" selected>Always allowed</option>' in visitor.get(PAGE).text
    save(visitor, **{"tool:fetch_page": ""})
    assert stored(visitor) == {"ai:toolpolicy": {"mcp:files/*": "ask"}}


def test_a_conversation_that_uses_few_tools_can_have_all_again(visitor: TestClient) -> None:
    visitor.patch(BLOCK, json={"ai:tools": ["current_time"]})
    assert "Not offered here" in visitor.get(PAGE).text
    save(visitor, **{"tool:current_time": "", "all_tools": "on"})
    assert stored(visitor) == {}


def test_why_names_the_layer_in_plain_words(visitor: TestClient) -> None:
    visitor.patch(BLOCK, json={"ai:maxtokens": 1234})
    rows = re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td><td>(.*?)</td>', visitor.get(PAGE).text)
    why = {label: (value, origin) for label, value, origin in rows}
    assert why["Preset"] == ("echo", "built-in default")
    assert why["Model"] == ("echo", "built-in default")
    assert why["System prompt"] == ("Be calm.", "from the preset echo")
    assert why["Temperature"] == ("0.7", "from the server&#39;s settings")
    assert why["Longest answer"] == ("1,234", "from this conversation")
    assert why["Top p"][1] == "the service decides"


def test_a_preview_shows_what_another_preset_would_bring_and_saves_nothing(visitor: TestClient) -> None:
    page = visitor.post(f"{PAGE}?preview=true", data={"preset": "other", "temperature": "0.2"}, headers=FORM).text
    assert 'placeholder="echo-2"' in field(page, "model")
    assert 'value="0.2"' in field(page, "temperature")
    assert "This preset offers no tools." in page
    assert stored(visitor) == {}


def test_a_block_whose_preset_is_gone_can_choose_another(tmp_path: Path) -> None:
    with running(tmp_path) as before:
        before.patch(BLOCK, json={"ai:preset": "other"})
    with running(tmp_path, CONFIGURATION.replace("presets.other", "presets.new")) as after:
        page = after.get(PAGE)
        assert page.status_code == 200
        assert "does not exist any more" in page.text
        assert "other (not configured)" in page.text
        save(after, preset="new")
        assert stored(after) == {"ai:preset": "new"}


def test_htmx_is_sent_to_the_conversation_and_a_stranger_nowhere(visitor: TestClient) -> None:
    saved = visitor.post(PAGE, data={"model": "m"}, headers={**FORM, "hx-request": "true"})
    assert (saved.status_code, saved.headers["hx-redirect"]) == (204, "/c/chat-1")
    stranger = visitor.post(PAGE, data={"model": "x"}, headers={"origin": "https://evil.example"})
    assert stranger.status_code == 403
    assert visitor.get("/c/bad id/settings").status_code == 404
