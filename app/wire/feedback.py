"""Feedback on an answer as JSON: `{"rating": "up" | "down", "comment"?}`."""

from __future__ import annotations

from typing import Any

from app.core.errors import InvalidRequest
from app.core.feedback import MAX_COMMENT, Feedback


def read_feedback(value: Any) -> Feedback:
    """Raises InvalidRequest."""
    said = value if isinstance(value, dict) else {}
    rating, comment = said.get("rating"), said.get("comment")
    if rating not in ("up", "down"):
        raise InvalidRequest("`rating` must be `up` or `down`.", param="rating")
    if comment is not None and not (isinstance(comment, str) and len(comment) <= MAX_COMMENT and "\0" not in comment):
        raise InvalidRequest(f"`comment` must be a text of at most {MAX_COMMENT:,} characters.", param="comment")
    return Feedback(rating, (comment or "").strip() or None)


def feedback_value(feedback: Feedback) -> dict[str, str]:
    comment = {} if feedback.comment is None else {"comment": feedback.comment}
    return {"rating": feedback.rating, **comment}
