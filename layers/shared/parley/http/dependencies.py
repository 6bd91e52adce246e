"""FastAPI dependencies: the principal, the client's origin, the function's services, and a transaction for the principal.

All are coroutines although they never await: FastAPI would run a plain function in a thread, and blocking the event
loop costs nothing because a worker handles one request at a time.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Request

from parley.auth.client_origin import MAX_USER_AGENT_LENGTH, ClientOrigin
from parley.auth.principal import Principal
from parley.clock import utc_now
from parley.db.engine import Connection
from parley.db.transactions import principal_scope
from parley.deadline import Deadline
from parley.errors import Unauthorized
from parley.observability import add_log_context


def principal_of(event: Mapping[str, Any]) -> Principal:
    """Return the principal from the authorizer's context; headers and body cannot influence it.

    Raises Unauthorized if the event has no authorizer context, or if the token expired after the gateway cached the
    authorizer's decision.
    """
    claims = event["requestContext"].get("authorizer")
    if not claims:
        raise Unauthorized("no authorizer context")
    principal = Principal.from_claims(claims)
    if principal.expires_at <= utc_now():
        raise Unauthorized(f"token expired at {principal.expires_at}")
    return principal


def origin_of(event: Mapping[str, Any]) -> ClientOrigin:
    """Return the client's address as the gateway saw it, and its user agent. `X-Forwarded-For` is ignored: clients set it."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    agent = headers.get("user-agent", "").replace("\0", "")[:MAX_USER_AGENT_LENGTH] or None
    return ClientOrigin(event["requestContext"].get("identity", {}).get("sourceIp") or "unknown", agent)


def received_at(event: Mapping[str, Any]) -> datetime:
    """Return the time at which the gateway received the request, never later than now. A queued request may run much later."""
    now, epoch_ms = utc_now(), event["requestContext"].get("requestTimeEpoch")
    return now if epoch_ms is None else min(now, datetime.fromtimestamp(epoch_ms / 1000, UTC))


async def current_principal(request: Request) -> Principal:
    """Return the request's principal, or raise Unauthorized."""
    principal = principal_of(request.scope["aws.event"])
    add_log_context(user_id=principal.user_id)
    return principal


CurrentPrincipal = Annotated[Principal, Depends(current_principal)]


async def request_origin(request: Request) -> ClientOrigin:
    """Return the request's client address and user agent."""
    return origin_of(request.scope["aws.event"])


RequestOrigin = Annotated[ClientOrigin, Depends(request_origin)]


async def _request_time(request: Request) -> datetime:
    return received_at(request.scope["aws.event"])


RequestTime = Annotated[datetime, Depends(_request_time)]


async def _invocation_deadline(request: Request) -> Deadline:
    return Deadline.of(request.scope["aws.context"])


InvocationDeadline = Annotated[Deadline, Depends(_invocation_deadline)]


def requires(scope: str, *alternatives: str) -> Callable[[Principal], Awaitable[None]]:
    """Return a dependency that raises Forbidden unless the principal has the scope `scope` or one of the alternatives."""

    async def check(principal: CurrentPrincipal) -> None:
        principal.require(scope, *alternatives)

    return check


async def require_live_session(request: Request, principal: CurrentPrincipal) -> None:
    """Raise Unauthorized if the principal's session has ended or its API key was revoked.

    Use it in routes that spend money, wait, or reveal something before their first transaction. Opening a transaction for a principal
    makes the same check.
    """
    with principal_scope(request.app.state.engine, principal):
        pass


async def _app_services(request: Request) -> Any:
    return request.app.state.services


# Each function declares its services with this dependency: `AuthServicesDep = Annotated[AuthServices, FROM_APP]`.
FROM_APP = Depends(_app_services)


async def transaction(request: Request, principal: CurrentPrincipal) -> AsyncIterator[Connection]:
    """Open the request's only transaction; it commits after the route function returns."""
    with principal_scope(request.app.state.engine, principal) as connection:
        yield connection


# scope="function": at the default scope the commit would run after the response is sent, and a failed commit would
# still answer 200.
Transaction = Annotated[Connection, Depends(transaction, scope="function")]
