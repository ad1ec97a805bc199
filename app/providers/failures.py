"""What a failed model call is told as: sentences of our own, safe to show to anyone, and one line in the log.

A service's own words stay out of them: they quote keys, addresses and web pages. The one exception is a refused
request (400, 413, 422), where a short, redacted piece says what to change.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from math import ceil
from traceback import extract_tb
from typing import Any

from app.core.errors import (
    ContextOverflow,
    PresetRefused,
    ProviderBroken,
    ProviderBusy,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
)
from app.core.events import Status
from app.providers.endpoint import Endpoint

log = logging.getLogger(__name__)

_LONGEST_QUOTE = 200
_NOISE = re.compile(
    r"""\w+://\S+                                       # addresses
      | \bBearer\s+\S+
      | \b(?:sk|gsk|pk|rk|pplx|xai|hf|AIza)[-_]?[\w*.-]{6,}  # keys, also half masked ones
      | [\w+/=-]{32,}                                   # anything else that long is no word
    """,
    re.VERBOSE,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class ReportedError(Exception):
    """An error that a service reports inside its answer, as its `details` say."""

    def __init__(self, details: Any) -> None:
        super().__init__("reported inside the answer")
        self.details = details


def redact(text: str, secrets: Iterable[str] = (), limit: int = _LONGEST_QUOTE) -> str:
    """`text` on one line, at most `limit` characters, without anything that looks like a key or an address."""
    for secret in secrets:
        text = text.replace(secret, "…")
    text = " ".join(_NOISE.sub("… ", _CONTROL.sub(" ", text[: 20 * limit])).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


class Failures:
    """The errors of one preset's calls."""

    def __init__(self, preset: str, endpoint: Endpoint) -> None:
        self._name = preset
        self._preset = f"preset {preset!r}"
        self._endpoint = endpoint
        self._service = endpoint.service.title

    def status(self, status: int, body: object, retry_after: float | None = None) -> ProviderError:
        """The service answered with an error status; `body` is its decoded JSON or its text."""
        details = _details(body)
        self._log(f"status {status}", details, quote=status not in (401, 403, 407))
        return self._by_status(status, details, retry_after)

    def reported(self, body: object) -> ProviderError:
        """The service reported an error inside its answer, under status 200."""
        details = _details(body)
        self._log("reported in the stream", details)
        code = str(details.get("code"))
        if len(code) == 3 and code.isdigit() and code[0] in "45":
            return self._by_status(int(code), details, None)
        if _says(details, "overloaded", "server_error", "api_error", "internal", "unavailable"):
            return ProviderUnavailable(
                f"{self._service} has trouble answering {self._preset} at the moment. Try again in a while."
            )
        if _says(details, "rate_limit", "too_many_requests", "resource_exhausted"):
            return self._limited(None)
        if _says(details, "timeout"):
            return ProviderTimeout(f"{self._service} took too long to answer {self._preset}. Try again in a while.")
        if _says(details, "insufficient_quota", "billing"):
            return self._unpaid()
        if _says(details, "authentication", "invalid_api_key"):
            return self._refused_key()
        if _says(details, "permission"):
            return self._not_allowed()
        if _says(details, "not_found"):
            return self._not_found(details)
        if _says(details, "invalid_request", "context_length", "exceed_context"):
            return self._refused_request(details)
        return ProviderError(f"{self._service} reported an error while it answered {self._preset}. Try again.")

    def unreachable(self, error: Exception) -> ProviderUnavailable:
        """No connection came about, or it broke before the first event."""
        self._log("no connection", {"message": repr(error)})
        if self._endpoint.is_loopback:
            return ProviderUnavailable(
                f"{self._service} does not answer at {self._endpoint.host}. "
                f"Start it, or check the base_url of {self._preset}."
            )
        return ProviderUnavailable(
            f"{self._service} cannot be reached for {self._preset}. Check the network and the preset's base_url."
        )

    def cut_off(self, error: Exception | None = None) -> ProviderBroken:
        """The answer ended without its end mark."""
        self._log("no end mark", {"message": repr(error) if error else ""})
        return ProviderBroken(f"The answer of {self._service} for {self._preset} stopped before its end. Try again.")

    def unreadable(self, why: str, error: Exception | None = None) -> ProviderBroken:
        """The answer is not what the format promises. `why` is for the log."""
        self._log(why, {"message": repr(error) if error else ""})
        return ProviderBroken(
            f"{self._service} answered {self._preset} with something that is not a model's answer. "
            "Check the preset's provider and base_url."
        )

    def timeout(self, phase: str, seconds: float) -> ProviderTimeout:
        """`phase` says what took longer than `seconds`, such as `the first word`."""
        self._log("timeout", {"message": phase})
        return ProviderTimeout(
            f"{self._service} took longer than {seconds:g} seconds for {phase}. Try again, or raise the timeouts of "
            f"{self._preset}."
        )

    def resting(self, seconds: float) -> ProviderUnavailable:
        """The service has failed call after call and is not asked now."""
        self._log("not asked: it has failed too often", {})
        return ProviderUnavailable(
            f"{self._service} has failed again and again and is left alone for a moment. "
            f"Try {self._preset} again in {_in_words(seconds)}, or choose another.",
            retry_after=seconds,
        )

    def waiting(self, seconds: float) -> Status:
        """What a client is shown until the next attempt."""
        return Status("retrying", f"{self._service} is busy; trying again in {_in_words(seconds)}.", seconds)

    def broken_off(self) -> Status:
        """What a client is shown of an answer that failed before its first word."""
        return Status("failed", f"{self._service} has broken off its answer.")

    def unexpected(self, error: Exception) -> ProviderError:
        """Neither the service nor the network, as far as we know: a bug. The log gets the places, not the values."""
        places = [f"{frame.name}:{frame.lineno}" for frame in extract_tb(error.__traceback__)]
        self._log("unexpected", {"type": type(error).__name__, "code": " ".join(places), "message": str(error)})
        return ProviderError(f"{self._service} could not be asked for {self._preset}. The server's log says more.")

    def _by_status(self, status: int, details: Mapping[str, Any], retry_after: float | None) -> ProviderError:
        if _says(details, "insufficient_quota", "billing_error"):
            return self._unpaid()
        if (reason := _reason_of_thread(details)) is not None:
            refused = self._refused_request(details)
            refused.reason = reason
            return refused
        match status:
            case 401 | 407:
                return self._refused_key()
            case 402:
                return self._unpaid()
            case 403:
                return self._not_allowed()
            case 404 | 405:
                return self._not_found(details)
            case 400 if "api key" in str(details.get("message")).lower():  # Google, xAI
                return self._refused_key()
            case 500 if "too large to process" in str(details.get("message")):  # llama.cpp, of a text to embed
                return self._refused_request(details)
            case 429:
                return self._limited(retry_after)
            case _ if status in (408, 409, 425) or status >= 500:
                trouble = ProviderUnavailable if status >= 500 else ProviderBusy
                return trouble(
                    f"{self._service} has trouble answering {self._preset} at the moment (status {status}). "
                    "Try again in a while.",
                    retry_after=retry_after,
                )
            case _ if 300 <= status < 400:
                return PresetRefused(
                    f"{self._service} redirects {self._preset} elsewhere, which is never followed. "
                    "Check the preset's base_url."
                )
            case _:
                return self._refused_request(details)

    def _refused_key(self) -> PresetRefused:
        check = f"Check {self._endpoint.key_name}." if self._endpoint.key_name else "Set its api_key_env."
        return PresetRefused(f"{self._service} refuses the key of {self._preset}. {check}")

    def _not_allowed(self) -> PresetRefused:
        return PresetRefused(
            f"{self._service} does not allow this to {self._preset}. Check the rights of its key and its model."
        )

    def _not_found(self, details: Mapping[str, Any]) -> PresetRefused:
        if not details:
            return PresetRefused(
                f"Nothing answers at the base_url of {self._preset} as {self._service} would. "
                "Check the base_url, its path included."
            )
        if "model" in f"{details.get('code')} {details.get('message')}".lower():
            return PresetRefused(f"{self._service} knows no such model. Check the model of {self._preset}.")
        return PresetRefused(
            f"{self._service} knows no such model or address. Check the model and the base_url of {self._preset}."
        )

    def _unpaid(self) -> PresetRefused:
        return PresetRefused(
            f"The account behind {self._preset} has no credit left at {self._service}. Check its billing page."
        )

    def _limited(self, retry_after: float | None) -> ProviderRateLimited:
        when = f"in {_in_words(retry_after)}" if retry_after else "in a while"
        return ProviderRateLimited(
            f"{self._service} limits the requests of {self._preset}. Try again {when}.", retry_after=retry_after
        )

    def _refused_request(self, details: Mapping[str, Any]) -> ProviderRejected:
        quote = redact(str(details.get("message") or ""), self._endpoint.secrets)
        said = f"It says: {quote}" if quote else f"Check the model and the options of {self._preset}."
        if _is_overflow(details):
            return ContextOverflow(
                f"The conversation is longer than the model of {self._preset} can take. Begin a new one, or choose a "
                f"preset whose model takes more. {said}"
            )
        return ProviderRejected(f"{self._service} refuses the request of {self._preset}. {said}")

    def _log(self, what: str, details: Mapping[str, Any], *, quote: bool = True) -> None:
        said = {name: details[name] for name in ("type", "code", "message") if details.get(name)}
        if not quote:
            said.pop("message", None)
        log.warning(
            "a model call failed",
            extra={
                "preset": self._name,
                "provider": self._service,
                "failure": what,
                "said": redact(str(said), self._endpoint.secrets, limit=500),
            },
        )


