from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from app.core.services import LocalServer
from app.providers.discover import find_local_server
from tests.upstream import Reply, Upstream, html_reply, json_reply

pytestmark = pytest.mark.anyio

NOWHERE = "http://127.0.0.1:9/v1"
NOBODY = dict.fromkeys(("ollama", "lmstudio", "llamacpp", "vllm"), NOWHERE)


class Servers:
    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def start(self, *models: str, owner: str = "library") -> str:
        return self._stack.enter_context(Upstream(models=models, owner=owner)).base_url


@pytest.fixture
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(stack)


async def test_nobody_is_found_where_nobody_is() -> None:
    assert await find_local_server(base_urls=NOBODY) is None


async def test_the_best_of_those_that_answer_is_found(servers: Servers) -> None:
    ollama, llamacpp = servers.start("llama3.2:3b", "qwen3"), servers.start("any", owner="llamacpp")
    both = NOBODY | {"ollama": ollama, "llamacpp": llamacpp}
    assert await find_local_server(base_urls=both) == LocalServer("ollama", ollama, "llama3.2:3b")
    assert await find_local_server(base_urls=both | {"ollama": NOWHERE}) == LocalServer("llamacpp", llamacpp, "any")


async def test_a_model_that_only_embeds_is_no_model_to_talk_to(servers: Servers) -> None:
    several, alone = servers.start("nomic-embed-text:latest", "qwen3"), servers.start("text-embedding-nomic")
    found = await find_local_server(base_urls=NOBODY | {"ollama": alone, "lmstudio": several})
    assert found == LocalServer("lmstudio", several, "qwen3")


async def test_a_server_without_models_is_passed_over(servers: Servers) -> None:
    assert await find_local_server(base_urls=NOBODY | {"ollama": servers.start()}) is None


async def test_another_palaver_is_not_taken_for_a_model_server(servers: Servers) -> None:
    palaver = servers.start("claude-sonnet-5-5", owner="palaver")
    assert await find_local_server(base_urls=NOBODY | {"vllm": palaver, "llamacpp": palaver}) is None


async def test_the_own_port_is_not_asked() -> None:
    with Upstream(owner="vllm") as upstream:
        assert (
            await find_local_server(base_urls=NOBODY | {"vllm": upstream.base_url}, exclude_port=upstream.port) is None
        )
        assert upstream.requests == []


async def test_a_server_that_does_not_answer_in_time_is_passed_over() -> None:
    with Upstream() as upstream, Upstream(models_reply=Reply(["hold"])) as slow:
        found = await find_local_server(base_urls=NOBODY | {"ollama": slow.base_url, "lmstudio": upstream.base_url})
        assert found is not None
        assert found.provider == "lmstudio"


@pytest.mark.parametrize(
    "reply",
    [
        html_reply(),
        json_reply(200, [1, 2]),
        json_reply(200, {"data": "x"}),
        json_reply(200, {"data": [{"id": 5}, 3]}),
        json_reply(404, {"data": [{"id": "m"}]}),
        Reply([b"\xff"]),
    ],
    ids=["html", "list", "text", "numbers", "404", "bytes"],
)
async def test_whatever_else_answers_is_passed_over(reply: Reply) -> None:
    with Upstream(models_reply=reply) as other:
        assert await find_local_server(base_urls=NOBODY | {"ollama": other.base_url}) is None
