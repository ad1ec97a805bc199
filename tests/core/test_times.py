from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from app.core.times import written


def test_moments_sort_as_texts_from_the_first_year_on() -> None:
    moments = [datetime(year, 11, 21, tzinfo=UTC) for year in (1, 999, 1970, 2026, 9999)]
    texts = [written(moment) for moment in moments]
    assert texts == sorted(texts)
    assert [datetime.fromisoformat(text) for text in texts] == moments


def test_a_moment_is_written_in_utc() -> None:
    moment = datetime(2026, 11, 21, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert written(moment) == "2026-11-20T23:30:00.000000Z"
