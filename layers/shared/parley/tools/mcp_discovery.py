"""Discovery of MCP servers' tools: all servers at once, with a time limit, and without an open transaction."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from parley.clock import utc_now
from parley.db import mcp_servers
from parley.db.engine import Connection
from parley.db.mcp_servers import McpListing
from parley.errors import ParleyError
from parley.llm.provider import storable
from parley.tools.mcp import McpClient, McpEndpoint, McpToolList, usable_tools
from parley.tools.mcp_registry import McpRegistry, same_endpoint

FRESH_FOR = timedelta(minutes=10)
_MAX_CONCURRENT = 20
_MAX_ERROR = 1000
# A turn waits at most this long for MCP servers, and queries a working server again only after a day.
_TURN_TIMEOUT_S = 3.0
_TURN_FRESH_FOR = timedelta(days=1)

type TransactionScope = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class DiscoveryTarget:
    """A server to query, and how to store its tools. `load_endpoint` may raise ParleyError."""

    load_endpoint: Callable[[], McpEndpoint]
    store: Callable[..., None]


def discover(client: McpClient, scope: TransactionScope, due: Sequence[DiscoveryTarget], *, timeout_s: float) -> None:
    """Query the servers in parallel, then store their tools in one transaction. A server that fails keeps its previous tools."""
    if not due:
        return
    with ThreadPoolExecutor(min(len(due), _MAX_CONCURRENT)) as pool:
        listings = list(pool.map(partial(_list_tools, client, timeout_s), due))
    with scope() as connection:
        for target, listing in zip(due, listings, strict=True):
            error = storable(listing.error)[:_MAX_ERROR] if listing.error else None
            target.store(connection, tools=None if error else usable_tools(listing.tools), error=error)


def is_stale(listed_at: datetime | None, fresh: timedelta = FRESH_FOR) -> bool:
    """Return whether a server was never queried, or was last queried longer than `fresh` ago."""
    return listed_at is None or utc_now() - listed_at > fresh


def due_deployment_servers(
    connection: Connection, mcp_registry: McpRegistry, is_due: Callable[[McpListing], bool]
) -> list[DiscoveryTarget]:
    """Return the deployment's servers that were never queried, or for whose stored listing `is_due` is true."""
    if not mcp_registry.deployment:
        return []
    known = mcp_servers.deployment_listings(connection, [server.name for server in mcp_registry.deployment])
    due = [server for server in mcp_registry.deployment if server.name not in known or is_due(known[server.name])]
    return [DiscoveryTarget(partial(same_endpoint, server), partial(_store_deployment_listing, server.name)) for server in due]


class McpDiscovery:
    """Discovery of the deployment's servers before a turn, so that even the first turn has their tools. One per worker.

    Every ten minutes a worker queries the servers that were never queried, failed last time, or were last queried over a day ago.
    """

    def __init__(self, mcp_registry: McpRegistry) -> None:
        self._registry, self._next_check_s = mcp_registry, float("-inf")

    def refresh(self, scope: TransactionScope) -> None:
        """Query the servers that are due, for three seconds at most. Raises Unavailable."""
        if not self._registry.deployment or time.monotonic() < self._next_check_s:
            return
        with scope() as connection:
            due = due_deployment_servers(connection, self._registry, _is_due_for_a_turn)
        discover(self._registry.client, scope, due, timeout_s=_TURN_TIMEOUT_S)
        self._next_check_s = time.monotonic() + FRESH_FOR.total_seconds()


def _is_due_for_a_turn(listing: McpListing) -> bool:
    return is_stale(listing.listed_at, FRESH_FOR if listing.error else _TURN_FRESH_FOR)


def _list_tools(client: McpClient, timeout_s: float, target: DiscoveryTarget) -> McpToolList:
    try:
        server = target.load_endpoint()
    except ParleyError as exc:
        return McpToolList([], f"The server's headers could not be decrypted: {exc.public_message}")
    return client.list_tools(server, timeout_s=timeout_s)


def _store_deployment_listing(name: str, connection: Connection, *, tools: list[dict[str, Any]] | None, error: str | None) -> None:
    mcp_servers.store_deployment_listing(connection, name, tools=tools, error=error)
