"""Asking MCP servers what they offer: all at once, with a time limit, and with no transaction open meanwhile."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from parley.clock import utc_now
from parley.db import mcp_servers
from parley.db.mcp_servers import McpListing
from parley.errors import ParleyError
from parley.llm.provider import storable
from parley.tools.remote import Listing, RemoteCalls, RemoteServer, usable
from parley.tools.remotes import Remotes

FRESH = timedelta(minutes=10)
_MOST_AT_ONCE = 20
_LONGEST_ERROR = 1000
# Who waits for an answer waits for strangers no longer, and for those that are known to work hardly ever.
_TURN_TIMEOUT_S = 3.0
_TURN_FRESH = timedelta(days=1)

type Scope = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class Due:
    """A server to ask, and where its answer is kept. `reach` may raise ParleyError."""

    reach: Callable[[], RemoteServer]
    keep: Callable[..., None]


def hear(calls: RemoteCalls, scope: Scope, due: Sequence[Due], *, timeout_s: float) -> None:
    """Ask the servers and keep what they say, in a transaction afterwards; one that does not answer keeps the tools it had."""
    if not due:
        return
    with ThreadPoolExecutor(min(len(due), _MOST_AT_ONCE)) as pool:
        listings = list(pool.map(partial(_ask, calls, timeout_s), due))
    with scope() as connection:
        for one, listing in zip(due, listings, strict=True):
            error = storable(listing.error)[:_LONGEST_ERROR] if listing.error else None
            one.keep(connection, tools=None if error else usable(listing.tools), error=error)


def is_old(listed_at: datetime | None, fresh: timedelta = FRESH) -> bool:
    """Whether a server is to be asked again, or has never been."""
    return listed_at is None or utc_now() - listed_at > fresh


def deployments_due(connection: Connection, remotes: Remotes, is_due: Callable[[McpListing], bool]) -> list[Due]:
    """Return the deployment's servers that have never been asked, and those of which `is_due` says so."""
    if not remotes.deployment:
        return []
    known = mcp_servers.deployments(connection, [server.name for server in remotes.deployment])
    due = [server for server in remotes.deployment if server.name not in known or is_due(known[server.name])]
    return [Due(partial(_itself, server), _keeping_for_all(server.name)) for server in due]


class TurnsEar:
    """Hears of the deployment's servers for turns, so that the first one has their tools; one for each worker.

    A worker looks once in ten minutes whether there is one that nobody has asked, that failed, or was asked yesterday.
    """

    def __init__(self, remotes: Remotes) -> None:
        self._remotes, self._look_at_s = remotes, float("-inf")

    def listen(self, scope: Scope) -> None:
        """Ask whom there is to ask, for three seconds at most. Raises Unavailable."""
        if not self._remotes.deployment or time.monotonic() < self._look_at_s:
            return
        with scope() as connection:
            due = deployments_due(connection, self._remotes, _is_due_for_a_turn)
        hear(self._remotes.calls, scope, due, timeout_s=_TURN_TIMEOUT_S)
        self._look_at_s = time.monotonic() + FRESH.total_seconds()


def _is_due_for_a_turn(listing: McpListing) -> bool:
    return is_old(listing.listed_at, FRESH if listing.error else _TURN_FRESH)


def _ask(calls: RemoteCalls, timeout_s: float, due: Due) -> Listing:
    try:
        server = due.reach()
    except ParleyError as exc:
        return Listing([], f"The server's headers cannot be read: {exc.public_message}")
    return calls.list_tools(server, timeout_s=timeout_s)


def _itself(server: RemoteServer) -> RemoteServer:
    return server


def _keeping_for_all(name: str) -> Callable[..., None]:
    return lambda connection, **said: mcp_servers.deployment_listed(connection, name, **said)
