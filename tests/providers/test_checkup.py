"""What the doctor says of a preset, from real answers of a service on loopback."""

from __future__ import annotations

import asyncio

import pytest

from app.core.model import Preset
from app.core.services import Check, ListedModel, ServiceFacts
from app.core.values import Values
from app.providers.checkup import ConfiguredServices, check
from app.providers.model_list import listed_models
from tests.providers.asking import KEY
from tests.upstream import Gate, Reply, Upstream, json_reply

pytestmark = pytest.mark.anyio

NOWHERE = "http://127.0.0.1:9/v1"
NOTHING = json_reply(404, {"error": {"message": "Not found"}})


@pytest.mark.parametrize("provider", ["anthropic", "openai-chat"])
async def test_the_doctor_asks_for_the_models_with_the_key(provider: str) -> None:
    with Upstream(key=KEY, models=("a", "b")) as upstream:
        preset = Preset("mine", provider, base_url=upstream.base_url)
        environ = {"ANTHROPIC_API_KEY": KEY, "OPENAI_API_KEY": KEY}
        well = await check(preset, environ)
        ill = await check(preset, dict.fromkeys(environ, "sk-wrong-0123456789"))
        assert upstream.requests[0].path.partition("?")[0] == "/v1/models"
    assert (well.ok, "lists 2 models" in well.sentence) == (True, True)
    assert (ill.ok, "_API_KEY" in ill.sentence) == (False, True)
    assert "sk-wrong" not in ill.sentence


async def test_a_model_that_nobody_knows_is_wrong() -> None:
    with Upstream(models=("a", "b")) as upstream:
        result = await check(Preset("mine", "openai-chat", base_url=upstream.base_url, values=Values(model="c")), {})
        assert [request.path for request in upstream.requests] == ["/v1/models", "/v1/models/c"]
    assert (result.ok, "has no model 'c'" in result.sentence) == (False, True)


async def test_the_doctor_reads_googles_own_list_of_models() -> None:
    listed = json_reply(200, {"models": [{"name": "models/gemini-9"}, {"name": "models/gemini-9-lite"}]})
    with Upstream(key=KEY, models_reply=listed) as upstream:
        preset = Preset("mine", "google", base_url=upstream.base_url, values=Values(model="gemini-9"))
        result = await check(preset, {"GEMINI_API_KEY": KEY})
        assert upstream.requests[0].headers["x-goog-api-key"] == KEY
    assert (result.ok, "lists 2 models" in result.sentence) == (True, True)


async def test_the_doctor_asks_wave_cloud_nothing() -> None:
    assert (await check(Preset("mine", "wave-cloud"), {})).ok


async def test_the_doctor_tells_a_missing_key() -> None:
    result = await check(Preset("mine", "anthropic"), {})
    assert (result.ok, "ANTHROPIC_API_KEY" in result.sentence) == (False, True)


async def test_the_doctor_tells_where_nobody_answers() -> None:
    result = await check(Preset("mine", "ollama", base_url=NOWHERE), {})
    assert (result.ok, "127.0.0.1:9" in result.sentence) == (False, True)


@pytest.mark.parametrize(
    "base_url", ["not an address", "http://", "ftp://127.0.0.1/v1", "http://127.0.0.1:99999999/v1"]
)
async def test_the_doctor_survives_a_base_url_that_is_none(base_url: str) -> None:
    assert not (await check(Preset("mine", "openai-chat", base_url=base_url), {})).ok


@pytest.mark.parametrize(("status", "ok"), [(403, False), (500, False), (429, False), (302, False)])
async def test_the_doctor_judges_by_the_status(status: int, *, ok: bool) -> None:
    with Upstream(models_reply=json_reply(status, {})) as upstream:
        assert (await check(Preset("mine", "openai-chat", base_url=upstream.base_url), {})).ok is ok


async def test_echo_is_always_well() -> None:
    assert (await check(Preset("demo", "echo"), {})).ok


async def test_a_model_that_is_known_without_being_listed_is_well() -> None:
    """An alias such as `claude-haiku-4-5` for a name with a date."""
    listed = json_reply(200, {"data": [{"id": "a-20251001"}]})
    with Upstream(models_reply=listed, unlisted=("a",)) as upstream:
        preset = Preset("mine", "anthropic", base_url=upstream.base_url, values=Values(model="a"))
        result = await check(preset, {"ANTHROPIC_API_KEY": KEY})
    assert (result.ok, "knows the model 'a'" in result.sentence) == (True, True)


async def test_a_model_of_the_settings_for_all_is_looked_for_too() -> None:
    with Upstream(models=("a",)) as upstream:
        preset = Preset("mine", "openai-chat", base_url=upstream.base_url)
        assert (await check(preset, {}, "a")).ok
        assert not (await check(preset, {}, "b")).ok


