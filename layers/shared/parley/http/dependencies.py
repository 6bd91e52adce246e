"""What routes ask for: who is calling, and a transaction as them.

All are coroutines, though nothing in them awaits: a worker has one request at a time, so blocking its loop delays nobody,
and the framework spends a thread on each that is not.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Connection

from parley.auth.origin import Origin
from parley.auth.principal import Principal
from parley.db.scope import principal_scope
from parley.http.lambda_event import origin_of, principal_of


async def current_principal(request: Request) -> Principal:
    """Return who is calling, or raise Unauthorized."""
    return principal_of(request.scope["aws.event"])


CurrentPrincipal = Annotated[Principal, Depends(current_principal)]


async def request_origin(request: Request) -> Origin:
    """Return where the request comes from."""
    return origin_of(request.scope["aws.event"])


RequestOrigin = Annotated[Origin, Depends(request_origin)]


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
