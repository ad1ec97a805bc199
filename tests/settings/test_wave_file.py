from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.core.model import Configuration, Preset, Timeouts
from app.core.values import Values
from app.providers.catalog import CATALOG
from app.settings.errors import ConfigurationError
from app.settings.wave_file import is_wave, read_wave_files, wave_files

SETTINGS = {
    "ai:preset": "ai@claude-sonnet",
    "ai:model": "gpt-5-mini",
    "ai:maxtokens": 4000.0,
    "ai:timeoutms": 60000,
    "ai:fontsize": 14,
    "app:defaultnewblock": "term",
    "term:fontsize": 12,
    "autoupdate:enabled": True,
    "telemetry:enabled": False,
    "waveai:defaultmode": "waveai@balanced",
}

AI_PRESETS = {
    "ai@global": {"display:name": "Global default", "display:order": -1, "ai:*": True},
    "ai@perplexity-sonar": {
        "display:name": "Perplexity Sonar",
        "display:order": 4,
        "ai:*": True,
        "ai:apitype": "perplexity",
        "ai:model": "sonar-pro",
        "ai:apitoken": "pplx-0123456789",
    },
    "ai@claude-sonnet": {
        "display:name": "Claude Sonnet",
        "display:order": 1,
        "ai:*": True,
        "ai:apitype": "anthropic",
        "ai:model": "claude-sonnet-5-5",
        "ai:apitoken": "<your anthropic API key>",
    },
    "ai@gpt": {
        "display:name": "GPT",
        "display:order": 2,
        "ai:*": True,
        "ai:model": "gpt-6.1-terra",
        "ai:orgid": "org-1",
    },
    "ai@ollama-llama": {
        "display:name": "Ollama - Llama",
        "display:order": 3,
        "ai:*": True,
        "ai:baseurl": "http://localhost:11434/v1",
        "ai:name": "llama3.2",
        "ai:model": "llama3.2",
        "ai:apitoken": "ollama",
        "ai:timeoutms": 120000,
    },
    "ai@wave": {
        "display:name": "Wave Proxy",
        "display:order": 0,
        "ai:*": True,
        "ai:apitype": "",
        "ai:baseurl": "",
        "ai:apitoken": "",
        "ai:name": "",
        "ai:orgid": "",
        "ai:model": "gpt-6.1-terra",
        "ai:maxtokens": 2048,
        "ai:timeoutms": 0,
    },
}

BACKGROUNDS = {"bg@ocean": {"display:name": "Ocean", "bg:*": True, "bg": "url('ocean.jpg')", "bg:opacity": 0.2}}


def write(folder: Path, **documents: Any) -> Path:
    """Wave's folder: `settings`, `presets`, and any other name as a file below `presets/`."""
    for name, document in documents.items():
        file = folder / f"{name}.json" if name in ("settings", "presets") else folder / "presets" / f"{name}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(document if isinstance(document, str) else json.dumps(document))
    return folder


def read_one(folder: Path, document: Any) -> Configuration:
    return read_wave_files(write(folder, settings=document) / "settings.json")


def complaint(path: Path) -> str:
    with pytest.raises(ConfigurationError) as raised:
        read_wave_files(path)
    told = str(raised.value)
    assert "\n" not in told
    assert str(path.parent) not in told
    return told


