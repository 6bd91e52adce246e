"""FastAPI dependencies: the principal, the client's origin, and a transaction on the principal's behalf.

All are coroutines, although none awaits: a worker handles one request at a time, so blocking its loop delays nobody, and the
framework would spend a thread on each function that is not a coroutine.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy import Connection

from parley.auth.client_origin import MAX_USER_AGENT_LENGTH, ClientOrigin
from parley.auth.principal import Principal
from parley.clock import utc_now
from parley.db.transactions import principal_scope
from parley.errors import Unauthorized


def principal_of(event: Mapping[str, Any]) -> Principal:
    """Return who the authorizer says is calling; headers and bodies have no say.

    Raises Unauthorized where there is no authorizer's context, or where the token has expired since the gateway
    cached the verdict.
    """
    claims = event["requestContext"].get("authorizer")
    if not claims:
        raise Unauthorized("no authorizer context")
    principal = Principal.from_claims(claims)
    if principal.expires_at <= utc_now():
        raise Unauthorized(f"token expired at {principal.expires_at}")
    return principal


def origin_of(event: Mapping[str, Any]) -> ClientOrigin:
    """Return where the request comes from: the address that the gateway saw. `X-Forwarded-For` is what clients say."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    agent = headers.get("user-agent", "").replace("\0", "")[:MAX_USER_AGENT_LENGTH] or None
    return ClientOrigin(event["requestContext"].get("identity", {}).get("sourceIp") or "unknown", agent)


async def current_principal(request: Request) -> Principal:
    """Return who is calling, or raise Unauthorized."""
    return principal_of(request.scope["aws.event"])


CurrentPrincipal = Annotated[Principal, Depends(current_principal)]


async def request_origin(request: Request) -> ClientOrigin:
    """Return where the request comes from."""
    return origin_of(request.scope["aws.event"])


RequestOrigin = Annotated[ClientOrigin, Depends(request_origin)]


def requires(scope: str) -> Callable[[Principal], Awaitable[None]]:
    """Make a dependency that raises Forbidden unless the token may do `scope`."""

    async def check(principal: CurrentPrincipal) -> None:
        principal.require(scope)

    return check


async def transaction(request: Request, principal: CurrentPrincipal) -> AsyncIterator[Connection]:
    """Open the request's one transaction; it commits when the route has returned."""
    with principal_scope(request.app.state.engine, principal) as connection:
        yield connection


# scope="function": at the default scope the commit would run after the answer, and a failed one would still say 200.
Transaction = Annotated[Connection, Depends(transaction, scope="function")]
