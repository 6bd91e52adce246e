"""Errors in the format that OpenAI's SDKs parse."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from starlette.responses import Response

from functions.chat.errors import is_retry_useless, most_exact_error
from parley.clock import utc_now
from parley.errors import InvalidInput, ParleyError
from parley.http.problems import retry_after
from parley.llm.catalogue import ModelNotFound
from parley.llm.errors import ContextTooLong, ProviderBusy, ProviderRejected
from parley.metering.limits import BudgetExhausted

PREFIX = "/v1/"

# Our error code -> OpenAI's status, type and code.
_OPENAI_ERRORS: dict[str, tuple[int, str, str]] = {
    "unauthorized": (401, "invalid_request_error", "invalid_api_key"),
    "context_too_long": (400, "invalid_request_error", "context_length_exceeded"),
    "rate_limited": (429, "requests", "rate_limit_exceeded"),
    "too_many_streams": (429, "requests", "rate_limit_exceeded"),
    "budget_exhausted": (429, "insufficient_quota", "insufficient_quota"),
    "provider_rejected": (400, "invalid_request_error", "provider_rejected"),
}


def openai_error_type(status: int, code: str) -> tuple[int, str, str]:
    """Return OpenAI's status, type and code for our status and code."""
    if code in _OPENAI_ERRORS:
        return _OPENAI_ERRORS[code]
    if status == HTTPStatus.UNPROCESSABLE_CONTENT:
        return 400, "invalid_request_error", code
    return status, "permission_error" if status == HTTPStatus.FORBIDDEN else _type_of_status(status), code


def _error_type(error: ParleyError) -> tuple[int, str, str]:
    """Return OpenAI's status, type and code. A vendor's own 429, and its complaint about a long prompt, keep their meaning."""
    if isinstance(error, ProviderBusy) and error.is_rate_limit:
        return _OPENAI_ERRORS["rate_limited"]
    if isinstance(error, ProviderRejected) and error.is_context_too_long:
        return _OPENAI_ERRORS["context_too_long"]
    return openai_error_type(error.status, error.code)


def error_body(error: ParleyError) -> dict[str, Any]:
    """Return `error` as OpenAI's error document, which is also the last event of a failed stream."""
    _, kind, code = _error_type(error)
    message, param = error.public_message, None
    if isinstance(error, ContextTooLong):  # agents shorten their history if they find these words
        message = (
            f"This model's maximum context length is {error.limit} tokens besides the answer, but the request has about {error.tokens}. "
        )
        message += "Reduce the length of the messages or of the answer."
    if isinstance(error, InvalidInput):
        first = most_exact_error(error.errors)
        param = _parameter_path(first["loc"])
        message = f"{param}: {first['msg']}" if param else str(first["msg"])
    if isinstance(error, ModelNotFound):
        param = "model"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def stream_error(error: ParleyError) -> dict[str, Any]:
    """Return the member `error` for a stream, whose status has been sent.

    `retry_after` is the header of other responses, in seconds. Codex reads the same from the message.
    """
    body: dict[str, Any] = error_body(error)["error"]
    if (wait_s := _wait_s(error)) is None:
        return body
    seconds = int(retry_after(wait_s))
    return body | {"message": f"{body['message']} Please try again in {seconds}s.", "retry_after": seconds}


def openai_error_response(error: ParleyError, request_id: str) -> Response:  # noqa: ARG001 - a header has it
    """Return the error response. `X-Should-Retry: false` keeps the SDKs from retrying in vain."""
    status, _, _ = _error_type(error)
    headers: dict[str, str] = {}
    if (wait_s := _wait_s(error)) is not None:
        headers["Retry-After"] = retry_after(wait_s)
    if is_retry_useless(error):
        headers["X-Should-Retry"] = "false"
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(error_body(error), status_code=status, headers=headers)


def _type_of_status(status: int) -> str:
    return "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"


def _wait_s(error: ParleyError) -> float | None:
    if isinstance(error, BudgetExhausted):
        return (error.resets_at - utc_now()).total_seconds()
    return error.retry_after_s


def _parameter_path(loc: Sequence[str | int]) -> str | None:
    """Return a location in OpenAI's notation, such as `messages[0].content`. None for the whole body."""
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc[1:]]
    return "".join(steps).removeprefix(".") or None
