"""One model call for a preset, without a conversation."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.chat.answerers import Answerers
from app.chat.completions import Completions
from app.chat.usage import UsageBook
from app.core.errors import NotFound, ProviderBroken, ProviderUnavailable, UnsupportedContent
from app.core.gateway import CLIENT, Asked
from app.core.model import Configuration, JsonSchema, Media, ModelMessage, NamedTool, Preset, Prices, Reasoning, Text
from app.core.prompt_templates import PromptTemplate, TemplateCall
from app.core.tools import ToolSpec
from app.core.values import Values
from app.storage.usage import SqliteUsageLedger
from tests.chat.scripted import ScriptedProvider, saying

pytestmark = pytest.mark.anyio

SEARCH = {"type": "web_search"}
PRESETS = {
    "default": Preset("default", "deepseek", values=Values(model="big", system="Be kind.", max_tokens=7)),
    "templated": Preset("templated", "openai", values=Values(model="m"), system_template=TemplateCall("tone", {})),
    "searching": Preset("searching", "openai", values=Values(model="m"), provider_tools=(SEARCH,)),
}
HELLO = (ModelMessage("user", (Text("Hello"),)),)


class Desk(ScriptedProvider):
    """Knows no providers beside those of the presets."""

    def knows(self, provider):
        return False

    def maker_of(self, model):
        return None


@pytest.fixture
def opened(house):
    """The call, and the model that will be asked."""

    async def open_it(*script, messages=HELLO, model="default", **fields):
        provider = Desk(*script)
        usage = UsageBook(
            SqliteUsageLedger(house.store.database), lambda *_: Prices(1, 2), lambda: datetime(2026, 11, 21, tzinfo=UTC)
        )
        completions = Completions(
            configuration=lambda: Configuration(PRESETS),
            providers=provider,
            answerers=Answerers(provider, usage),
            prompts=house.prompts,
            usage=usage,
            keys=house.keys,
        )
        return await completions.open(Asked(model, messages, **fields)), provider

    return open_it


async def test_a_whole_answer_is_put_together_and_stands_in_the_books(opened, house):
    completion, _ = await opened(*saying("Good ", "day"))
    answer = await completion.answer()
    assert answer.text == "Good day"
    assert answer.finish.usage.total_tokens == 4
    report = await SqliteUsageLedger(house.store.database).report()
    assert [(total.name, total.calls) for total in report.purposes] == [("gateway", 1)]
    assert report.total.cost_usd == pytest.approx(6e-6)


async def test_an_answer_without_its_end_is_none(opened):
    completion, _ = await opened(*saying("Good ", "day")[:-1])
    with pytest.raises(ProviderBroken):
        await completion.answer()


async def test_a_failure_is_the_providers_own(opened):
    completion, _ = await opened(ProviderUnavailable("Later.", retry_after=3))
    with pytest.raises(ProviderUnavailable) as failure:
        await completion.answer()
    assert failure.value.retry_after == 3


async def test_what_a_program_asks_for_reaches_the_model(opened):
    tool, schema = ToolSpec("rain", "", {"type": "object"}), JsonSchema("n", {})
    completion, _ = await opened(
        values=Values(temperature=0.5, max_tokens=9, response_format="json"),
        tools=(tool,),
        tool_choice=NamedTool("rain"),
        parallel_tools=False,
        json_schema=schema,
    )
    request = completion.request
    assert (request.model, request.system, request.temperature, request.max_tokens) == ("big", "Be kind.", 0.5, 9)
    assert (request.tools, request.tool_choice, request.parallel_tools) == ((tool,), NamedTool("rain"), False)
    assert (request.response_format, request.json_schema) == ("json", schema)


async def test_a_limit_that_is_only_usual_yields_to_the_presets(opened):
    assert (await opened(usual_max_tokens=5))[0].request.max_tokens == 7
    assert (await opened(model="searching", usual_max_tokens=5))[0].request.max_tokens == 5


async def test_the_services_own_tools_are_the_presets_too_unless_they_are_unwanted(opened):
    own = {"type": "code_interpreter"}
    completion, _ = await opened(model="searching", provider_tools=(own,))
    assert completion.request.provider_tools == (SEARCH, own)
    assert (await opened(model="searching", preset_tools=False))[0].request.provider_tools == ()


async def test_a_system_prompt_may_come_from_a_template_but_the_programs_own_counts_more(opened, house):
    await house.prompts.store.save(PromptTemplate("tone", "Be brief."))
    assert (await opened(model="templated"))[0].request.system == "Be brief."
    assert (await opened(model="templated", values=Values(system="Mine.")))[0].request.system == "Mine."
    assert (await opened(model="templated", values=Values(system="")))[0].request.system is None


async def test_a_file_that_the_model_cannot_be_given_is_refused_before_anybody_is_asked(opened):
    document = (ModelMessage("user", (Media("application/pdf", "QQ=="),)),)
    with pytest.raises(UnsupportedContent):
        await opened(messages=document)


async def test_what_a_client_sends_back_without_a_name_belongs_to_whom_it_asks(opened):
    thought = Reasoning("Hm", {CLIENT: {"unnamed": True}, "anthropic": {"signature": "s"}})
    completion, _ = await opened(messages=(*HELLO, ModelMessage("assistant", (thought, Text("Yes"))), *HELLO))
    assert completion.request.messages[1].content[0] == Reasoning(
        "Hm", {"deepseek": {"unnamed": True}, "anthropic": {"signature": "s"}}
    )


async def test_a_provider_that_is_none_is_not_found(opened):
    with pytest.raises(NotFound):
        await opened(model="nobody/nothing")
