"""Everything that can go wrong, in domain words.

    ParleyError                 500 server_error
      InvalidInput              422 invalid_input
        IdempotencyKeyReused    422 idempotency_key_reused
      MalformedBody             400 malformed_body
      BodyTooLarge              413 body_too_large
      Unauthorized              401 unauthorized
      Forbidden                 403 forbidden
      NotFound                  404 not_found
      Unavailable               503 unavailable

A module that needs another word derives it here or beside its noun. `str(error)` is for logs and may hold
evidence; `public_message` is the one sentence a client reads.
"""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, ClassVar


class ParleyError(Exception):
    """Something went wrong, and the class says what. `public_fields` stand in the answer beside the rest."""

    status: int = 500
    code: str = "server_error"
    public_message: str = "Something went wrong on our side. Try again shortly."
    retry_after_s: float | None = None
    retryable: ClassVar[bool] = False
    public_fields: Mapping[str, object] = MappingProxyType({})


class InvalidInput(ParleyError):
    """The request is well-formed JSON that says something we cannot do; `loc` names the place."""

    status, code = 422, "invalid_input"
    public_message = "The request has fields that are not valid."

    def __init__(self, msg: str, *, loc: tuple[str | int, ...] = ("body",)) -> None:
        super().__init__(f"{'.'.join(map(str, loc))}: {msg}")
        self.errors = [{"loc": list(loc), "msg": msg}]


class IdempotencyKeyReused(InvalidInput):
    """The `Idempotency-Key` was already used for a different request."""

    code = "idempotency_key_reused"
    public_message = "This Idempotency-Key was already used for a different request. Use a new key for each request."

    def __init__(self) -> None:
        super().__init__("already used for a different request", loc=("header", "Idempotency-Key"))


class MalformedBody(ParleyError):
    """The body is not what its content type says."""

    status, code = 400, "malformed_body"
    public_message = "The body is not valid JSON."


class BodyTooLarge(ParleyError):
    """The body is larger than this route takes."""

    status, code = 413, "body_too_large"

    def __init__(self, size: int, *, limit: int) -> None:
        super().__init__(f"{size} bytes, limit {limit}")
        self.public_message = f"The body is larger than the {limit // 1024} KiB that this route takes."


class Unauthorized(ParleyError):
    """Nobody is signed in, or no longer."""

    status, code = 401, "unauthorized"
    public_message = "Send a valid access token: Authorization: Bearer <token>."


class Forbidden(ParleyError):
    """Somebody is signed in who may not do this."""

    status, code = 403, "forbidden"
    public_message = "Your account may not do this."


class NotFound(ParleyError):
    """It does not exist, or not for this user: the two must look alike."""

    status, code = 404, "not_found"

    def __init__(self, what: str, id: object) -> None:
        super().__init__(f"no {what} {id}")
        self.public_message = f"There is no such {what}."


class Unavailable(ParleyError):
    """A service we need does not answer; repeating the request later is safe."""

    status, code = 503, "unavailable"
    public_message = "A service that this needs is not available. Try again shortly."
    retryable = True

    def __init__(self, service: str, *, retry_after_s: float = 2.0) -> None:
        super().__init__(f"{service} is unavailable")
        self.service = service
        self.retry_after_s = retry_after_s


def problem_document(error: ParleyError, *, request_id: str) -> dict[str, Any]:
    """Return the RFC 9457 problem document that describes `error` to a client."""
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
    return document | dict(error.public_fields)
