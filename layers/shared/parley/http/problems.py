"""Errors as answers: RFC 9457 problem documents."""

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from parley.errors import InvalidInput, MalformedBody, NotFound, ParleyError
from parley.observability import logger

MEDIA_TYPE = "application/problem+json"


def problem(error: ParleyError, *, request_id: str) -> dict[str, Any]:
    """Return the document that tells a client about `error`."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.public_message,
        "code": error.code,
        "request_id": request_id,
    }
    if isinstance(error, InvalidInput) or hasattr(error, "errors"):
        document["errors"] = error.errors
    return document


def problem_response(error: ParleyError, *, request_id: str) -> JSONResponse:
    """Answer with the problem document, and with `Retry-After` (whole seconds, at least one) where the error knows it."""
    headers: dict[str, str] = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    document = problem(error, request_id=request_id)
    return JSONResponse(document, status_code=error.status, headers=headers, media_type=MEDIA_TYPE)


async def answer_problem(request: Request, error: Exception) -> JSONResponse:
    """Turn any exception that a route raised into an answer; the unexpected ones are logged with their trace."""
    known = _as_parley_error(error)
    request_id = request.scope.get("parley.request_id", "")
    if known is None:
        logger.exception("unexpected error", exc_info=error)
        known = ParleyError(repr(error))
    elif known.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("request failed", problem=known.code, reason=str(known), cause=type(error.__cause__).__name__)
    else:
        logger.info("request refused", problem=known.code, reason=str(known))
    return problem_response(known, request_id=request_id)


def _as_parley_error(error: Exception) -> ParleyError | None:
    match error:
        case ParleyError():
            return error
        case RequestValidationError():
            return _invalid(error.errors())
        case HTTPException():
            return _from_http(error)
        case DataError():
            # PostgreSQL refuses some text that JSON allows, such as NUL: the client's data, not our fault.
            return InvalidInput("the text holds characters that cannot be stored")
        case _:
            return None


def _invalid(errors: Sequence[Mapping[str, Any]]) -> ParleyError:
    if any(error["type"] == "json_invalid" for error in errors):
        return MalformedBody(str(errors))
    found = InvalidInput(str(errors[0]["msg"]) if errors else "invalid")
    found.errors = [{"loc": list(error["loc"]), "msg": error["msg"]} for error in errors]
    return found


class _RefusedByFramework(ParleyError):
    """What Starlette and FastAPI refuse by themselves: unreadable bodies, wrong methods."""


def _from_http(error: HTTPException) -> ParleyError:
    if error.status_code == HTTPStatus.NOT_FOUND:
        return NotFound("route", error.detail)
    if error.status_code == HTTPStatus.BAD_REQUEST:
        return MalformedBody(str(error.detail))
    refused = _RefusedByFramework(str(error.detail))
    refused.status, refused.code = error.status_code, HTTPStatus(error.status_code).name.lower()  # type: ignore[misc]
    refused.public_message = str(error.detail)
    return refused
