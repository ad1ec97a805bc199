from __future__ import annotations

import pytest

from app.core.errors import NotConfigured
from app.core.model import Preset
from app.providers.catalog import CATALOG
from app.providers.endpoint import endpoint

LOCAL = "http://127.0.0.1:9/v1"


def test_the_customary_variable_has_the_key() -> None:
    found = endpoint(Preset("p", "groq"), {"GROQ_API_KEY": " gsk-1\n"})
    assert (found.key, found.key_name, found.base_url) == ("gsk-1", "GROQ_API_KEY", "https://api.groq.com/openai/v1")


def test_a_preset_may_name_another_variable() -> None:
    preset = Preset("p", "openai", api_key_env="WORK_KEY")
    assert endpoint(preset, {"WORK_KEY": "sk-work", "OPENAI_API_KEY": "sk-home"}).key == "sk-work"


def test_a_key_in_the_configuration_wins() -> None:
    assert endpoint(Preset("p", "openai", api_key="sk-file"), {"OPENAI_API_KEY": "sk-env"}).key == "sk-file"


@pytest.mark.parametrize(
    "provider", [name for name, service in CATALOG.items() if service.key_env and not service.key_optional]
)
@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_key_names_the_preset_and_the_variable(provider: str, value: str | None) -> None:
    variable = CATALOG[provider].key_env
    assert variable is not None
    with pytest.raises(NotConfigured, match=rf"'mine'.*{variable}"):
        endpoint(Preset("mine", provider), {} if value is None else {variable: value})


def test_a_key_that_a_service_can_do_without_is_sent_where_there_is_one() -> None:
    assert endpoint(Preset("mine", "wave-cloud"), {}).key is None
    assert endpoint(Preset("mine", "wave-cloud"), {"WAVE_CLIENT_ID": "me"}).key == "me"


@pytest.mark.parametrize("provider", [name for name, service in CATALOG.items() if service.local])
def test_a_local_server_needs_no_key(provider: str) -> None:
    assert endpoint(Preset("p", provider), {"OPENAI_API_KEY": "sk-not-yours"}).key is None


def test_a_server_of_ones_own_needs_no_key_unless_one_is_named() -> None:
    assert endpoint(Preset("p", "openai-chat", base_url=LOCAL), {}).key is None
    with pytest.raises(NotConfigured, match="MY_KEY"):
        endpoint(Preset("p", "openai-chat", base_url=LOCAL, api_key_env="MY_KEY"), {})


def test_secrets_are_not_in_the_repr() -> None:
    found = endpoint(Preset("p", "openai", headers={"X-Auth": "hush"}), {"OPENAI_API_KEY": "sk-secret"})
    assert found.secrets == ("sk-secret", "hush")
    assert "sk-secret" not in repr(found)
    assert "hush" not in repr(found)


@pytest.mark.parametrize(
    ("base_url", "is_loopback"),
    [
        (LOCAL, True),
        ("http://127.9.9.9/v1", True),
        ("http://[::1]:8080/v1", True),
        ("http://LOCALHOST:11434/v1", True),
        ("http://ollama.localhost/v1", True),
        ("http://192.168.1.5:11434/v1", False),
        ("https://localhost.example.com/v1", False),
        ("https://api.openai.com/v1", False),
    ],
)
def test_the_own_machine_is_known(base_url: str, *, is_loopback: bool) -> None:
    assert endpoint(Preset("p", "openai-chat", base_url=base_url), {}).is_loopback is is_loopback


def test_people_are_shown_the_host_without_a_password() -> None:
    assert endpoint(Preset("p", "openai-chat", base_url="http://me:hush@10.0.0.1:8080/v1"), {}).host == "10.0.0.1:8080"
