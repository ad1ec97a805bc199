"""docs/configuration.md is complete, and its examples are true."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.chat.presets import BLOCK_KEYS, check_block_changes, explain, resolve
from app.core.model import Configuration
from app.core.values import HEADERS, NO_VALUES, OPTIONS, parse_values
from app.providers.catalog import CATALOG
from app.settings import config_file, routers, tool_tables, wave_file
from app.settings.config_file import read_config_file
from app.settings.default import choose_default, with_default
from app.settings.wave_file import read_wave_files
from app.storage.files import FileFolder
from app.storage.sqlite import open_store
from app.tools.built_in import built_in_tools
from app.tools.modules import load_module
from app.tools.public_http import PublicWeb

ROOT = Path(__file__).parents[2]
APP = ROOT / "app"
PAGE = (ROOT / "docs" / "configuration.md").read_text()
NAMED = {name for code in re.findall(r"`([^`\n]+)`", PAGE) for name in (code, code.lower())}
BLOCKS = re.findall(r"^```(\w[\w ]*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def table(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    rows = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n|", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows.splitlines()[2:]]


KNOWN = {
    *config_file.PRESET_KEYS,
    *config_file.SETTINGS_KEYS,
    *wave_file.SETTINGS_KEYS,
    *routers.RULE_KEYS,
    *routers.WHEN_KEYS,
    *tool_tables.TOOLS_KEYS,
    *tool_tables.CLIENT_TOOL_KEYS,
    *tool_tables.MCP_KEYS,
    *BLOCK_KEYS,
    *(name for module in APP.rglob("*.py") for name in re.findall(r"\bPALAVER_[A-Z_]+\b", module.read_text())),
    *OPTIONS,
    *HEADERS,
    *CATALOG,
    *(service.key_env for service in CATALOG.values() if service.key_env),
}


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_everything_that_can_be_set_is_on_the_page(name: str) -> None:
    assert name in NAMED


def test_every_timeout_is_on_the_page_with_its_default() -> None:
    shown = re.search(r"`\{ (connect = .*?) \}`; these are the defaults", PAGE)
    assert shown
    from_page = {key: float(value) for key, value in (item.split(" = ") for item in shown[1].split(", "))}
    defaults = config_file.Timeouts()
    assert from_page == {key: getattr(defaults, key) for key in config_file.TIMEOUT_KEYS}


def test_every_price_is_on_the_page() -> None:
    shown = re.search(r"`prices` .*?`\{ (input = .*?) \}`", PAGE)
    assert shown
    assert tuple(item.split(" = ")[0] for item in shown[1].split(", ")) == config_file.PRICE_KEYS


@pytest.mark.anyio
async def test_the_built_in_tools_are_on_the_page_with_their_policies(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "palaver.db", now=lambda: datetime.now(UTC))
    tools = built_in_tools(lambda: datetime.now(UTC), store, FileFolder(tmp_path), PublicWeb())
    await store.close()
    shown = [(cells[0].strip("`"), cells[-1].strip("`")) for cells in table("Tools")]
    assert shown == [(tool.spec.name, tool.policy) for tool in tools]


def test_the_python_file_on_the_page_makes_tools(tmp_path: Path) -> None:
    (text,) = (text for kind, text in BLOCKS if kind == "python")
    (tmp_path / "my_tools.py").write_text(text)
    module = load_module(tmp_path / "my_tools.py")
    assert module.problems == ()
    assert {tool.spec.name: tool.policy for tool in module.tools} == {
        "get_weather": "auto",
        "delete_file": "ask",
        "count_to": "auto",
    }


def test_the_services_are_those_of_the_catalog() -> None:
    rows = {cells[0].strip("`"): cells[1:] for cells in table("Services")}
    assert list(rows) == list(CATALOG)
    for name, (title, key, model) in rows.items():
        service = CATALOG[name]
        assert title.startswith(service.title)
        assert key.strip("`") == (service.key_env or "")
        assert model.strip("`") == (service.default_model or "")
        assert not service.local or f"`{service.base_url}`" in title


@pytest.mark.parametrize(("kind", "text"), [block for block in BLOCKS if block[0] in ("toml", "json wave")])
def test_every_file_on_the_page_loads(tmp_path: Path, kind: str, text: str) -> None:
    if kind == "toml":
        read(tmp_path, text)
    else:
        (tmp_path / "mine.json").write_text(text)
        assert read_wave_files(tmp_path / "mine.json").preset == "claude-sonnet"


def read(folder: Path, text: str) -> Configuration:
    (folder / "palaver.toml").write_text(text)
    return with_default(read_config_file(folder / "palaver.toml"), choose_default({}, None), "palaver.toml")


def test_the_example_is_true(tmp_path: Path) -> None:
    example = PAGE.split("\n## An example\n", 1)[1].split("\n## ", 1)[0]
    toml, block, answer = (text for _, text in re.findall(r"^```(\w+)\n(.*?)^```$", example, re.MULTILINE | re.DOTALL))
    configuration = read(tmp_path, toml)
    metadata = check_block_changes(configuration, json.loads(block))

    resolved = resolve(configuration, url_preset=None, options=NO_VALUES, headers=NO_VALUES, block=metadata)
    assert explain(resolved) == json.loads(answer)

    said = re.search(r"b1\?preset=(\w+)` with `\"options\": (\{.*?\})`", example)
    assert said
    options = parse_values(json.loads(said[2]), OPTIONS)
    explained = explain(resolve(configuration, url_preset=said[1], options=options, headers=NO_VALUES, block=metadata))
    everything = {"preset": explained["preset"], **explained["values"]}
    for name, value, layer in ([cell.strip("`") for cell in cells] for cells in table("An example")):
        assert everything[name] == {"value": json.loads(value), "layer": layer}


def test_the_blocks_example_is_accepted(tmp_path: Path) -> None:
    configuration = read(tmp_path, BLOCKS[0][1])
    blocks = PAGE.split("\n## Blocks\n", 1)[1].split("```json\n", 1)[1].split("```", 1)[0]
    assert check_block_changes(configuration, json.loads(blocks)) == json.loads(blocks)


def test_the_links_of_the_page_lead_somewhere() -> None:
    headings = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors
