"""Discovery of MCP servers' tools: all servers at once, with a time limit, and without an open transaction."""

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
from parley.tools.mcp import McpClient, McpEndpoint, McpToolList, usable_tools
from parley.tools.mcp_registry import McpRegistry

FRESH_FOR = timedelta(minutes=10)
_MAX_CONCURRENT = 20
_MAX_ERROR = 1000
# Who waits for an answer waits for strangers no longer, and for those that are known to work hardly ever.
_TURN_TIMEOUT_S = 3.0
_TURN_FRESH_FOR = timedelta(days=1)

type TransactionScope = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class DiscoveryTarget:
    """A server to ask, and where its answer is kept. `reach` may raise ParleyError."""

    load_endpoint: Callable[[], McpEndpoint]
    store: Callable[..., None]


def discover(client: McpClient, scope: TransactionScope, due: Sequence[DiscoveryTarget], *, timeout_s: float) -> None:
    """Ask the servers and keep what they say, in a transaction afterwards; one that does not answer keeps the tools it had."""
    if not due:
        return
    with ThreadPoolExecutor(min(len(due), _MAX_CONCURRENT)) as pool:
        listings = list(pool.map(partial(_list_tools, client, timeout_s), due))
    with scope() as connection:
        for one, listing in zip(due, listings, strict=True):
            error = storable(listing.error)[:_MAX_ERROR] if listing.error else None
            one.store(connection, tools=None if error else usable_tools(listing.tools), error=error)


def is_stale(listed_at: datetime | None, fresh: timedelta = FRESH_FOR) -> bool:
    """Whether a server is to be asked again, or has never been."""
    return listed_at is None or utc_now() - listed_at > fresh


def due_deployment_servers(
    connection: Connection, mcp_registry: McpRegistry, is_due: Callable[[McpListing], bool]
) -> list[DiscoveryTarget]:
    """Return the deployment's servers that have never been asked, and those of which `is_due` says so."""
    if not mcp_registry.deployment:
        return []
    known = mcp_servers.deployment_listings(connection, [server.name for server in mcp_registry.deployment])
    due = [server for server in mcp_registry.deployment if server.name not in known or is_due(known[server.name])]
    return [DiscoveryTarget(partial(_same_endpoint, server), _storing_for_deployment(server.name)) for server in due]


class McpDiscovery:
    """Hears of the deployment's servers for turns, so that the first one has their tools; one for each worker.

    A worker looks once in ten minutes whether there is one that nobody has asked, that failed, or was asked yesterday.
    """

    def __init__(self, mcp_registry: McpRegistry) -> None:
        self._registry, self._look_at_s = mcp_registry, float("-inf")

    def refresh(self, scope: TransactionScope) -> None:
        """Ask whom there is to ask, for three seconds at most. Raises Unavailable."""
        if not self._registry.deployment or time.monotonic() < self._look_at_s:
            return
        with scope() as connection:
            due = due_deployment_servers(connection, self._registry, _is_due_for_a_turn)
        discover(self._registry.client, scope, due, timeout_s=_TURN_TIMEOUT_S)
        self._look_at_s = time.monotonic() + FRESH_FOR.total_seconds()


def _is_due_for_a_turn(listing: McpListing) -> bool:
    return is_stale(listing.listed_at, FRESH_FOR if listing.error else _TURN_FRESH_FOR)


def _list_tools(client: McpClient, timeout_s: float, due: DiscoveryTarget) -> McpToolList:
    try:
        server = due.load_endpoint()
    except ParleyError as exc:
        return McpToolList([], f"The server's headers cannot be read: {exc.public_message}")
    return client.list_tools(server, timeout_s=timeout_s)


def _same_endpoint(server: McpEndpoint) -> McpEndpoint:
    return server


def _storing_for_deployment(name: str) -> Callable[..., None]:
    return lambda connection, **said: mcp_servers.store_deployment_listing(connection, name, **said)
