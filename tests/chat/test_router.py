"""Whom a router asks, whom it asks next, and what it says of that: against services that do what a test tells them."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.chat.answerers import Answerers
from app.chat.classifier import Classifier
from app.chat.presets import model_of, resolve
from app.chat.usage import UsageBook
from app.core.convert import NOT_SENT
from app.core.errors import (
    AppError,
    ContextOverflow,
    InvalidRequest,
    NotConfigured,
    PresetRefused,
    ProviderBroken,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnavailable,
    UnsupportedContent,
)
from app.core.events import Answering, CallWarning, ModelFinish, Status, TextDelta
from app.core.model import Configuration, Media, ModelMessage, ModelRequest, Preset, Prices, Text, Timeouts
from app.core.routing import Router, Rule, Skipped, When
from app.core.tools import ToolSpec
from app.core.values import NO_VALUES, Values
from app.providers.prices import prices_of
from app.providers.registry import Registry
from app.providers.retry import Retry
from tests.providers.asking import Naps
from tests.upstream import Gate, Reply, Upstream, chat_answer, html_reply, json_reply

pytestmark = pytest.mark.anyio

RULE = Rule(When(tools=False), ("one",))
IMAGE = Media("image/png", "aGVsbG8=")


class Ledger:
    def __init__(self):
        self.entries = []

    async def add(self, entry):
        self.entries.append(entry)


class House:
    """Two services behind the presets `one` and `two`, and a router `auto` before them."""

    def __init__(self, one, two, registry, naps):
        self.one, self.two, self.registry, self.naps = one, two, registry, naps
        self.now = 0.0
        self.ledger = Ledger()
        self.usage = UsageBook(self.ledger, prices_of, lambda: datetime(2026, 11, 21, tzinfo=UTC))
        self.answerers = Answerers(registry, self.usage, clock=lambda: self.now)
        self.presets = {
            "one": Preset("one", "openai-chat", base_url=one.base_url, values=Values(model="m1", system="One.")),
            "two": Preset("two", "openai-chat", base_url=two.base_url, values=Values(model="m2", temperature=0.5)),
            "echo": Preset("echo", "echo", default_model="echo"),
            "blind": Preset("blind", "deepseek", base_url=two.base_url, values=Values(model="m3")),
            "keyless": Preset("keyless", "groq", default_model="g"),
        }
        self.router = Router("best", ("one", "two"))
        self.values = NO_VALUES

    def change(self, name, **changes):
        self.presets[name] = replace(self.presets[name], **changes)

    def open(self, *, options=NO_VALUES, settings=NO_VALUES, tools=()):
        configuration = Configuration(
            {**self.presets, "auto": Preset("auto", "router", values=self.values, router=self.router)}, values=settings
        )
        resolved = resolve(configuration, url_preset="auto", options=options, headers=NO_VALUES, block={})

        def request(resolved):
            values = resolved.values
            return ModelRequest(
                model_of(resolved),
                (),
                system=values.system,
                temperature=values.temperature,
                max_tokens=values.max_tokens,
                response_format=values.response_format or "text",
                tools=tools,
            )

        return self.answerers.open(resolved, request), request(resolved)

    async def ask(self, *content, **more):
        """One call of a new turn."""
        provider, request = self.open(**more)
        return await call(provider, request, *content)


class Told:
    def __init__(self, events, error):
        self.events, self.error = events, error
        self.text = "".join(event.delta for event in events if isinstance(event, TextDelta))
        self.warnings = [event.details for event in events if isinstance(event, CallWarning)]
        answering = [event for event in events if isinstance(event, Answering)]
        assert len(answering) <= 1
        self.route = answering[0].route if answering else None


async def call(provider, request, *content):
    message = ModelMessage("user", tuple(Text(item) if isinstance(item, str) else item for item in content or ("hi",)))
    events, error = [], None
    try:
        async with aclosing(provider.stream(replace(request, messages=(message,)))) as batches:
            async for batch in batches:
                events += batch
    except AppError as failure:
        error = failure
    return Told(events, error)


@asynccontextmanager
async def open_house():
    with Upstream() as one, Upstream() as two:
        naps = Naps()
        registry = Registry({"OPENAI_API_KEY": "k"}, retry=Retry(sleep=naps.sleep))
        try:
            yield House(one, two, registry, naps)
        finally:
            await registry.close()


@pytest.fixture
async def house():
    async with open_house() as house:
        yield house


async def test_the_first_of_the_best_answers_with_its_own_values(house):
    told = await house.ask(options=Values(max_tokens=7))
    assert told.text == "Hello from upstream."
    assert told.route.to_wire() == {"preset": "one", "model": "m1", "why": "the first of 2"}
    body = house.one.requests[0].json
    assert (body["model"], body["messages"][0]["content"], body["max_tokens"]) == ("m1", "One.", 7)
    assert not house.two.requests


async def test_what_the_router_says_itself_holds_for_whoever_answers(house):
    house.values = Values(system="All.", temperature=1.0)
    house.router = Router("best", ("two",))
    await house.ask(settings=Values(system="Nobody.", max_tokens=9))
    body = house.two.requests[0].json
    assert (body["messages"][0]["content"], body["temperature"], body["max_tokens"]) == ("All.", 1.0, 9)


async def test_nobody_names_a_model_for_a_router(house):
    with pytest.raises(InvalidRequest, match="The preset auto is a router") as raised:
        house.open(options=Values(model="m1"))
    assert raised.value.param == "options.model"


def too_long(message, **more):
    return json_reply(400, {"error": {"message": message, "type": "invalid_request_error", **more}})


REFUSED = json_reply(400, {"error": {"message": "temperature must be lower", "type": "invalid_request_error"}})
FALLING_OVER = {
    "429": (json_reply(429, {}, {"retry-after": "60"}), ProviderRateLimited),
    "500": (json_reply(500, {}), ProviderUnavailable),
    "529": (json_reply(529, {}), ProviderUnavailable),
    "busy": (json_reply(409, {}), ProviderUnavailable),
    "reset": (Reply(["reset"]), ProviderUnavailable),
    "cut off before the first word": (Reply(["cut"]), AppError),
    "not a model": (html_reply(), ProviderBroken),
    "overflow": (too_long("This model's maximum context length is 8192 tokens."), ContextOverflow),
    "overflow by code": (too_long("no", code="context_length_exceeded"), ContextOverflow),
    "overflow of llama.cpp": (
        json_reply(400, {"error": {"type": "exceed_context_size_error", "message": "the request exceeds it"}}),
        ContextOverflow,
    ),
    "too large": (json_reply(413, {"error": {"message": "prompt is too long: 9 tokens > 8 maximum"}}), ContextOverflow),
    "401": (json_reply(401, {}), PresetRefused),
    "403": (json_reply(403, {}), PresetRefused),
    "no credit": (json_reply(402, {}), PresetRefused),
    "no such model": (json_reply(404, {"error": {"code": "model_not_found", "message": "?"}}), PresetRefused),
}


@pytest.mark.parametrize("name", FALLING_OVER)
async def test_a_failure_before_the_first_event_goes_to_the_next(house, name):
    reply, kind = FALLING_OVER[name]
    house.one.reply(reply, reply)
    told = await house.ask()
    assert told.text == "Hello from upstream."
    assert told.error is None
    assert (told.route.preset, told.route.why) == ("two", "the next in line after one")
    [skipped] = told.route.skipped
    assert skipped.preset == "one"
    assert bool(told.warnings) == (kind is PresetRefused)
    assert not any(isinstance(event, Status) for event in told.events)


@pytest.mark.parametrize("name", FALLING_OVER)
async def test_the_same_failure_of_the_last_one_is_told(house, name):
    reply, kind = FALLING_OVER[name]
    house.router = Router("best", ("one",))
    house.one.reply(*[reply] * 3)
    told = await house.ask()
    assert isinstance(told.error, kind)
    assert told.route is None


async def test_a_request_that_is_refused_is_not_sent_to_others(house):
    house.one.reply(REFUSED)
    told = await house.ask()
    assert type(told.error) is ProviderRejected
    assert not house.two.requests


@pytest.mark.parametrize("rest", [["cut"], ["reset"], [b"data: nonsense\n\n"]])
async def test_after_the_first_event_nobody_else_is_asked(house, rest):
    house.one.reply([*chat_answer("shown", finish=None), *rest])
    told = await house.ask()
    assert told.text == "shown"
    assert told.error is not None
    assert told.route.preset == "one"
    assert not house.two.requests


async def test_a_service_that_says_nothing_in_time(house):
    house.change("one", timeouts=Timeouts(first_event=0.3))
    house.one.reply(Reply(["hold"]))
    told = await house.ask()
    assert (told.route.preset, told.text) == ("two", "Hello from upstream.")
    await house.one.requests[0].gone.opened()


async def test_a_service_that_nobody_listens_at(house):
    with Upstream() as gone:
        address = gone.base_url
    house.change("one", base_url=address)
    assert (await house.ask()).route.preset == "two"


async def test_an_open_breaker_is_not_waited_for(house):
    house.one.otherwise = lambda _: json_reply(500, {})
    for _ in range(8):
        await house.ask()
        house.now += 10_000
    asked = len(house.one.requests)
    told = await house.ask()
    assert len(house.one.requests) == asked
    assert "left alone for a moment" in told.route.skipped[0].why


async def test_while_another_is_left_nobody_waits_for_long(house):
    house.one.reply(json_reply(429, {}, {"retry-after": "5"}))
    await house.ask()
    assert house.naps.taken == []


async def test_the_last_one_has_its_patience(house):
    house.one.otherwise = lambda _: json_reply(500, {})
    house.two.reply(json_reply(429, {}, {"retry-after": "5"}))
    told = await house.ask()
    assert (told.text, told.route.preset) == ("Hello from upstream.", "two")
    assert [event.seconds for event in told.events if isinstance(event, Status)] == [5.0]
    assert house.naps.taken[-1] == 5.0


async def test_who_has_no_key_is_passed_over_and_that_is_said(house):
    house.router = Router("best", ("keyless", "two"))
    told = await house.ask()
    assert told.route.preset == "two"
    assert "needs a key" in told.warnings[0]


async def test_who_comes_behind_the_winner_is_nobodys_business(house):
    house.router = Router("best", ("two", "keyless"))
    told = await house.ask()
    assert (told.warnings, told.route.skipped) == ([], ())


async def test_without_any_key_there_is_no_turn(house):
    house.router = Router("best", ("keyless",))
    with pytest.raises(NotConfigured):
        house.open()


async def test_where_all_fail_one_error_tells_of_each(house):
    house.one.otherwise = lambda _: json_reply(401, {})
    house.two.otherwise = lambda _: json_reply(429, {}, {"retry-after": "30"})
    told = await house.ask()
    assert isinstance(told.error, ProviderRateLimited)
    assert told.error.retry_after == 30
    assert "None of the candidates of auto could answer. one: " in told.error.message
    assert "two: " in told.error.message


async def test_the_calls_of_a_turn_go_to_the_same_one(house):
    house.one.reply(json_reply(500, {}), json_reply(500, {}))
    provider, request = house.open()
    first, second = await call(provider, request), await call(provider, request)
    assert [first.route.preset, second.route.preset] == ["two", "two"]
    assert second.route.skipped == ()
    assert len(house.one.requests) == 2  # those of the first call


async def test_a_later_call_of_a_turn_may_go_on_too(house):
    provider, request = house.open()
    assert (await call(provider, request)).route.preset == "one"
    house.one.otherwise = lambda _: json_reply(500, {})
    told = await call(provider, request)
    assert (told.route.preset, told.text) == ("two", "Hello from upstream.")


async def test_who_has_failed_is_asked_last_for_a_while(house):
    house.one.reply(json_reply(429, {}, {"retry-after": "30"}))
    await house.ask()
    told = await house.ask()
    assert told.route.preset == "two"
    assert told.route.skipped == (Skipped("one", "It failed a moment ago and is asked last."),)
    assert len(house.one.requests) == 1
    house.now += 31
    assert (await house.ask()).route.preset == "one"


async def test_leaving_closes_the_call(house):
    house.one.reply([*chat_answer("shown", finish=None), Gate()])
    provider, request = house.open()
    async with aclosing(provider.stream(request)) as batches:
        async for batch in batches:
            if any(isinstance(event, TextDelta) for event in batch):
                break
    await house.one.requests[0].gone.opened()


# What candidates can take.


async def test_who_cannot_see_is_left_out_of_a_question_with_an_image(house):
    house.router = Router("best", ("blind", "one"))
    told = await house.ask("what is it?", IMAGE)
    assert told.route.to_wire() == {
        "preset": "one",
        "model": "m1",
        "why": "the only one that can take it",
        "skipped": [{"preset": "blind", "why": "It takes no images."}],
    }


async def test_a_router_takes_what_any_of_them_takes(house):
    house.router = Router("best", ("blind", "one"))
    provider, _ = house.open()
    assert "image/png" in provider.takes
    assert "video/mp4" not in provider.takes


async def test_where_nobody_takes_all_files_the_last_question_counts(house):
    house.router = Router("best", ("blind",))
    provider, request = house.open()
    old = ModelMessage("user", (Text("look"), IMAGE))
    messages = (old, ModelMessage("assistant", (Text("I see."),)), ModelMessage("user", (Text("and now?"),)))
    async with aclosing(provider.stream(replace(request, messages=messages))) as batches:
        events = [event async for batch in batches for event in batch]
    assert isinstance(events[-1], ModelFinish)
    said = str(house.two.requests[0].json["messages"][0]["content"])
    assert NOT_SENT in said
    assert "image_url" not in said


async def test_where_nobody_can_take_it_that_is_an_error_of_the_request(house):
    house.router = Router("best", ("blind",))
    told = await house.ask("what is it?", IMAGE)
    assert isinstance(told.error, UnsupportedContent)
    assert "None of the candidates of auto can take this. blind: It takes no images." in told.error.message


TOOL = ToolSpec("look", "Look.", {"type": "object"})


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"tools": (TOOL,)}, "It takes no tools."),
        ({"options": Values(response_format="json")}, "It has no JSON mode."),
    ],
)
async def test_who_takes_no_tools_or_no_json(house, more, why):
    house.presets["searcher"] = Preset("searcher", "perplexity", base_url=house.two.base_url, values=Values(model="s"))
    house.router = Router("best", ("searcher", "one"))
    told = await house.ask(**more)
    assert (told.route.preset, told.route.skipped) == ("one", (Skipped("searcher", why),))


# Strategies.


async def test_the_cheapest_by_the_tokens_that_are_asked(house):
    house.router = Router("cheapest", ("one", "two", "echo"))
    assert (await house.ask()).route.why == "the cheapest of 3"
    assert not house.one.requests  # nobody knows the price of either; echo costs nothing
    house.change("one", prices=Prices(1, 10))
    house.change("two", prices=Prices(2, 1))
    house.router = Router("cheapest", ("one", "two"))
    assert (await house.ask("short")).route.preset == "two"
    assert (await house.ask("long " * 40_000)).route.preset == "one"


async def test_without_prices_the_cheapest_is_the_first(house):
    house.router = Router("cheapest", ("two", "one"))
    told = await house.ask()
    assert (told.route.preset, told.route.why) == ("two", "the first of 2 without a known price")


async def test_the_fastest_is_measured_and_who_is_not_is_tried(house):
    house.router = Router("fastest", ("one", "two"))

    async def ask(seconds):
        """A call whose service takes so long to begin."""

        def reply(_):
            house.now += seconds
            return Reply(chat_answer("x"))

        house.one.otherwise = house.two.otherwise = reply
        return (await house.ask()).route

    assert (await ask(2.0)).why == "one of 2 not measured lately"
    second = await ask(1.0)
    assert (second.preset, second.why) == ("two", "one of 2 not measured lately")
    third = await ask(5.0)
    assert (third.preset, third.why) == ("two", "the fastest of 2 lately")
    assert (await ask(1.0)).preset == "one"  # 0.3 * 5 + 0.7 * 1 = 2.2 is more than 2
    house.now += 7 * 3600
    assert (await ask(1.0)).why == "one of 2 not measured lately"


# The classifier.


async def test_a_small_model_names_the_candidate_and_its_call_is_in_the_ledger(house):
    house.presets["judge"] = Preset("judge", "openai-chat", base_url=house.one.base_url, values=Values(model="tiny"))
    house.change("one", description="Easy things")
    house.router = Router("best", ("one", "two"), classifier="judge")
    house.one.reply(chat_answer('{"candidate": ', '"two"}', usage=(50, 6)))
    told = await house.ask("prove it")
    assert told.route.to_wire() == {"preset": "two", "model": "m2", "why": "judge named it"}
    asked = house.one.requests[0].json
    assert asked["model"] == "tiny"
    assert "- one: Easy things\n- two: m2" in asked["messages"][-1]["content"]
    assert "prove it" in asked["messages"][-1]["content"]
    [entry] = house.ledger.entries
    assert (entry.purpose, entry.preset, entry.model, entry.usage.input_tokens) == ("routing", "judge", "tiny", 50)


@pytest.mark.parametrize(
    "reply",
    [
        json_reply(500, {}),
        json_reply(401, {}),
        Reply(["cut"]),
        Reply(chat_answer("I would rather not say.")),
        Reply(chat_answer('{"candidate": "three"}')),
        Reply(chat_answer("one or two")),
        Reply(chat_answer("two", finish=None)),
        Reply(chat_answer('{"candidate": ' + "[" * 1_500 + "}")),
    ],
)
async def test_a_classifier_that_fails_has_no_say(house, reply):
    house.presets["judge"] = Preset("judge", "openai-chat", base_url=house.two.base_url, values=Values(model="tiny"))
    house.router = Router("best", ("one", "two"), classifier="judge")
    house.two.reply(reply, reply)
    told = await house.ask()
    assert (told.route.preset, told.route.why) == ("one", "the first of 2")


async def test_a_classifier_that_takes_too_long_has_no_say(house):
    house.presets["judge"] = Preset("judge", "openai-chat", base_url=house.two.base_url, values=Values(model="tiny"))
    house.router = Router("best", ("one", "two"), classifier="judge")
    house.answerers = Answerers(house.registry, house.usage, classifier=Classifier(house.registry, house.usage, 0.1))
    house.two.reply(Reply(["hold"]))
    assert (await house.ask()).route.preset == "one"
    await house.two.requests[0].gone.opened()


@pytest.mark.parametrize("router", [Router("best", ("one",), "two"), Router("best", ("one", "blind"), "two", (RULE,))])
async def test_a_classifier_is_not_asked_where_there_is_nothing_to_choose(house, router):
    house.router = router
    await house.ask()
    assert not house.two.requests


async def test_the_model_that_the_classifier_named_may_fail_too(house):
    house.presets["judge"] = Preset("judge", "openai-chat", base_url=house.one.base_url, values=Values(model="tiny"))
    house.router = Router("best", ("one", "two"), classifier="judge")
    house.one.reply(chat_answer("two"))
    house.two.otherwise = lambda _: json_reply(500, {})
    told = await house.ask()
    assert (told.route.preset, told.route.why) == ("one", "the next in line after two")
