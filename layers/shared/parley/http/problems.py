"""Errors as HTTP responses: RFC 9457 problem documents, and the declaration of a route's errors for the OpenAPI description."""

import math
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from parley.errors import InvalidInput, MalformedBody, NotFound, ParleyError, problem_document
from parley.observability import logger

MEDIA_TYPE = "application/problem+json"


type ErrorResponder = Callable[[ParleyError, str], Response]  # the error, the request's id


def problem_response(error: ParleyError, *, request_id: str) -> JSONResponse:
    """Answer with the problem document, and with `Retry-After` (whole seconds, at least one) where the error knows it."""
    headers: dict[str, str] = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = retry_after(error.retry_after_s)
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    document = problem_document(error, request_id=request_id)
    return JSONResponse(document, status_code=error.status, headers=headers, media_type=MEDIA_TYPE)


def retry_after(seconds: float) -> str:
    """Write `Retry-After`: whole seconds, at least one."""
    return str(max(1, math.ceil(seconds)))


def respond_with_problem(error: ParleyError, request_id: str) -> Response:
    """Answer as all paths do that have no form of their own."""
    return problem_response(error, request_id=request_id)


async def handle_exception(request: Request, error: Exception) -> Response:
    """Turn any exception that a route raised into an answer; the unexpected ones are logged with their trace.

    The door knows in which form this path's clients read errors.
    """
    known = _as_parley_error(error)
    request_id = request.scope.get("parley.request_id", "")
    if known is None:
        logger.exception("unexpected error", exc_info=error)
        known = ParleyError(repr(error))
    elif known.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("request failed", problem=known.code, reason=str(known), cause=type(error.__cause__).__name__)
    else:
        logger.info("request refused", problem=known.code, reason=str(known))
    form: ErrorResponder = request.scope.get("parley.error_answer", respond_with_problem)
    return form(known, request_id)


def _as_parley_error(error: Exception) -> ParleyError | None:
    match error:
        case ParleyError():
            return error
        case RequestValidationError():
            return _from_validation(error.errors())
        case HTTPException():
            return _from_http(error)
        case _:
            return None


def _from_validation(errors: Sequence[Mapping[str, Any]]) -> ParleyError:
    if any(error["type"] == "json_invalid" for error in errors):
        return MalformedBody(str(errors))
    found = InvalidInput(str(errors[0]["msg"]) if errors else "invalid")
    found.errors = [{"loc": list(error["loc"]), "msg": error["msg"]} for error in errors]
    return found


class RefusedByFramework(ParleyError):
    """What Starlette and FastAPI refuse by themselves, such as a wrong method."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code = status, HTTPStatus(status).name.lower()
        self.public_message = detail


def _from_http(error: HTTPException) -> ParleyError:
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            return NotFound("route", error.detail)
        case HTTPStatus.BAD_REQUEST:
            return MalformedBody(str(error.detail))
        case status:
            return RefusedByFramework(status, str(error.detail))


CODES_EXTENSION = "x-codes"


def error_responses(*errors: type[ParleyError]) -> dict[int | str, dict[str, Any]]:
    """Declare errors as a route's `responses`, beside those that its parameters, its body and its guards bring anyhow."""
    declared: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        answer = declared.setdefault(error.status, {"description": "", CODES_EXTENSION: {}})
        answer[CODES_EXTENSION][error.code] = (error.__doc__ or "").partition("\n")[0]
    return declared
