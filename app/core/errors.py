"""Everything that can go wrong and is not a bug. The message of each is safe to show to anyone.

    AppError
      x InvalidRequest            400  the body, a parameter or an option is wrong
        + InvalidJson             400
        + UnknownPreset           400
        + UnsupportedContent      400  a part that this server or this preset cannot take
        + InvalidTemplate         400  a prompt template that cannot be read, or named and not there
        + InvalidVariables        400  values that do not fit the template
      x NotConfigured             400  the preset's key is missing
      x KeyRefused                401  not a key of the gateway, or none where one is needed
      x SpendLimitReached         402  of a key of the gateway
      x KeyNotAllowed             403  the key is not for this preset
      x NotFound                  404
      x RunInProgress             409
      x AlreadyExists             409
      x ApprovalRefused           409  an answer to no open request for approval; nothing ran
      x VersionConflict           412  If-Match names an older state
      x RateLimited               429  a key of the gateway is used too often
      x StorageUnavailable        503
      x ShuttingDown              503
      x ProviderError             502
        + ProviderRejected        502  it refuses the request as it is
          + PresetRefused         502  whatever the request: key, rights, credit, model, address
          + ContextOverflow       502  the prompt is longer than the model can take
        + ProviderRateLimited     429
        + ProviderUnavailable     503  connection, overload, 5xx
          + ProviderBusy          503  it is there and does not take this request now: 408, 409, 425
        + ProviderTimeout         504
        + ProviderBroken          502  the answer is not what the format promises, or stops without its end mark

`code` is stable: programs may switch on it.
"""

from __future__ import annotations


class AppError(Exception):
    status = 500
    code = "internal_error"
    reason: str | None = None
    """In a word of Anthropic's, for SDKs that go by it: the `error_code` in the error's `details`."""

    def __init__(self, message: str, *, param: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        """The field at fault, such as `messages[0].role`."""
        self.retry_after = retry_after
        """Seconds."""


class InvalidRequest(AppError):
    status = 400
    code = "invalid_request"


class InvalidJson(InvalidRequest):
    code = "invalid_json"


class UnknownPreset(InvalidRequest):
    code = "unknown_preset"


class UnsupportedContent(InvalidRequest):
    code = "unsupported_content"


class InvalidTemplate(InvalidRequest):
    code = "invalid_template"


class InvalidVariables(InvalidRequest):
    code = "invalid_variables"


class NotConfigured(AppError):
    status = 400
    code = "missing_api_key"


class KeyRefused(AppError):
    status = 401
    code = "invalid_api_key"


class SpendLimitReached(AppError):
    status = 402
    code = "spend_limit_reached"


class KeyNotAllowed(AppError):
    status = 403
    code = "preset_not_allowed"


class RateLimited(AppError):
    status = 429
    code = "rate_limit_exceeded"


class NotFound(AppError):
    status = 404
    code = "not_found"


class RunInProgress(AppError):
    status = 409
    code = "run_in_progress"


class AlreadyExists(AppError):
    status = 409
    code = "already_exists"


class ApprovalRefused(AppError):
    status = 409
    code = "approval_refused"


class VersionConflict(AppError):
    status = 412
    code = "version_conflict"


class StorageUnavailable(AppError):
    status = 503
    code = "storage_unavailable"


class ShuttingDown(AppError):
    status = 503
    code = "shutting_down"


class ProviderError(AppError):
    status = 502
    code = "provider_error"
    retryable = False
    """Whether another try, before anything was shown, makes sense."""


class ProviderRejected(ProviderError):
    code = "provider_rejected"


class PresetRefused(ProviderRejected):
    """Another preset may well be answered."""


class ContextOverflow(ProviderRejected):
    code = "context_overflow"


class ProviderRateLimited(ProviderError):
    status = 429
    code = "provider_rate_limited"
    retryable = True


class ProviderUnavailable(ProviderError):
    status = 503
    code = "provider_unavailable"
    retryable = True


class ProviderBusy(ProviderUnavailable):
    """The service is there and does not take this request now."""


class ProviderTimeout(ProviderError):
    """Not retryable: whoever waited has waited long enough, and the call may have been paid for."""

    status = 504
    code = "provider_timeout"


class ProviderBroken(ProviderError):
    code = "provider_broken"


class RunFailed(AppError):
    """What ended a run before its first event, told to a client that has not got a byte yet."""

    def __init__(self, message: str, *, code: str, status: int, retry_after: float | None = None) -> None:
        super().__init__(message, retry_after=retry_after)
        self.code = code
        self.status = status
