"""The error tree: each class has an HTTP status, a stable code and a public message.

    ParleyError                 500 server_error
      RequestInProgress         409 in_progress
      InvalidInput              422 invalid_input
        IdempotencyKeyReused    422 idempotency_key_reused
      MalformedBody             400 malformed_body
      BodyTooLarge              413 body_too_large
      Unauthorized              401 unauthorized
      Forbidden                 403 forbidden
        ScopeMissing            403 forbidden
        SecondFactorNeeded      403 second_factor_needed
      NotFound                  404 not_found
      Unavailable               503 unavailable

A more specific error is a subclass, defined in the module that raises it. `str(error)` is for logs and may contain
evidence, but no text that a user wrote; `public_message` is the sentence that a client reads.
"""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, ClassVar
from uuid import UUID


def untrusted(value: object) -> str:
    """Describe a value for an error message without repeating text that a user may have written. Only numbers and UUIDs are shown."""
    if isinstance(value, int | UUID):
        return str(value)
    return f"<{len(str(value))} characters>"


class ParleyError(Exception):
    """The base of all errors of Parley. `public_fields` are added to the error response."""

    status: int = 500
    code: str = "server_error"
    public_message: str = "Something went wrong on our side. Try again shortly."
    retry_after_s: float | None = None
    retryable: ClassVar[bool] = False
    public_fields: Mapping[str, object] = MappingProxyType({})


class InvalidInput(ParleyError):
    """A field of the request has an invalid value; `loc` is the path to the field.

    If `msg` repeats the client's text, pass `evidence`, which is logged in its place.
    """

    status, code = 422, "invalid_input"
    public_message = "The request has invalid fields."

    def __init__(self, msg: str, *, loc: tuple[str | int, ...] = ("body",), evidence: str | None = None) -> None:
        super().__init__(f"{'.'.join(map(str, loc))}: {evidence or msg}")
        self.errors = [{"loc": list(loc), "msg": msg}]


class IdempotencyKeyReused(InvalidInput):
    """The `Idempotency-Key` was already used for a different request."""

    code = "idempotency_key_reused"
    public_message = "This Idempotency-Key was already used for a different request. Use a new key for each request."

    def __init__(self) -> None:
        super().__init__("already used for a different request", loc=("header", "Idempotency-Key"))


class RequestInProgress(ParleyError):
    """The first request with this `Idempotency-Key` is still running."""

    status, code = 409, "in_progress"
    public_message = "The first request with this Idempotency-Key is still running. Repeat the request shortly to get its response."
    retry_after_s = 2.0


class MalformedBody(ParleyError):
    """The body does not match its content type."""

    status, code = 400, "malformed_body"
    public_message = "The body is not valid JSON."


class BodyTooLarge(ParleyError):
    """The body exceeds the route's size limit."""

    status, code = 413, "body_too_large"

    def __init__(self, size: int, *, limit: int) -> None:
        super().__init__(f"{size} bytes, limit {limit}")
        self.public_message = f"The body exceeds this route's limit of {limit // 1024} KiB."


class Unauthorized(ParleyError):
    """The request has no valid credentials, or its session has ended."""

    status, code = 401, "unauthorized"
    public_message = "Send a valid access token: Authorization: Bearer <token>."


class Forbidden(ParleyError):
    """The caller is authenticated but not allowed to do this."""

    status, code = 403, "forbidden"
    public_message = "Your account is not allowed to do this."


class ScopeMissing(Forbidden):
    """The token or API key lacks the scope that the route needs."""

    def __init__(self, user_id: UUID, scope: str) -> None:
        super().__init__(f"user {user_id} lacks scope {scope!r}")
        self.public_message = f"Your token or API key lacks the scope {scope!r}, which this route needs."


class SecondFactorNeeded(Forbidden):
    """The deployment demands a second factor, and the session began without one."""

    code = "second_factor_needed"
    public_message = "This server demands a second factor. Add an authenticator app or a passkey, or sign in with yours."


class NotFound(ParleyError):
    """The resource does not exist, or belongs to another user: both cases must look alike."""

    status, code = 404, "not_found"

    def __init__(self, what: str, id: object) -> None:
        super().__init__(f"no {what} {untrusted(id)}")
        self.public_message = f"There is no such {what}."


class Unavailable(ParleyError):
    """A required service does not respond; repeating the request later is safe."""

    status, code = 503, "unavailable"
    public_message = "A required service is unavailable. Try again shortly."
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
