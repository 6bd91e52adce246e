"""Asking MCP servers what they offer: all at once, with a time limit, and with no transaction open meanwhile."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from functions.tools.desk import Desk
from parley.auth.principal import Principal
from parley.clock import utc_now
from parley.db import mcp_servers
from parley.db.scope import principal_scope
from parley.errors import ParleyError
from parley.tools.remote import Listing, RemoteServer, usable

FRESH = timedelta(minutes=10)
TIMEOUT_S = 5.0
_MOST_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Due:
    """A server to ask, and where its answer is kept. `reach` may raise ParleyError."""

    reach: Callable[[], RemoteServer]
    keep: Callable[..., None]


def refresh(desk: Desk, principal: Principal, *, only: UUID | None = None) -> None:
    """Ask the servers that are due, or the one of the user's that `only` names, and keep what they say.

    One that does not answer keeps the tools it had, and is not asked again before the next time.
    """
    with principal_scope(desk.engine, principal) as connection:
        due = list(_due(desk, connection, principal.user_id, only))
    if not due:
        return
    with ThreadPoolExecutor(min(len(due), _MOST_AT_ONCE)) as pool:
        listings = list(pool.map(partial(_ask, desk), due))
    with principal_scope(desk.engine, principal) as connection:
        for one, listing in zip(due, listings, strict=True):
            one.keep(connection, tools=None if listing.error else usable(listing.tools), error=listing.error)


def _due(desk: Desk, connection: Connection, user_id: UUID, only: UUID | None) -> list[Due]:
    remotes = desk.remotes
    mine = [one for one in mcp_servers.all_of(connection, user_id=user_id) if one.id == only or (only is None and _is_old(one.listed_at))]
    due = [Due(partial(remotes.reach, one, user_id=user_id), _keeping(one.id, user_id)) for one in mine]
    if only or not remotes.deployment:
        return due
    known = mcp_servers.deployments(connection, [server.name for server in remotes.deployment])
    old = [server for server in remotes.deployment if server.name not in known or _is_old(known[server.name].listed_at)]
    return due + [Due(partial(_itself, server), _keeping_for_all(server.name)) for server in old]


def _ask(desk: Desk, due: Due) -> Listing:
    try:
        server = due.reach()
    except ParleyError as exc:
        return Listing([], f"The server's headers cannot be read: {exc.public_message}")
    return desk.remotes.calls.list_tools(server, timeout_s=TIMEOUT_S)


def _is_old(listed_at: datetime | None) -> bool:
    return listed_at is None or utc_now() - listed_at > FRESH


def _itself(server: RemoteServer) -> RemoteServer:
    return server


def _keeping(server_id: UUID, user_id: UUID) -> Callable[..., None]:
    return lambda connection, **said: mcp_servers.listed(connection, server_id, user_id=user_id, **said)


def _keeping_for_all(name: str) -> Callable[..., None]:
    return lambda connection, **said: mcp_servers.deployment_listed(connection, name, **said)
