"""Errors of the OAuth routes in the format of RFC 6749, 5.2, and of a user's consent."""

from collections.abc import Mapping
from typing import Literal
from uuid import UUID

from fastapi.responses import JSONResponse
from starlette.responses import Response

from parley.errors import InvalidInput, MalformedBody, ParleyError
from parley.http.problems import problem_response

type OAuthErrorCode = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_scope",
    "invalid_target",
    "unsupported_grant_type",
    "unsupported_response_type",
    "unsupported_token_type",
    "invalid_client_metadata",
    "invalid_redirect_uri",
    "access_denied",
]


class OAuthError(ParleyError):
    """A client's request is refused with an error code of OAuth (RFC 6749, 7009, 7591, 8707)."""

    status = 400

    def __init__(self, code: OAuthErrorCode, description: str, *, evidence: str = "") -> None:
        super().__init__(f"{code}: {evidence or description}")
        self.code = code
        self.public_message = description


class AuthorizationRefused(InvalidInput):
    """The application's request is not valid. `error` is OAuth's code; `redirect_to`, if any, reports it to the application."""

    code = "authorization_refused"

    def __init__(self, error: OAuthError, *, redirect_to: str | None = None) -> None:
        super().__init__(error.public_message, loc=("body", "query"))
        self.public_message = error.public_message
        self.public_fields: Mapping[str, object] = {"error": error.code, "redirect_to": redirect_to}


class TooManyClientDocuments(ParleyError):
    """The descriptions of too many applications were fetched for the user."""

    status, code = 429, "rate_limited"
    public_message = "Too many applications have asked for access. Wait for the number of seconds in Retry-After."

    def __init__(self, user_id: UUID, *, retry_after_s: float) -> None:
        super().__init__(f"user {user_id} must wait {retry_after_s:.0f} s")
        self.retry_after_s = retry_after_s


def respond_with_oauth_error(error: ParleyError, request_id: str) -> Response:
    """Respond with `{"error", "error_description"}` if the client's request is at fault, else with a problem document."""
    return _response(error, request_id, unreadable="invalid_request")


def respond_with_registration_error(error: ParleyError, request_id: str) -> Response:
    """Respond to a refused registration (RFC 7591, 3.2.2)."""
    return _response(error, request_id, unreadable="invalid_client_metadata")


def _response(error: ParleyError, request_id: str, *, unreadable: OAuthErrorCode) -> Response:
    if isinstance(error, InvalidInput | MalformedBody):
        found = getattr(error, "errors", None) or [{"loc": ["body"], "msg": error.public_message}]
        error = OAuthError(unreadable, "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}".lstrip(": ") for one in found[:3]))
    if not isinstance(error, OAuthError):
        return problem_response(error, request_id=request_id)
    return JSONResponse({"error": error.code, "error_description": error.public_message}, error.status)
