from __future__ import annotations

import pytest

from app.core.errors import ContextOverflow, PresetRefused, ProviderRejected
from app.providers.catalog import CATALOG
from app.providers.endpoint import Endpoint
from app.providers.failures import Failures, redact


@pytest.mark.parametrize(
    "secret",
    [
        "sk-ant-api03-abcdef_123",
        "sk-test********cdef",
        "gsk_0123456789abcdef",
        "Bearer eyJhbGciOi.x.y",
        "https://proxy.internal:8443/v1?key=1",
        "AIzaSyA0123456789",
        "0123456789abcdef0123456789abcdef",
        "s3cret-of-the-preset",
    ],
)
def test_nothing_like_a_key_or_an_address_is_left(secret: str) -> None:
    said = redact(f"Wrong key: {secret}. Use fewer tokens.", ["s3cret-of-the-preset"])
    assert secret not in said
    assert said.startswith("Wrong key: …")
    assert said.endswith("Use fewer tokens.")


def test_a_long_text_is_cut_and_put_on_one_line() -> None:
    said = redact("one\n\ttwo\x00 " + "three " * 1000)
    assert said.startswith("one two three")
    assert len(said) == 200
    assert said.endswith("…")


def test_ordinary_words_stay() -> None:
    said = "max_tokens: 999999 > 64000, which is the maximum allowed for claude-sonnet-5-5"
    assert redact(said) == said


FAILURES = Failures("mine", Endpoint("openai-chat", CATALOG["openai-chat"], "http://127.0.0.1:1", None, None))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"code": "context_length_exceeded", "message": "Please reduce the length of the messages."}),
        (400, {"message": "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens."}),
        (400, {"type": "invalid_request_error", "message": "prompt is too long: 212345 tokens > 200000 maximum"}),
        (400, {"message": "input length and `max_tokens` exceed context limit: 9 + 9 > 10"}),
        (413, {"type": "request_too_large", "message": "Request exceeds the maximum size"}),
        (400, {"type": "exceed_context_size_error", "message": "the request exceeds the available context size"}),
        (400, {"message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."}),
        (400, {"message": "This model's maximum prompt length is 131072 but the request contains 200000 tokens."}),
    ],
)
def test_a_prompt_that_is_too_long_is_known_in_every_services_words(status: int, error: dict[str, str]) -> None:
    failure = FAILURES.status(status, {"error": error})
    assert type(failure) is ContextOverflow
    assert "longer than the model of preset 'mine' can take" in failure.message


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "temperature: must be at most 1", ProviderRejected),
        (400, "max_tokens: 999999 > 64000, which is the maximum allowed", ProviderRejected),
        (422, "messages.0: input should be a valid dictionary", ProviderRejected),
        (401, "context window", PresetRefused),
        (402, "no", PresetRefused),
        (403, "no", PresetRefused),
        (404, "model not found", PresetRefused),
    ],
)
def test_what_is_wrong_with_the_request_is_not_what_is_wrong_with_the_preset(
    status: int, message: str, kind: type[ProviderRejected]
) -> None:
    assert type(FAILURES.status(status, {"error": {"message": message}})) is kind