def _in_words(seconds: float) -> str:
    """Rounded up: whoever comes back then is not too early."""
    return "a second" if seconds <= 1 else f"{ceil(seconds)} seconds"


def _details(body: object) -> Mapping[str, Any]:
    """The inner `{"type", "code", "message"}` of the shapes that error bodies have."""
    if isinstance(body, Mapping):
        inner = body.get("error", body.get("detail", body))  # Voyage says `detail`
        return inner if isinstance(inner, Mapping) else {"message": str(inner)}
    if isinstance(body, str) and not body.lstrip().startswith("<"):
        return {"message": body}
    return {}


_THREAD_REASON = re.compile(r"thread_[a-z_]{1,60}")
_OVERFLOW = re.compile(
    r"""context[ _]?(?:length|window|size|limit)                   # OpenAI, Groq, vLLM, llama.cpp, Mistral
      | (?:prompt|input|request)\ is\ too\ (?:long|large)          # Anthropic
      | (?:prompt|input)\ (?:length|token\ count).{0,40}\bexceeds   # Google
      | maximum\ (?:prompt|input)\ length                          # xAI
      | request_too_large
    """,
    re.VERBOSE | re.IGNORECASE,
)


def _reason_of_thread(details: Mapping[str, Any]) -> str | None:
    """Why Anthropic does not go on with a thread of messages, whatever the status: its SDKs then send them all."""
    inner = details.get("details")
    code = str(inner.get("error_code")) if isinstance(inner, Mapping) else ""
    return code if _THREAD_REASON.fullmatch(code) else None


def _is_overflow(details: Mapping[str, Any]) -> bool:
    """Whether a refused request was too long: every service says so in its own words."""
    said = " ".join(str(details.get(name)) for name in ("type", "code", "message"))
    return _OVERFLOW.search(said[:2_000]) is not None


def _says(details: Mapping[str, Any], *words: str) -> bool:
    said = f"{details.get('type')} {details.get('code')}".lower()
    return any(word in said for word in words)