@pytest.mark.parametrize("provider", ["ollama", "llamacpp"])
async def test_local_servers_know_their_models_by_more_names(provider: str) -> None:
    with Upstream(models=("qwen3:latest",)) as upstream:
        preset = Preset("mine", provider, base_url=upstream.base_url, values=Values(model="qwen3"))
        assert (await check(preset, {})).ok
        other = Preset("mine", provider, base_url=upstream.base_url, values=Values(model="any"))
        assert (await check(other, {})).ok is (provider == "llamacpp")


@pytest.mark.parametrize("provider", ["openai-chat", "openai-responses", "anthropic", "google"])
async def test_an_address_with_nothing_behind_it_is_wrong(provider: str) -> None:
    with Upstream(models_reply=NOTHING, otherwise=lambda _: NOTHING) as upstream:
        preset = Preset("mine", provider, base_url=upstream.url + "/v2")
        result = await check(preset, {"ANTHROPIC_API_KEY": KEY, "GEMINI_API_KEY": KEY})
    assert (result.ok, "base_url" in result.sentence) == (False, True)


@pytest.mark.parametrize(("status", "ok"), [(400, True), (422, True), (401, False), (503, False)])
async def test_a_service_without_a_list_is_judged_by_its_word_to_an_empty_question(status: int, *, ok: bool) -> None:
    with Upstream(models_reply=NOTHING, otherwise=lambda _: json_reply(status, {})) as upstream:
        result = await check(Preset("mine", "openai-chat", base_url=upstream.base_url), {})
        assert upstream.requests[-1].json == {}
    assert result.ok is ok


@pytest.mark.parametrize(
    ("item", "model"),
    [
        ({"id": "m", "owned_by": "someone"}, ListedModel("m")),
        (
            {
                "id": "claude",
                "max_input_tokens": 1_000_000,
                "capabilities": {
                    "image_input": {"supported": True},
                    "pdf_input": {"supported": True},
                    "thinking": {"supported": False},
                },
            },
            ListedModel("claude", 1_000_000, ("images", "PDFs")),
        ),
        (
            {
                "id": "a/b",
                "context_length": 131_072,
                "architecture": {"input_modalities": ["text", "image", "video"]},
                "supported_parameters": ["tools", "reasoning", "seed"],
            },
            ListedModel("a/b", 131_072, ("images", "tools", "thinking")),
        ),
        (
            {"id": "mistral", "capabilities": {"vision": True, "function_calling": True}, "max_context_length": 5},
            ListedModel("mistral", 5, ("images", "tools")),
        ),
        ({"id": "gpt-6.1-terra"}, ListedModel("gpt-6.1-terra", None, ("thinking",))),
        ({"id": "x", "meta": {"n_ctx_train": 128}}, ListedModel("x", 128)),
        ({"id": "odd", "capabilities": ["vision"], "architecture": "x", "context_length": "many"}, ListedModel("odd")),
    ],
)
def test_a_model_can_do_what_its_service_says(item: dict[str, object], model: ListedModel) -> None:
    [reply] = json_reply(200, {"data": [item]}).steps
    assert isinstance(reply, bytes)
    assert listed_models(reply) == (model,)


async def test_two_who_ask_at_once_cost_the_service_one_question() -> None:
    gate, now = Gate(), [0.0]
    with Upstream(models_reply=Reply([gate, *json_reply(200, {"data": [{"id": "a"}]}).steps])) as upstream:
        services = ConfiguredServices({}, clock=lambda: now[0])
        preset = Preset("mine", "openai-chat", base_url=upstream.base_url)
        both = asyncio.gather(services.check(preset), services.check(preset))
        gate.open()
        first, second = await both
        assert first is second
        now[0] = 9.0
        assert await services.check(preset) is first
        now[0] = 11.0
        assert await services.check(preset) == Check(True, first.sentence, (ListedModel("a"),))
        assert len(upstream.requests) == 2
        await services.close()


async def test_what_is_known_of_a_service_without_asking_it() -> None:
    services = ConfiguredServices({"GROQ_API_KEY": KEY, "MINE": KEY})
    assert services.facts(Preset("a", "groq")) == ServiceFacts("Groq", "api.groq.com", "GROQ_API_KEY", "present")
    assert services.facts(Preset("a", "anthropic")).key == "missing"
    assert services.facts(Preset("a", "anthropic", api_key_env="MINE")).key_name == "MINE"
    assert services.facts(Preset("a", "ollama")).key == "none"
    assert services.facts(Preset("a", "openai-chat", base_url=NOWHERE)).key == "optional"
    assert services.facts(Preset("a", "echo")).key == "none"
    assert KEY not in repr(services.facts(Preset("a", "groq")))


async def test_a_server_on_this_machine_is_found_when_it_is_asked_for() -> None:
    with Upstream(models=("qwen3",)) as upstream:
        nobody = dict.fromkeys(("lmstudio", "llamacpp", "vllm"), NOWHERE)
        services = ConfiguredServices({}, local_urls={**nobody, "ollama": upstream.base_url})
        found = await services.local_server()
    assert found is not None
    assert (found.provider, found.model) == ("ollama", "qwen3")
    assert await services.local_server() is found
