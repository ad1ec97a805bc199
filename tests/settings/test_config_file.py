from __future__ import annotations

from pathlib import Path

import pytest

from app.core.model import Configuration, Preset, Timeouts
from app.core.prompt_templates import TemplateCall
from app.core.values import Values
from app.providers.catalog import CATALOG
from app.settings.config_file import read_config_file
from app.settings.errors import ConfigurationError

WHOLE = """
[settings]
"ai:preset" = "local"
"ai:temperature" = 0.3
"ai:maxtokens" = 2000
"ai:system" = "Be brief."

[presets.claude]
provider = "anthropic"
model = "claude-sonnet-5-5"
title = "Claude 👩‍💻"
description = "The careful one"
api_key_env = "MY_KEY"
system = '''
You are kind.
You are patient.'''
temperature = 1
top_p = 0.9
max_tokens = 4096
stop = ["END"]
thinking = "high"
response_format = "json"
headers = { "X-Team" = "blue" }
timeouts = { connect = 2, first_event = 300, between_events = 30.5, total = 1200 }

[presets.local]
provider = "llamacpp"
base_url = "http://127.0.0.1:8080/v1/"
model = "any"

[presets."ai@quick"]
provider = "groq"
thinking = 2048
"""


def read(folder: Path, text: str | bytes) -> Configuration:
    file = folder / "palaver.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_config_file(file)


def complaint(folder: Path, text: str | bytes) -> str:
    with pytest.raises(ConfigurationError) as raised:
        read(folder, text)
    told = str(raised.value)
    assert "\n" not in told
    assert str(folder) not in told
    return told


def test_a_whole_file_is_understood(tmp_path: Path) -> None:
    assert read(tmp_path, WHOLE) == Configuration(
        preset="local",
        values=Values(temperature=0.3, max_tokens=2000, system="Be brief."),
        presets={
            "claude": Preset(
                name="claude",
                provider="anthropic",
                title="Claude 👩‍💻",
                description="The careful one",
                api_key_env="MY_KEY",
                headers={"X-Team": "blue"},
                values=Values(
                    model="claude-sonnet-5-5",
                    system="You are kind.\nYou are patient.",
                    temperature=1,
                    top_p=0.9,
                    max_tokens=4096,
                    stop=("END",),
                    thinking="high",
                    response_format="json",
                ),
                default_model=CATALOG["anthropic"].default_model,
                timeouts=Timeouts(connect=2, first_event=300, between_events=30.5, total=1200),
            ),
            "local": Preset(
                name="local",
                provider="llamacpp",
                base_url="http://127.0.0.1:8080/v1",
                values=Values(model="any"),
                timeouts=Timeouts(first_event=600),
            ),
            "quick": Preset(
                name="quick",
                provider="groq",
                values=Values(thinking=2048),
                default_model=CATALOG["groq"].default_model,
            ),
        },
    )


def test_presets_keep_the_order_of_the_file(tmp_path: Path) -> None:
    assert list(read(tmp_path, WHOLE).presets) == ["claude", "local", "quick"]


def test_a_preset_may_be_named_for_embeddings(tmp_path: Path) -> None:
    settings = '[settings]\n"ai:embedpreset" = "ai@e"\n'
    assert read(tmp_path, settings + '[presets.e]\nprovider = "voyage"').embed_preset == "e"
    assert read(tmp_path, settings + '[presets.e]\nprovider = "ollama"\nmodel = "m"').embed_preset == "e"


@pytest.mark.parametrize("chosen", ["a", "ai@a", "default"])
def test_a_preset_may_be_named_for_titles(tmp_path: Path, chosen: str) -> None:
    found = read(tmp_path, f'[settings]\n"ai:titlepreset" = "{chosen}"\n[presets.a]\nprovider = "echo"')
    assert found.title_preset == chosen.removeprefix("ai@")
    assert found.preset is None


@pytest.mark.parametrize("text", ["", "# nothing yet\n", b"\xef\xbb\xbf[settings]\r\n"])
def test_a_file_may_say_nothing(tmp_path: Path, text: str | bytes) -> None:
    assert read(tmp_path, text) == Configuration(presets={})


