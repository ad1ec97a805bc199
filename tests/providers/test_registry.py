from __future__ import annotations

import asyncio

import pytest

from app.core.errors import NotConfigured
from app.core.model import Preset, Timeouts
from app.providers.echo.provider import Echo
from app.providers.registry import Registry
from tests.providers.asking import KEY, ask, opened, request
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio


async def test_a_missing_key_is_told_before_anybody_is_asked() -> None:
    async with opened({}) as registry:
        with pytest.raises(NotConfigured, match="ANTHROPIC_API_KEY"):
            registry.open(Preset("claude", "anthropic"))


async def test_the_same_address_and_key_share_their_connections() -> None:
    with Upstream() as upstream:
        async with opened({"OPENAI_API_KEY": KEY}) as registry:
            first = Preset("one", "openai-chat", base_url=upstream.base_url)
            second = Preset("two", "openai-chat", base_url=upstream.base_url, timeouts=Timeouts(total=60))
            await ask(registry.open(first))
            await ask(registry.open(second))
            assert len(upstream._connections) == 1


async def test_many_first_calls_at_once_all_get_their_answer() -> None:
    with Upstream() as upstream:
        async with opened() as registry:
            preset = Preset("one", "openai-chat", base_url=upstream.base_url)
            answers = await asyncio.gather(*(ask(registry.open(preset)) for _ in range(20)))
        assert [answer.text for answer in answers] == ["Hello from upstream."] * 20


async def test_errors_name_the_preset_that_was_asked() -> None:
    with Upstream(key="another") as upstream:
        async with opened() as registry:
            for name in ("one", "two"):
                got = await ask(registry.open(Preset(name, "openai-chat", base_url=upstream.base_url)))
                assert got.error is not None
                assert f"preset '{name}'" in got.error.message
                assert "OPENAI_API_KEY" in got.error.message


async def test_a_proxy_of_the_environment_is_not_asked_for_the_own_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with Upstream() as upstream, Upstream() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        async with opened() as registry:
            got = await ask(registry.open(Preset("one", "openai-chat", base_url=upstream.base_url)))
        assert got.text == "Hello from upstream."
        assert proxy.requests == []


async def test_echo_needs_nothing() -> None:
    registry = Registry({}, echo=Echo(pause=0))
    assert (await ask(registry.open(Preset("demo", "echo")), request("say hello"))).text == "hello"
    await registry.close()
