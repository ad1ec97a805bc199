"""Which rule of a router decides, and in which order its candidates are asked: without anybody being asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
import regex

from app.chat.measurements import FORGOTTEN_AFTER, HALF_LIFE, MOST, Measurements
from app.chat.routing_rules import Candidate, Rules, fits, wanted_again, wanted_by
from app.core.errors import ContextOverflow, ProviderRateLimited, ProviderUnavailable
from app.core.files import IMAGE_TYPES
from app.core.messages import parse_messages
from app.core.model import Media, ModelMessage, ModelRequest, Preset, Text, ToolCall, ToolResult
from app.core.routing import MAX_MATCHED, NO_OCCASION, Abilities, Occasion, Router, Rule, Wanted, When
from app.core.tools import ToolSpec

PICTURE = Wanted(media=frozenset({"image/png"}))


@pytest.mark.parametrize(
    ("when", "wanted", "lately", "expected"),
    [
        (When(images=True), PICTURE, None, True),
        (When(images=True), Wanted(), None, False),
        (When(images=True), Wanted(media=frozenset({"application/pdf"})), None, False),
        (When(images=False), Wanted(), None, True),
        (When(images=False), PICTURE, None, False),
        (When(tools=True), Wanted(tools=True), None, True),
        (When(tools=True), Wanted(), None, False),
        (When(json=True), Wanted(json=True), None, True),
        (When(json=False), Wanted(json=True), None, False),
        (When(longer_than=10), Wanted(tokens=11), None, True),
        (When(longer_than=10), Wanted(tokens=10), None, False),
        (When(matches=regex.compile("(?i)tax")), Wanted(question="About my TAXES"), None, True),
        (When(matches=regex.compile("tax")), Wanted(question="About my TAXES"), None, False),
        (When(matches=regex.compile("tax")), Wanted(question=" " * MAX_MATCHED + "tax"), None, False),
        (When(template="sum"), Wanted(occasion=Occasion(template="sum")), None, True),
        (When(template="sum"), Wanted(), None, False),
        (When(tag="work"), Wanted(occasion=Occasion(tag="work")), None, True),
        (When(tag="work"), Wanted(occasion=Occasion(tag="home")), None, False),
        (When(slower_than=2.0), Wanted(), 2.5, True),
        (When(slower_than=2.0), Wanted(), 2.0, False),
        (When(slower_than=2.0), Wanted(), None, False),
        (When(images=True, longer_than=10), replace(PICTURE, tokens=11), None, True),
        (When(images=True, longer_than=10), PICTURE, None, False),
    ],
)
def test_a_rule_fits_where_everything_that_it_says_fits(when, wanted, lately, expected):
    assert fits(when, wanted, lately) is expected


class Room:
    """Three candidates; the third can do nothing but talk."""

    def __init__(self, strategy="best", *rules, costs=None):
        self.now = 0.0
        self.measurements = Measurements(lambda: self.now)
        everything, little = Abilities(IMAGE_TYPES), Abilities(frozenset(), tools=False, json=False)
        candidates = {
            name: Candidate(Preset(name, "echo"), ModelRequest("m", ()), abilities)
            for name, abilities in (("a", everything), ("b", everything), ("c", little))
        }
        router = Router(strategy, tuple(candidates), rules=rules)
        self.rules = Rules(router, candidates, lambda each, _: (costs or {}).get(each.name), self.measurements)

    def choose(self, wanted=Wanted()):  # noqa: B008 - it is frozen
        choice = self.rules.choose(wanted)
        return [each.name for each in choice.order], choice.why


def test_the_first_rule_that_fits_decides_and_nobody_else_is_asked():
    room = Room("best", Rule(When(images=True), ("b",)), Rule(When(longer_than=1), ("c", "a")))
    assert room.choose(replace(PICTURE, tokens=2)) == (["b"], "rule 1 (images): the only one to choose")
    assert room.choose(Wanted(tokens=1_000)) == (["c", "a"], "rule 2 (more than 1 tokens): the first of 2")
    assert room.choose() == (["a", "b", "c"], "the first of 3")


def test_the_strategy_orders_what_a_rule_leaves_open():
    room = Room("cheapest", Rule(When(tools=False), ("a", "b")), costs={"a": 2.0, "b": 1.0})
    assert room.choose() == (["b", "a"], "rule 1 (no tools): the cheapest of 2")


def test_a_rule_whose_presets_cannot_take_the_request_leaves_nobody():
    choice = Room("best", Rule(When(tools=True), ("c",))).rules.choose(Wanted(tools=True))
    assert (choice.order, choice.skipped[0].why) == ((), "It takes no tools.")


def test_who_cannot_take_it_is_left_out():
    assert Room().choose(Wanted(json=True)) == (["a", "b"], "the first of 2")


def test_unknown_prices_come_last():
    assert Room("cheapest", costs={"b": 3.0, "c": 0.0}).choose() == (["c", "b", "a"], "the cheapest of 3")


def test_who_has_failed_is_asked_last_and_longer_the_oftener():
    room = Room()
    room.measurements.failed(("a", "m"), ProviderUnavailable("down"))
    assert room.choose() == (["b", "c", "a"], "the next in line")
    room.now = 11
    assert room.choose()[0] == ["a", "b", "c"]
    room.measurements.failed(("a", "m"), ProviderUnavailable("down"))
    room.now = 30
    assert room.choose()[0] == ["b", "c", "a"]
    room.measurements.answered(("a", "m"), 1.0)
    assert room.choose()[0] == ["a", "b", "c"]


def test_what_a_service_asks_for_is_how_long_it_rests_within_reason():
    room = Room()
    room.measurements.failed(("a", "m"), ProviderRateLimited("wait", retry_after=100_000))
    room.now = 299
    assert room.choose()[0] == ["b", "c", "a"]
    room.now = 301
    assert room.choose()[0] == ["a", "b", "c"]


def test_a_prompt_that_was_too_long_is_no_failure_of_the_service():
    room = Room()
    room.measurements.failed(("a", "m"), ContextOverflow("long"))
    assert room.choose()[0] == ["a", "b", "c"]


def test_slow_is_whoever_would_be_asked_without_the_rule():
    room = Room("best", Rule(When(slower_than=2), ("b",)))
    room.measurements.answered(("b", "m"), 9.0)
    assert room.choose()[0] == ["a", "b", "c"]
    room.measurements.answered(("a", "m"), 3.0)
    assert room.choose() == (["b"], "rule 1 (slower than 2 s): the only one to choose")
    room.now = FORGOTTEN_AFTER + 1
    assert room.choose()[0] == ["a", "b", "c"]


def test_measurements_are_smooth_and_bounded():
    measurements = Measurements(lambda: 0.0)
    measurements.answered(("a", "m"), 1.0)
    measurements.answered(("a", "m"), 2.0)
    assert measurements.seconds(("a", "m")) == pytest.approx(1.3)
    for number in range(MOST):
        measurements.answered(("b", str(number)), 1.0)
    assert measurements.seconds(("a", "m")) is None
    assert measurements.seconds(("b", "0")) == 1.0


def test_who_was_slow_is_tried_again_the_slower_the_later():
    room = Room("fastest")
    for name, seconds in (("a", 8.0), ("b", 1.0), ("c", 3.0)):
        room.measurements.answered((name, "m"), seconds)
    firsts = []
    for _ in range(24):
        room.now += 300
        firsts.append(room.choose()[0][0])
        room.measurements.answered((firsts[-1], "m"), {"a": 8.0, "b": 1.0, "c": 3.0}[firsts[-1]])
    assert firsts.count("c") > firsts.count("a") > 0
    assert firsts.count("b") > 15


def test_a_bad_minute_an_hour_ago_is_all_but_forgotten_by_the_next_time():
    room = Room()
    room.measurements.answered(("a", "m"), 60.0)
    room.now = 2 * HALF_LIFE
    assert room.measurements.seconds(("a", "m")) == 15.0
    room.measurements.answered(("a", "m"), 1.0)
    assert room.measurements.seconds(("a", "m")) == pytest.approx(0.175 * 60 + 0.825 * 1)


def test_failures_count_together_only_where_they_follow_each_other():
    room = Room()
    for _ in range(5):
        room.measurements.failed(("a", "m"), ProviderUnavailable("down"))
    room.now = 10_000
    room.measurements.failed(("a", "m"), ProviderUnavailable("down"))
    assert room.measurements.rests(("a", "m"))
    room.now += 11
    assert not room.measurements.rests(("a", "m"))


def test_what_a_call_wants_is_read_from_the_prompt():
    tool = ToolSpec("look", "L" * 100, {"type": "object"})
    messages = (
        ModelMessage("user", (Text("see"), Media("image/png", "aGk="))),
        ModelMessage("assistant", (ToolCall("1", "look", {"at": "it"}),)),
        ModelMessage("tool", (ToolResult("1", "look", "x" * 400),)),
        ModelMessage("user", (Text("y" * 400), Text("z"))),
    )
    wanted = wanted_by(ModelRequest("m", messages, tools=(tool,), response_format="json"), Occasion(tag="t"))
    assert wanted.question == "y" * 400 + "\n\nz"
    assert (wanted.media, wanted.new_media) == (frozenset({"image/png"}), frozenset())
    assert (wanted.tools, wanted.json, wanted.occasion.tag) == (True, True, "t")
    assert 1_700 < wanted.tokens < 1_760


def test_what_a_stored_conversation_would_want_again():
    stored = parse_messages(
        [
            {
                "id": "1",
                "role": "user",
                "parts": [
                    {"type": "text", "text": "t" * 40},
                    {"type": "file", "mediaType": "image/png", "url": "/files/x"},
                    {"type": "file", "mediaType": "text/plain", "url": "/files/y"},
                ],
            },
            {"id": "2", "role": "assistant", "parts": [{"type": "text", "text": "u" * 40}]},
        ]
    )
    wanted = wanted_again(stored, ModelRequest("m", ()), NO_OCCASION)
    assert (wanted.question, wanted.media, wanted.tokens) == ("t" * 40, frozenset({"image/png"}), 1_520)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$"])
def test_an_expression_that_would_look_for_ever_counts_as_found(pattern, caplog):
    wanted = Wanted(question="a" * (MAX_MATCHED - 1) + "!")
    assert fits(When(matches=regex.compile(pattern)), wanted, None)
    assert "takes too long" in caplog.text