@pytest.mark.parametrize("provider", [name for name in CATALOG if name != "router"])
def test_every_row_of_the_catalog_can_be_named(tmp_path: Path, provider: str) -> None:
    found = read(tmp_path, f'[presets.a]\nprovider = "{provider}"\nmodel = "m"')
    assert found.presets["a"].provider == provider


def test_a_global_model_serves_presets_that_name_none(tmp_path: Path) -> None:
    found = read(tmp_path, '[settings]\n"ai:model" = "m"\n[presets.a]\nprovider = "ollama"')
    assert found.values.model == "m"
    assert found.presets["a"].values.model is None


def test_the_global_preset_may_be_the_default_and_have_its_wave_name(tmp_path: Path) -> None:
    assert read(tmp_path, '[settings]\n"ai:preset" = "ai@default"').preset == "default"


PRESET = '[presets.claude]\nprovider = "anthropic"\n'
KNOWN = (
    "provider, model, system, temperature, top_p, max_tokens, stop, thinking, response_format, on_disconnect, "
    "cache, max_steps, tools, tool_policy, "
    "base_url, api_key_env, headers, timeouts, provider_tools, prices, embed_prefixes, title, description, "
    "system_template, variables, strategy, candidates, classifier, rules"
)
PROVIDERS = ", ".join(CATALOG)