def test_waves_own_folder_loads_unchanged(tmp_path: Path) -> None:
    found = read_wave_files(write(tmp_path, settings=SETTINGS, ai=AI_PRESETS, backgrounds=BACKGROUNDS))
    assert found.preset == "claude-sonnet"
    assert found.values == Values(model="gpt-5-mini", max_tokens=4000)
    assert list(found.presets) == ["global", "wave", "claude-sonnet", "gpt", "ollama-llama", "perplexity-sonar"]
    minute = Timeouts(first_event=60.0)
    assert found.presets["claude-sonnet"] == Preset(
        name="claude-sonnet",
        provider="anthropic",
        title="Claude Sonnet",
        api_key="<your anthropic API key>",
        values=Values(model="claude-sonnet-5-5"),
        default_model=CATALOG["anthropic"].default_model,
        timeouts=minute,
    )
    assert found.presets["ollama-llama"] == Preset(
        name="ollama-llama",
        provider="openai-chat",
        title="Ollama - Llama",
        base_url="http://localhost:11434/v1",
        api_key="ollama",
        values=Values(model="llama3.2"),
        timeouts=Timeouts(first_event=120.0),
    )
    assert found.presets["perplexity-sonar"].provider == "perplexity"
    assert found.presets["gpt"].headers == {"OpenAI-Organization": "org-1"}
    wave = found.presets["wave"]
    assert (wave.provider, wave.api_key, wave.base_url, wave.headers) == ("openai", None, None, {})
    assert (wave.values, wave.timeouts) == (Values(model="gpt-6.1-terra", max_tokens=2048), minute)


def test_one_file_may_hold_presets_and_settings(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({**AI_PRESETS, **SETTINGS, **BACKGROUNDS}))
    assert is_wave(file)
    assert read_wave_files(file) == read_wave_files(write(tmp_path, settings=SETTINGS, ai=AI_PRESETS))


def test_presets_of_all_files_come_together(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        presets={"ai@one": {"ai:model": "m"}, **BACKGROUNDS},
        more={"ai@two": {"ai:model": "m"}},
        ai={"ai@three": {"ai:model": "m"}},
    )
    (folder / "presets" / "notes.txt").write_text("not ours")
    assert [file.name for file in wave_files(folder)] == ["presets.json", "ai.json", "more.json"]
    assert set(read_wave_files(folder).presets) == {"one", "two", "three"}


def test_palavers_own_values_may_stand_beside_waves(tmp_path: Path) -> None:
    preset = {"ai:apitype": "anthropic", "ai:temperature": 0, "ai:thinking": "low", "ai:stop": "END", "ai:topp": 1}
    found = read_one(tmp_path, {"ai@a": preset, "ai:system": "Be kind.", "ai:responseformat": "json"})
    assert found.presets["a"].values == Values(temperature=0, thinking="low", stop=("END",), top_p=1)
    assert found.values == Values(system="Be kind.", response_format="json")


@pytest.mark.parametrize("provider", [name for name in CATALOG if name != "router"])
def test_a_type_is_a_row_of_the_catalog(tmp_path: Path, provider: str) -> None:
    found = read_one(tmp_path, {"ai@a": {"ai:apitype": provider, "ai:model": "m"}})
    assert found.presets["a"].provider == provider


@pytest.mark.parametrize("chosen", ["ai@a", "a"])
def test_the_global_preset_may_have_its_prefix_or_not(tmp_path: Path, chosen: str) -> None:
    assert read_one(tmp_path, {"ai@a": {"ai:model": "m"}, "ai:preset": chosen}).preset == "a"


@pytest.mark.parametrize("chosen", ["ai@a", "a"])
def test_a_preset_may_be_named_for_titles(tmp_path: Path, chosen: str) -> None:
    found = read_one(tmp_path, {"ai@a": {"ai:model": "m"}, "ai:titlepreset": chosen})
    assert (found.title_preset, found.preset) == ("a", None)


def test_a_preset_may_be_named_for_embeddings(tmp_path: Path) -> None:
    preset = {"ai:apitype": "voyage", "ai:model": "voyage-4"}
    assert read_one(tmp_path, {"ai@a": preset, "ai:embedpreset": "ai@a"}).embed_preset == "a"


@pytest.mark.parametrize("chosen", ["ai@global", "", None])
def test_waves_global_default_means_that_no_preset_is_chosen(tmp_path: Path, chosen: str | None) -> None:
    found = read_one(tmp_path, {"ai:preset": chosen, "ai:model": "m"})
    assert found == Configuration(presets={}, values=Values(model="m"))


