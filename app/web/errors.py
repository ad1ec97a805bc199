"""Errors as answers: JSON for programs, a sentence for `useChat`, a page for people. One shape for each, everywhere.

The JSON satisfies Anthropic's clients (`type`, `error.type`, `error.message`) and OpenAI's (`error.message`, and
`error.code`). No answer tells more than an `AppError` says of itself: no input value, no address of this machine, no
traceback.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http.client import responses as phrases
from math import ceil

from jinja2 import Environment
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ExceptionHandler, Scope

from app.core.errors import AppError, ProviderRejected
from app.wire.api_errors import error_json
from app.wire.json import dump_json

log = logging.getLogger(__name__)

REQUEST_ID = "palaver.request_id"
"""Key of the scope under which the guard keeps the request's id."""

_SERVER_ERRORS = 500
_HTTP_ERRORS = {
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not answer this method."),
}


class Refusal(AppError):
    """A request that is turned away as HTTP, whatever it asks for."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.status = status
        self.code = code
        self.headers = headers


def is_api(path: str) -> bool:
    """Whether programs are the callers here, or pages of a listed origin; everything else is for our own pages."""
    return path.startswith(("/api/", "/v1/", "/files/")) or path in ("/api", "/v1")


def header_of(scope: Scope, name: bytes) -> str:
    """The header's value, or an empty string; `name` in lower case."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def request_id_of(scope: Scope) -> str:
    request_id: str = scope.get(REQUEST_ID, "")
    return request_id


def error_response(scope: Scope, error: AppError) -> Response:
    """The answer in the form that the client of this path reads."""
    headers = dict(error.headers or {}) if isinstance(error, Refusal) else {}
    if error.retry_after is not None:
        headers["retry-after"] = str(max(1, ceil(error.retry_after)))
    path = scope["path"]
    if isinstance(error, ProviderRejected) and path.startswith("/v1/"):
        headers["x-should-retry"] = "false"  # what SDKs would do, whatever the status
    if "application/json" not in header_of(scope, b"accept"):
        if path.startswith("/api/ai/chat/") and (scope["method"] == "POST" or path.endswith("/stream")):
            # useChat shows the body of a failed request to the user as it is
            headers["x-palaver-error-code"] = error.code
            return PlainTextResponse(error.message, error.status, headers)
        if not is_api(path):
            return _page(scope, error, headers)
    return Response(dump_json(error_json(error, request_id_of(scope))), error.status, headers, "application/json")


def unexpected_error() -> AppError:
    return AppError("Something went wrong in the server. Its log has more under the id of this request.")


async def _answer_app_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)
    if error.status >= _SERVER_ERRORS:
        log.warning("request failed", extra={"code": error.code, "request_id": request.scope.get(REQUEST_ID)})
    return error_response(request.scope, error)


async def _answer_http_exception(request: Request, error: Exception) -> Response:
    """What Starlette itself raises: no such route, another method, a form that is none."""
    assert isinstance(error, HTTPException)
    code, message = _HTTP_ERRORS.get(error.status_code, ("http_error", phrases.get(error.status_code, "Error") + "."))
    return error_response(request.scope, Refusal(error.status_code, code, message, headers=error.headers))


async def _answer_bug(request: Request, _: Exception) -> Response:
    """Starlette raises the error again behind this answer; the guard logs it, once."""
    return error_response(request.scope, unexpected_error())


exception_handlers: Mapping[type[Exception], ExceptionHandler] = {
    AppError: _answer_app_error,
    HTTPException: _answer_http_exception,
    Exception: _answer_bug,
}


def _page(scope: Scope, error: AppError, headers: Mapping[str, str]) -> Response:
    """A whole page, or only its message where htmx will put it into a page."""
    templates = _templates(scope)
    if templates is None:
        return PlainTextResponse(error.message, error.status, headers)
    template = templates.get_template("parts/error.html" if header_of(scope, b"hx-request") else "error.html")
    html = template.render(
        status=error.status,
        phrase=phrases.get(error.status, "Error"),
        code=error.code,
        message=error.message,
        request_id=request_id_of(scope),
    )
    return HTMLResponse(html, error.status, headers)


def _templates(scope: Scope) -> Environment | None:
    """None before the application has started."""
    deps = scope.get("state", {}).get("deps")
    return None if deps is None else deps.templates