MISTAKES = {
    "misspelt key": (
        PRESET + "temprature = 1",
        f"palaver.toml: presets.claude.temprature: unknown key; did you mean temperature? Known keys are {KNOWN}",
    ),
    "key from somewhere else": (
        PRESET + 'organization = "x"',
        f"palaver.toml: presets.claude.organization: unknown key; known keys are {KNOWN}",
    ),
    "the key itself": (
        PRESET + 'api_key = "sk-ant-123456"',
        f"palaver.toml: presets.claude.api_key: unknown key; did you mean api_key_env? Known keys are {KNOWN}",
    ),
    "the key itself as a variable": (
        PRESET + 'api_key_env = "sk-ant-123456"',
        "palaver.toml: presets.claude.api_key_env: must be the name of an environment variable, not the key itself",
    ),
    "singular": (
        '[preset.claude]\nprovider = "anthropic"',
        "palaver.toml: preset: unknown key; did you mean presets? Known keys are settings, presets, tools, mcp",
    ),
    "no provider": (
        '[presets.claude]\nmodel = "m"',
        f"palaver.toml: presets.claude.provider: must be one of {PROVIDERS}",
    ),
    "unknown provider": (
        '[presets.claude]\nprovider = "antropic"',
        f"palaver.toml: presets.claude.provider: must be one of {PROVIDERS}",
    ),
    "provider of a wrong type": (
        '[presets.claude]\nprovider = ["anthropic"]',
        f"palaver.toml: presets.claude.provider: must be one of {PROVIDERS}",
    ),
    "no model": (
        '[presets.far]\nprovider = "openrouter"',
        "palaver.toml: presets.far.model: missing; OpenRouter has no customary model, so the preset must name one",
    ),
    "number as text": (
        PRESET + 'temperature = "0.5"',
        "palaver.toml: presets.claude.temperature: must be a number from 0 to 2",
    ),
    "not a number": (
        PRESET + "top_p = nan",
        "palaver.toml: presets.claude.top_p: must be a number from 0 to 1",
    ),
    "date": (
        PRESET + "max_tokens = 2026-11-21",
        "palaver.toml: presets.claude.max_tokens: must be a whole number from 1 to 10,000,000",
    ),
    "wrong word": (
        PRESET + 'thinking = "hard"',
        "palaver.toml: presets.claude.thinking: must be off, low, medium, high or a number of tokens",
    ),
    "global preset that is not there": (
        PRESET + '[settings]\n"ai:preset" = "cluade"',
        "palaver.toml: settings.ai:preset: must be the name of a preset; there are claude, default",
    ),
    "title preset that is not there": (
        PRESET + '[settings]\n"ai:titlepreset" = "cheap"',
        "palaver.toml: settings.ai:titlepreset: must be the name of a preset; there are claude, default",
    ),
    "embedding preset of a service that makes none": (
        PRESET + '[settings]\n"ai:embedpreset" = "claude"',
        "palaver.toml: settings.ai:embedpreset: must be a preset whose provider makes embeddings, one of "
        + ", ".join(name for name, service in CATALOG.items() if service.embeddings is not None),
    ),
    "embedding preset without a model": (
        '[presets.e]\nprovider = "openai"\n[settings]\n"ai:embedpreset" = "e"',
        "palaver.toml: settings.ai:embedpreset: the preset e must name a model that makes embeddings",
    ),
    "global key misspelt": (
        '[settings]\n"ai:max_tokens" = 5',
        "palaver.toml: settings.ai:max_tokens: unknown key; did you mean ai:maxtokens? Known keys are ai:preset, "
        "ai:titlepreset, ai:embedpreset, "
        "ai:model, ai:system, ai:temperature, ai:topp, ai:maxtokens, ai:stop, ai:thinking, ai:responseformat, "
        "ai:ondisconnect, ai:cache, ai:maxsteps, ai:tools, ai:toolpolicy",
    ),
    "global value out of range": (
        '[settings]\n"ai:temperature" = 5',
        "palaver.toml: settings.ai:temperature: must be a number from 0 to 2",
    ),
    "settings not a table": ("settings = 1", "palaver.toml: settings: must be a table of keys and values"),
    "presets not a table": ("presets = []", "palaver.toml: presets: must be a table of keys and values"),
    "preset not a table": (
        '[presets]\nclaude = "x"',
        "palaver.toml: presets.claude: must be a table of keys and values",
    ),
    "preset name": (
        '[presets."my claude"]\nprovider = "anthropic"',
        "palaver.toml: presets.my claude: a preset's name has at most 64 letters, digits and _ . @ -, "
        "the first a letter or digit",
    ),
    "preset name with a line end": (
        '[presets."a\\nb"]\nprovider = "anthropic"',
        "palaver.toml: presets.'a\\nb': a preset's name has at most 64 letters, digits and _ . @ -, "
        "the first a letter or digit",
    ),
    "same preset twice": (
        PRESET + '[presets."ai@claude"]\nprovider = "openai"',
        "palaver.toml: presets.ai@claude: there is a preset of this name already",
    ),
    "password in an address": (
        PRESET + 'base_url = "https://me:secret@proxy.example.com/v1"',
        "palaver.toml: presets.claude.base_url: must not hold a name or a password; a key belongs in api_key_env",
    ),
    "address of another kind": (
        PRESET + 'base_url = "file:///etc/passwd"',
        "palaver.toml: presets.claude.base_url: must be an address such as http://127.0.0.1:8080/v1",
    ),
    "key as a header": (
        PRESET + 'headers = { authorization = "Bearer x" }',
        "palaver.toml: presets.claude.headers.authorization: this header is set by the server itself; "
        "a key belongs in api_key_env",
    ),
    "header name": (
        PRESET + 'headers = { "X Team" = "blue" }',
        "palaver.toml: presets.claude.headers.X Team: not a name that a header can have",
    ),
    "header value": (
        PRESET + "headers = { X-Team = 1 }",
        "palaver.toml: presets.claude.headers.X-Team: must be one line of plain ASCII text",
    ),
    "two header lines": (
        PRESET + 'headers = { X-Team = "a\\r\\nHost: b" }',
        "palaver.toml: presets.claude.headers.X-Team: must be one line of plain ASCII text",
    ),
    "timeouts not a table": (
        PRESET + "timeouts = 30",
        "palaver.toml: presets.claude.timeouts: must be a table of keys and values",
    ),
    "unknown timeout": (
        PRESET + "timeouts = { read = 30 }",
        "palaver.toml: presets.claude.timeouts.read: unknown key; "
        "known keys are connect, first_event, between_events, total",
    ),
    "no time at all": (
        PRESET + "timeouts = { total = 0 }",
        "palaver.toml: presets.claude.timeouts.total: must be a number of seconds above 0, at most a day",
    ),
    "true as a number": (
        PRESET + "timeouts = { total = true }",
        "palaver.toml: presets.claude.timeouts.total: must be a number of seconds above 0, at most a day",
    ),
    "title": (
        PRESET + 'title = """two\nlines"""',
        "palaver.toml: presets.claude.title: must be one line of text of at most 200 characters",
    ),
    "system prompt twice": (
        PRESET + 'system = "a"\nsystem_template = "b"',
        "palaver.toml: presets.claude.system_template: must not stand beside system; choose one of them",
    ),
    "not the name of a template": (
        PRESET + 'system_template = "A b"',
        "palaver.toml: presets.claude.system_template: must be the name of a prompt template",
    ),
    "variables of nothing": (
        PRESET + "variables = { a = 1 }",
        "palaver.toml: presets.claude.variables: fill a prompt template; name one in system_template",
    ),
    "a date as a variable": (
        PRESET + 'system_template = "b"\nvariables = { a = 2026-11-21 }',
        "palaver.toml: presets.claude.variables: must hold texts, numbers, lists and tables",
    ),
    "not TOML": (
        '[settings]\nai:preset = "claude"',
        "palaver.toml: not valid TOML: Expected '=' after a key in a key/value pair (at line 2, column 3)",
    ),
    "not text": (b"[settings]\n\xff\xfe", "palaver.toml: must be text in UTF-8"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_place_and_what_was_expected(tmp_path: Path, mistake: str) -> None:
    text, expected = MISTAKES[mistake]
    assert complaint(tmp_path, text) == expected


@pytest.mark.parametrize(
    "address",
    ["ws://a/v1", "https://", "http://a:99999", "http://a b", "https://a/v1?key=1", "https://a/#x", "a.example.com", 3],
)
def test_an_address_that_cannot_work_is_refused(tmp_path: Path, address: object) -> None:
    told = complaint(tmp_path, f"{PRESET}base_url = {address!r}")
    assert told == "palaver.toml: presets.claude.base_url: must be an address such as http://127.0.0.1:8080/v1"


@pytest.mark.parametrize(
    "address",
    ["http://localhost:1234", "https://[::1]:8080/v1", "https://a.example.com/accounts/me@example/v1"],
)
def test_an_address_that_can_work_is_taken_as_it_is(tmp_path: Path, address: str) -> None:
    assert read(tmp_path, f'{PRESET}base_url = "{address}"').presets["claude"].base_url == address


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "9" * 5000])
def test_absurd_files_are_refused_like_any_other(tmp_path: Path, text: str) -> None:
    assert complaint(tmp_path, text).startswith("palaver.toml: not valid TOML: ")


def test_a_missing_file_is_named_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^palaver\.toml: there is no such file$"):
        read_config_file(tmp_path / "palaver.toml")


def test_a_preset_may_take_its_system_prompt_from_a_template(tmp_path: Path) -> None:
    text = PRESET + 'system_template = "tone"\nvariables = { mood = "kind", topics = ["a", "b"] }'
    call = read(tmp_path, text).presets["claude"].system_template
    assert call == TemplateCall("tone", {"mood": "kind", "topics": ["a", "b"]})


def test_what_texts_for_embeddings_begin_with(tmp_path):
    preset = "[presets.e]\nprovider = 'ollama'\nmodel = 'm'\n"
    assert read(tmp_path, preset).presets["e"].embed_prefixes is None
    found = read(tmp_path, f"{preset}embed_prefixes = {{ query = 'Q: ' }}").presets["e"]
    assert found.embed_prefixes == {"query": "Q: "}
    with pytest.raises(ConfigurationError, match="did you mean query"):
        read(tmp_path, f"{preset}embed_prefixes = {{ queri = 'Q: ' }}")