def test_a_service_in_the_settings_is_the_default_preset(tmp_path: Path) -> None:
    found = read_one(tmp_path, {"ai:apitype": "anthropic", "ai:apitoken": "sk-ant-1", "ai:model": "m"})
    default = found.presets["default"]
    assert (default.provider, default.api_key, default.values) == ("anthropic", "sk-ant-1", Values())
    assert found.values == Values(model="m")


def test_a_preset_called_default_comes_before_the_settings_service(tmp_path: Path) -> None:
    document = {"ai@default": {"ai:apitype": "echo"}, "ai:apitype": "anthropic"}
    assert read_one(tmp_path, document).presets["default"].provider == "echo"


def test_a_preset_that_names_no_service_uses_the_one_of_the_settings(tmp_path: Path) -> None:
    settings = {"ai:apitype": "anthropic", "ai:apitoken": "sk-ant-1", "ai@brief": {"ai:maxtokens": 100}}
    brief = read_one(tmp_path, settings).presets["brief"]
    assert (brief.provider, brief.api_key, brief.values) == ("anthropic", "sk-ant-1", Values(max_tokens=100))


@pytest.mark.parametrize(
    "service", [{"ai:apitype": "perplexity"}, {"ai:baseurl": "http://127.0.0.1:1/v1"}, {"ai:orgid": "org-1"}]
)
def test_the_key_of_the_settings_never_reaches_another_service(tmp_path: Path, service: dict[str, str]) -> None:
    settings = {"ai:apitype": "anthropic", "ai:apitoken": "sk-ant-1", "ai@other": {"ai:model": "m", **service}}
    assert read_one(tmp_path, settings).presets["other"].api_key is None


def test_a_key_in_a_file_is_never_shown(tmp_path: Path) -> None:
    assert "sk-ant-1" not in repr(read_one(tmp_path, {"ai@a": {"ai:apitype": "anthropic", "ai:apitoken": "sk-ant-1"}}))


