"""Errors in the format that OpenAI's SDKs parse."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from starlette.responses import Response

from functions.chat.errors import LoggedTurnFailure
from parley.clock import utc_now
from parley.errors import InvalidInput, ParleyError
from parley.http.problems import retry_after
from parley.llm.catalogue import ModelNotFound
from parley.llm.errors import ProviderRefused
from parley.metering.limits import BudgetExhausted

PREFIX = "/v1/"

# Our error code -> OpenAI's status, type and code.
_OPENAI_ERRORS: dict[str, tuple[int, str, str]] = {
    "unauthorized": (401, "invalid_request_error", "invalid_api_key"),
    "context_too_long": (400, "invalid_request_error", "context_length_exceeded"),
    "rate_limited": (429, "requests", "rate_limit_exceeded"),
    "too_many_streams": (429, "requests", "rate_limit_exceeded"),
    "budget_exhausted": (429, "insufficient_quota", "insufficient_quota"),
}


def openai_error_type(status: int, code: str) -> tuple[int, str, str]:
    """Return OpenAI's status, type and code for our status and code."""
    if code in _OPENAI_ERRORS:
        return _OPENAI_ERRORS[code]
    if status == HTTPStatus.UNPROCESSABLE_CONTENT:
        return 400, "invalid_request_error", code
    return status, "permission_error" if status == HTTPStatus.FORBIDDEN else _type_of_status(status), code


def error_body(error: ParleyError) -> dict[str, Any]:
    """Return `error` as OpenAI's error document, which is also the last event of a failed stream."""
    _, kind, code = openai_error_type(error.status, error.code)
    message, param = error.public_message, None
    if isinstance(error, InvalidInput):
        first = error.errors[0]
        param = _parameter_path(first["loc"])
        message = f"{param}: {first['msg']}" if param else str(first["msg"])
    if isinstance(error, ModelNotFound):
        param = "model"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def openai_error_response(error: ParleyError, request_id: str) -> Response:  # noqa: ARG001 - a header has it
    """Return the error response. `X-Should-Retry: false` keeps the SDKs from retrying in vain."""
    status, _, _ = openai_error_type(error.status, error.code)
    headers: dict[str, str] = {}
    if (wait_s := _wait_s(error)) is not None:
        headers["Retry-After"] = retry_after(wait_s)
    # A failed turn has stored its question: a retry would store it twice.
    if isinstance(error, BudgetExhausted | ProviderRefused | LoggedTurnFailure):
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
