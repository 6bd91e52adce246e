"""Errors of the SCIM routes, in SCIM's format (RFC 7644, 3.12)."""

from typing import Literal

from fastapi.responses import JSONResponse
from starlette.responses import Response

from parley.errors import InvalidInput, MalformedBody, NotFound, ParleyError, Unauthorized
from parley.http.problems import retry_after

PREFIX = "/scim/"
MEDIA_TYPE = "application/scim+json"
ERROR_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:Error"

type ScimType = Literal[
    "invalidFilter", "tooMany", "uniqueness", "mutability", "invalidSyntax", "invalidPath", "noTarget", "invalidValue", "sensitive"
]


class ScimError(ParleyError):
    """The identity provider's request is refused for a reason that SCIM names."""

    status, code = 400, "scim_refused"

    def __init__(self, scim_type: ScimType, detail: str) -> None:
        super().__init__(scim_type)
        self.scim_type, self.public_message = scim_type, detail


class AlreadyExists(ScimError):
    """Another account or group has this user name, address or external id."""

    status, code = 409, "scim_uniqueness"

    def __init__(self, attribute: str) -> None:
        super().__init__("uniqueness", f"Another resource has this {attribute}.")


class UnknownResource(NotFound):
    """The resource does not exist."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind, "with this id")


class TokenRefused(Unauthorized):
    """The request has no valid SCIM token."""

    public_message = "Send a valid SCIM token: Authorization: Bearer <token>. An admin makes one with POST /admin/scim-token."


class TooManyScimRequests(ParleyError):
    """The identity provider calls too often, or a network has sent too many invalid tokens."""

    status, code = 429, "rate_limited"
    public_message = "Too many requests. Wait for the number of seconds in Retry-After."

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"try again in {wait_s:.0f} s")
        self.retry_after_s = wait_s


def respond_with_scim_error(error: ParleyError, request_id: str) -> Response:  # noqa: ARG001 - the header has the id
    """Respond in SCIM's format. Invalid input is 400, as SCIM has no 422."""
    status = scim_status(error.status)
    document: dict[str, object] = {"schemas": [ERROR_SCHEMA], "status": str(status), "detail": _detail(error)}
    scim_type = _scim_type(error)
    headers = {"Retry-After": retry_after(error.retry_after_s)} if error.retry_after_s is not None else {}
    headers |= {"WWW-Authenticate": "Bearer"} if status == Unauthorized.status else {}
    return JSONResponse(document | ({"scimType": scim_type} if scim_type else {}), status, headers, media_type=MEDIA_TYPE)


def scim_status(status: int) -> int:
    """Return the status that SCIM has for one of Parley's."""
    return 400 if status == InvalidInput.status else status


def _scim_type(error: ParleyError) -> str | None:
    match error:
        case ScimError():
            return error.scim_type
        case MalformedBody():
            return "invalidSyntax"
        case InvalidInput():
            return "invalidValue"
    return None


def _detail(error: ParleyError) -> str:
    if not isinstance(error, InvalidInput):
        return error.public_message
    found = (f"{'.'.join(map(str, entry['loc'][1:]))}: {entry['msg']}".removeprefix(": ") for entry in error.errors[:3])
    return "; ".join(found)