A = {"ai:model": "m"}
PRESET_KEYS = (
    "ai:model, ai:system, ai:temperature, ai:topp, ai:maxtokens, ai:stop, ai:thinking, ai:responseformat, "
    "ai:ondisconnect, ai:cache, ai:maxsteps, ai:tools, ai:toolpolicy, "
    "ai:apitype, ai:baseurl, ai:apitoken, ai:orgid, ai:timeoutms, ai:proxyurl, "
    "ai:*, ai:name, ai:apiversion, ai:fontsize, ai:fixedfontsize"
)
MISTAKES = {
    "misspelt key": (
        {"ai": {"ai@a": {"ai:modle": "m"}}},
        f"presets/ai.json: ai@a.ai:modle: unknown key; did you mean ai:model? Known keys are {PRESET_KEYS}",
    ),
    "misspelt setting": (
        {"settings": {"ai:presets": "ai@a"}},
        f"settings.json: ai:presets: unknown key; did you mean ai:preset? Known keys are ai:preset, ai:titlepreset, "
        f"ai:embedpreset, {PRESET_KEYS}",
    ),
    "setting among presets": (
        {"ai": {"ai:claude": A}},
        "presets/ai.json: ai:claude: a setting belongs in settings.json; a preset begins with ai@",
    ),
    "service without a row": (
        {"ai": {"ai@a": {**A, "ai:apitype": "azure"}}},
        f"presets/ai.json: ai@a.ai:apitype: must be one of {', '.join(CATALOG)}",
    ),
    "service of the settings without a row": (
        {"settings": {"ai:apitype": "azure", "ai:model": "m"}},
        f"settings.json: ai:apitype: must be one of {', '.join(CATALOG)}",
    ),
    "no model": (
        {"presets": {"ai@a": {"ai:baseurl": "http://127.0.0.1:8080/v1"}}},
        "presets.json: ai@a.ai:model: missing; OpenAI-compatible server has no customary model, "
        "so the preset must name one",
    ),
    "no model in the settings": (
        {"settings": {"ai:baseurl": "http://127.0.0.1:8080/v1"}},
        "settings.json: ai:model: missing; OpenAI-compatible server has no customary model, "
        "so the preset must name one",
    ),
    "value": (
        {"presets": {"ai@a": {**A, "ai:maxtokens": 0.5}}},
        "presets.json: ai@a.ai:maxtokens: must be a whole number from 1 to 10,000,000",
    ),
    "value in the settings": (
        {"settings": {"ai:temperature": "hot"}},
        "settings.json: ai:temperature: must be a number from 0 to 2",
    ),
    "preset that is not there": (
        {"settings": {"ai:preset": "ai@b"}, "presets": {"ai@a": A}},
        "settings.json: ai:preset: must be the name of a preset; there are a, default",
    ),
    "same preset twice": (
        {"presets": {"ai@a": A}, "ai": {"ai@a": A}},
        "presets/ai.json: ai@a: there is a preset of this name already",
    ),
    "same key twice": (
        {"presets": '{"ai@a": {}, "ai@a": {}}'},
        "presets.json: not valid JSON: 'ai@a' stands there twice",
    ),
    "preset name": (
        {"presets": {"ai@my preset": A}},
        "presets.json: ai@my preset: a preset's name has at most 64 letters, digits and _ . @ -, "
        "the first a letter or digit",
    ),
    "preset not an object": ({"presets": {"ai@a": "m"}}, "presets.json: ai@a: must be a table of keys and values"),
    "order": ({"presets": {"ai@a": {"display:order": "1"}}}, "presets.json: ai@a.display:order: must be a number"),
    "title": (
        {"presets": {"ai@a": {"display:name": ["A"]}}},
        "presets.json: ai@a.display:name: must be one line of text of at most 200 characters",
    ),
    "key with a line end": (
        {"presets": {"ai@a": {**A, "ai:apitoken": "sk-1\n"}}},
        "presets.json: ai@a.ai:apitoken: must be a key: one line of plain ASCII characters",
    ),
    "proxy": (
        {"settings": {"ai:proxyurl": "http://127.0.0.1:3128"}},
        "settings.json: ai:proxyurl: a proxy for single presets is not possible here; remove the key",
    ),
    "time": (
        {"presets": {"ai@a": {**A, "ai:timeoutms": -1}}},
        "presets.json: ai@a.ai:timeoutms: must be a number of milliseconds above 0, at most a day",
    ),
    "comment": (
        {"settings": '{\n  // mine\n  "ai:model": "m"\n}'},
        "settings.json: not valid JSON: Expecting property name enclosed in double quotes: line 2 column 3 (char 4)",
    ),
    "NaN": ({"settings": '{"ai:temperature": NaN}'}, "settings.json: not valid JSON: NaN is not a number in JSON"),
    "not an object": ({"settings": "[]"}, "settings.json: must be a JSON object"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_place_and_what_was_expected(tmp_path: Path, mistake: str) -> None:
    documents, expected = MISTAKES[mistake]
    assert complaint(write(tmp_path, **documents)) == expected


def test_files_without_anything_for_us_are_probably_the_wrong_ones(tmp_path: Path) -> None:
    folder = tmp_path / "waveterm"
    folder.mkdir()
    assert complaint(folder) == "waveterm: holds no preset (ai@name) and no ai: setting"
    write(folder, settings={"term:fontsize": 12, "presets": {"claude": {}}}, backgrounds=BACKGROUNDS)
    assert complaint(folder) == "waveterm: holds no preset (ai@name) and no ai: setting"
    assert complaint(folder / "settings.json") == "settings.json: holds no preset (ai@name) and no ai: setting"


def test_a_missing_file_is_named_without_its_folder(tmp_path: Path) -> None:
    assert complaint(tmp_path / "mine.json") == "mine.json: there is no such file"


@pytest.mark.parametrize("text", ['{"ai@a": ' + "[" * 100_000, '{"ai:maxtokens": ' + "9" * 5000 + "}"])
def test_absurd_files_are_refused_like_any_other(tmp_path: Path, text: str) -> None:
    assert complaint(write(tmp_path, settings=text)).startswith("settings.json: not valid JSON: ")
