"""A user's remote MCP servers: add and remove them, and refresh the list of their tools."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from functions.tools.errors import NameTaken, TooManyMcpServers
from functions.tools.schemas import MadeMcpServerOut, NewMcpServer
from functions.tools.services import ToolsServices
from parley.auth.principal import Principal
from parley.db import mcp_servers, tool_settings
from parley.db.transactions import principal_scope
from parley.http.idempotency import Idempotency
from parley.ids import new_id
from parley.tools.mcp_discovery import DiscoveryTarget, discover, due_deployment_servers, is_stale
from parley.tools.mcp_registry import encrypt_headers

LISTING_TIMEOUT_S = 5.0


def refresh_listings(services: ToolsServices, principal: Principal, *, only: UUID | None = None) -> None:
    """Ask the servers that are due, or the one of the user's that `only` names, and keep what they say.

    One that does not answer keeps the tools it had, and is not asked again before the next time.
    """
    scope = partial(principal_scope, services.engine, principal)
    with scope() as connection:
        due = _servers_due(services, connection, principal.user_id, only)
    discover(services.mcp_registry.client, scope, due, timeout_s=LISTING_TIMEOUT_S)


def _servers_due(services: ToolsServices, connection: Connection, user_id: UUID, only: UUID | None) -> list[DiscoveryTarget]:
    mcp_registry = services.mcp_registry
    mine = [
        one for one in mcp_servers.list_all(connection, user_id=user_id) if one.id == only or (only is None and is_stale(one.listed_at))
    ]
    due = [DiscoveryTarget(partial(mcp_registry.load_endpoint, one, user_id=user_id), _store_listing(one.id, user_id)) for one in mine]
    return due if only else due + due_deployment_servers(connection, mcp_registry, lambda listing: is_stale(listing.listed_at))


def _store_listing(server_id: UUID, user_id: UUID) -> Callable[..., None]:
    return lambda connection, **result: mcp_servers.store_listing(connection, server_id, user_id=user_id, **result)


MAX_SERVERS = 20


ADD_SERVER_ROUTE = "POST /tools/mcp-servers"


def add_server(services: ToolsServices, principal: Principal, body: NewMcpServer, once: Idempotency) -> MadeMcpServerOut | dict[str, Any]:
    """Store a server, then ask it for its tools. Raises NameTaken, TooManyMcpServers and KeyReused."""
    server_id, user_id = new_id(), principal.user_id
    # Before the transaction: the key of the seal may have to be fetched.
    headers = encrypt_headers(services.mcp_registry.cipher, body.headers, server_id, user_id=user_id)
    with principal_scope(services.engine, principal) as connection:
        answer = once.run_once(
            connection, user_id, ADD_SERVER_ROUTE, body, lambda: _insert_server(services, connection, body, server_id, user_id, headers)
        )
    if isinstance(answer, MadeMcpServerOut):
        refresh_listings(services, principal, only=server_id)
    return answer


def remove_server(connection: Connection, server_id: UUID, *, user_id: UUID) -> None:
    """Delete a server with the settings of its tools, or raise NotFound."""
    name = mcp_servers.remove(connection, server_id, user_id=user_id)
    tool_settings.remove_server(connection, name, user_id=user_id)


def _insert_server(
    services: ToolsServices, connection: Connection, body: NewMcpServer, server_id: UUID, user_id: UUID, headers: bytes | None
) -> MadeMcpServerOut:
    if mcp_servers.count(connection, user_id=user_id) >= MAX_SERVERS:
        raise TooManyMcpServers(MAX_SERVERS)
    is_free = body.name not in {server.name for server in services.mcp_registry.deployment}
    made = mcp_servers.add(connection, server_id, user_id=user_id, name=body.name, url=body.url, headers=headers) if is_free else None
    if made is None:
        raise NameTaken(body.name)
    return MadeMcpServerOut.model_validate(made)
