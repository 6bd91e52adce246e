"""Errors in the format that Anthropic's SDKs parse."""

from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from starlette.responses import Response

from functions.chat.errors import is_retry_useless, most_exact_error
from parley.errors import InvalidInput, ParleyError
from parley.http.problems import retry_after
from parley.llm.errors import ContextTooLong, ProviderBusy, ProviderRejected

PREFIX = "/v1/messages"
# Anthropic's SDKs read the request id from this header.
REQUEST_ID_HEADER = "Request-Id"

# A request that the vendor or the catalogue refuses is the client's to change.
_BAD_REQUESTS = {"context_too_long", "provider_rejected"}
_TYPES = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.PAYMENT_REQUIRED: "billing_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.NOT_FOUND: "not_found_error",
    HTTPStatus.CONTENT_TOO_LARGE: "request_too_large",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
    HTTPStatus.SERVICE_UNAVAILABLE: "overloaded_error",
    HTTPStatus.GATEWAY_TIMEOUT: "timeout_error",
}


def anthropic_error_type(status: int, code: str) -> tuple[int, str]:
    """Return Anthropic's status and type for our status and code."""
    if status == HTTPStatus.UNPROCESSABLE_CONTENT or code in _BAD_REQUESTS:
        status = HTTPStatus.BAD_REQUEST
    general = "api_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    return int(status), _TYPES.get(HTTPStatus(status), general)


def _status_and_type(error: ParleyError) -> tuple[int, str]:
    """Return Anthropic's status and type. A vendor's own 429 keeps its meaning."""
    if isinstance(error, ProviderBusy) and error.is_rate_limit:
        return anthropic_error_type(HTTPStatus.TOO_MANY_REQUESTS, error.code)
    return anthropic_error_type(error.status, error.code)


def anthropic_error_body(error: ParleyError, request_id: str) -> dict[str, Any]:
    """Return `error` as Anthropic's error document, which is also the last event of a failed stream.

    `retry_after` of the details is the header `Retry-After`, in seconds: the headers of a stream have been sent before.
    """
    _, kind = _status_and_type(error)
    details: dict[str, Any] = {"error_code": error.code}
    if error.retry_after_s is not None:
        details["retry_after"] = int(retry_after(error.retry_after_s))
    return {
        "type": "error",
        "error": {"type": kind, "message": _message(error), "details": details},
        "request_id": request_id,
    }


def _message(error: ParleyError) -> str:
    match error:
        case ContextTooLong():  # agents shorten their history if they find these words
            return f"prompt is too long: {error.tokens} tokens > {error.limit} maximum"
        case ProviderRejected(is_context_too_long=True):
            return f"prompt is too long: {error.public_message}"
        case InvalidInput():
            first = most_exact_error(error.errors)
            place = ".".join(map(str, first["loc"][1:]))
            return f"{place}: {first['msg']}" if place else str(first["msg"])
    return error.public_message


def anthropic_error_response(error: ParleyError, request_id: str) -> Response:
    """Return the error response. `X-Should-Retry: false` keeps the SDKs from retrying in vain."""
    status, _ = _status_and_type(error)
    headers = {REQUEST_ID_HEADER: request_id}
    if error.retry_after_s is not None:
        headers["Retry-After"] = retry_after(error.retry_after_s)
    if is_retry_useless(error):
        headers["X-Should-Retry"] = "false"
    return JSONResponse(anthropic_error_body(error, request_id), status_code=status, headers=headers)
