from __future__ import annotations

import pytest

from app.core.errors import (
    ProviderBroken,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
)
from app.providers.retry import Retry, retry_after

BUSY = ProviderUnavailable("busy")


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_pauses_grow_and_stay_between_their_bounds(chance: float) -> None:
    retry = Retry(attempts=9, random=lambda: chance)
    pauses = [retry.wait(BUSY, attempt=attempt, elapsed=0) for attempt in range(1, 6)]
    assert pauses == sorted(pauses, key=lambda pause: pause or 0)
    assert all(pause is not None and 0.3 <= pause < retry.announced for pause in pauses), (
        "a pause of our own must stay silent: a service that is just down is an HTTP status"
    )


def test_three_attempts_are_enough() -> None:
    retry = Retry()
    assert [retry.wait(BUSY, attempt=attempt, elapsed=0) is None for attempt in (1, 2, 3)] == [False, False, True]


@pytest.mark.parametrize(
    "failure", [ProviderRejected("no"), ProviderBroken("torn"), ProviderTimeout("slow"), ProviderError("what")]
)
def test_only_what_may_get_better_is_tried_again(failure: ProviderError) -> None:
    assert Retry().wait(failure, attempt=1, elapsed=0) is None


def test_the_service_says_how_long_to_wait() -> None:
    assert Retry().wait(ProviderRateLimited("slow", retry_after=7), attempt=1, elapsed=0) == 7
    assert Retry().wait(ProviderRateLimited("slow", retry_after=0), attempt=1, elapsed=0) == 0


@pytest.mark.parametrize("seconds", [10.1, 3600, 4_294_967])
def test_who_asks_for_too_much_patience_gets_none(seconds: float) -> None:
    assert Retry().wait(ProviderRateLimited("slow", retry_after=seconds), attempt=1, elapsed=0) is None


def test_no_attempt_starts_after_the_budget() -> None:
    slow = ProviderRateLimited("slow", retry_after=9)
    assert Retry().wait(slow, attempt=1, elapsed=10.9) == 9
    assert Retry().wait(slow, attempt=1, elapsed=11.1) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 40),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:10 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "9" * 30}, 86_400),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 86_400),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=lambda: 60.0) == seconds
