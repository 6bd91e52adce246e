"""Errors as HTTP responses: RFC 9457 problem documents, and the declaration of a route's errors for OpenAPI."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
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
CODES_EXTENSION = "x-codes"
MAX_ERRORS = 100
MAX_LOC_CHARACTERS = 100

# Formats an error, given the error and the request id.
type ErrorResponder = Callable[[ParleyError, str], Response]


def problem_response(error: ParleyError, *, request_id: str) -> JSONResponse:
    """Return the problem document as a response, with `Retry-After` if the error says when to retry."""
    headers: dict[str, str] = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = retry_after(error.retry_after_s)
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    document = problem_document(error, request_id=request_id)
    return JSONResponse(document, status_code=error.status, headers=headers, media_type=MEDIA_TYPE)


def retry_after(seconds: float) -> str:
    """Format a `Retry-After` value: whole seconds, rounded up, at least one."""
    return str(max(1, math.ceil(seconds)))


def respond_with_problem(error: ParleyError, request_id: str) -> Response:
    """Respond with a problem document: the default responder."""
    return problem_response(error, request_id=request_id)


async def handle_exception(request: Request, error: Exception) -> Response:
    """Log an exception raised by a route, and turn it into a response. Unexpected exceptions are logged with their stack trace.

    The response comes from the error responder that `RequestMiddleware` chose for the path.
    """
    known = _as_parley_error(error)
    request_id = request.scope.get("parley.request_id", "")
    if known is None:
        logger.exception("request_crashed", exc_info=error)
        known = ParleyError(repr(error))
    elif known.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("request_failed", problem=known.code, reason=str(known), cause=type(error.__cause__).__name__)
    else:
        logger.info("request_refused", problem=known.code, reason=str(known))
    respond: ErrorResponder = request.scope.get("parley.error_responder", respond_with_problem)
    return respond(known, request_id)


def _as_parley_error(error: Exception) -> ParleyError | None:
    match error:
        case ParleyError():
            return error
        case RequestValidationError():
            return _from_validation(error.errors(), error.body)
        case HTTPException():
            return _from_http(error)
        case _:
            return None


def _from_validation(errors: Sequence[Mapping[str, Any]], body: Any) -> ParleyError:
    if any(error["type"] == "json_invalid" for error in errors):
        return MalformedBody(str(errors))
    # Only the types: Pydantic's messages, and its locations in objects with arbitrary keys, repeat the client's text.
    invalid = InvalidInput("invalid", evidence=", ".join(sorted({str(error["type"]) for error in errors[:MAX_ERRORS]})))
    # A body can have thousands of errors, and a location can be a long key that the client invented.
    invalid.errors = [{"loc": list(map(_shortened, _client_loc(error, body))), "msg": error["msg"]} for error in errors[:MAX_ERRORS]]
    return invalid


def _client_loc(error: Mapping[str, Any], body: Any) -> Iterator[str | int]:
    """Yield the steps to the client's field, without the names that Pydantic gives to the members of a union."""
    place, *steps = error["loc"]
    yield place
    value = body
    for index, step in enumerate(steps):
        is_missing = error["type"] == "missing" and index == len(steps) - 1
        if place != "body" or is_missing:
            yield step
        elif (isinstance(value, dict) and step in value) or (isinstance(value, list) and isinstance(step, int) and step < len(value)):
            value = value[step]
            yield step


def _shortened(step: str | int) -> str | int:
    return step[:MAX_LOC_CHARACTERS] if isinstance(step, str) else step


class RefusedByFramework(ParleyError):
    """Starlette or FastAPI refused the request, for example because of a wrong method."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = HTTPStatus(status).name.lower()
        self.public_message = detail


def _from_http(error: HTTPException) -> ParleyError:
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            return NotFound("route", error.detail)
        case HTTPStatus.BAD_REQUEST:
            return MalformedBody(str(error.detail))
        case status:
            return RefusedByFramework(status, str(error.detail))


def error_responses(*errors: type[ParleyError]) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` argument of a route that may raise `errors`, described by the first lines of their docstrings.

    Errors of the route's parameters, body and dependencies are declared automatically and need not be passed.
    """
    declared: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        response = declared.setdefault(error.status, {"description": "", CODES_EXTENSION: {}})
        response[CODES_EXTENSION][error.code] = (error.__doc__ or "").partition("\n")[0]
    return declared
