from __future__ import annotations

import pytest

from app.core.errors import (
    ProviderBroken,
    ProviderBusy,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
)
from app.providers.breaker import Breaker

DOWN = ProviderUnavailable("down")


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def breaker(time: Time) -> Breaker:
    return Breaker(failures=3, pause=15, clock=time)


def fail(breaker: Breaker, times: int, failure: ProviderError = DOWN) -> None:
    for _ in range(times):
        breaker.failed(failure)


@pytest.mark.parametrize("failure", [DOWN, ProviderTimeout("slow")])
def test_it_opens_after_some_failures_in_a_row_and_says_for_how_long(
    breaker: Breaker, time: Time, failure: ProviderError
) -> None:
    fail(breaker, 2, failure)
    assert breaker.wait() is None
    fail(breaker, 1, failure)
    time.now += 5
    assert breaker.wait() == 10


@pytest.mark.parametrize(
    "failure",
    [ProviderRejected("no"), ProviderRateLimited("slow down"), ProviderBusy("not now"), ProviderBroken("nonsense")],
)
def test_a_service_that_answers_is_up_whatever_it_says(breaker: Breaker, failure: ProviderError) -> None:
    fail(breaker, 9, failure)
    assert breaker.wait() is None
    fail(breaker, 2)
    fail(breaker, 1, failure)
    fail(breaker, 2)
    assert breaker.wait() is None


def test_a_success_in_between_begins_the_count_again(breaker: Breaker) -> None:
    fail(breaker, 2)
    breaker.answered()
    fail(breaker, 2)
    assert breaker.wait() is None


def test_after_the_pause_one_call_may_see_and_the_others_wait(breaker: Breaker, time: Time) -> None:
    fail(breaker, 3)
    time.now += 15
    assert [breaker.wait(), breaker.wait(), breaker.wait()] == [None, 15, 15]


def test_a_probe_that_finds_the_service_up_closes_it(breaker: Breaker, time: Time) -> None:
    fail(breaker, 3)
    time.now += 15
    assert breaker.wait() is None
    breaker.answered()
    assert [breaker.wait(), breaker.wait()] == [None, None]
    fail(breaker, 2)
    assert breaker.wait() is None


def test_a_probe_that_fails_keeps_it_open(breaker: Breaker, time: Time) -> None:
    fail(breaker, 3)
    time.now += 15
    assert breaker.wait() is None
    time.now += 3
    fail(breaker, 1)
    assert breaker.wait() == 15


def test_a_probe_that_was_given_up_is_followed_by_another(breaker: Breaker, time: Time) -> None:
    fail(breaker, 3)
    time.now += 15
    assert breaker.wait() is None
    time.now += 15
    assert [breaker.wait(), breaker.wait()] == [None, 15]
