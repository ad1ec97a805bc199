"""Errors as the clients of other APIs read them: Anthropic's by `type` and `error.type`, OpenAI's by `error.code`."""

from __future__ import annotations

from app.core.errors import AppError

_SERVER_ERRORS = 500
_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def error_json(error: AppError, request_id: str) -> dict[str, object]:
    details = {} if error.reason is None else {"details": {"error_code": error.reason}}
    default = "invalid_request_error" if error.status < _SERVER_ERRORS else "api_error"
    return {
        "type": "error",
        "error": {
            "type": _TYPES.get(error.status, default),
            "code": error.code,
            "message": error.message,
            "param": error.param,
            **details,
        },
        "request_id": request_id,
    }
