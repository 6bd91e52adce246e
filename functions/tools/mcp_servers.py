"""A user's remote MCP servers: add and remove them, and refresh the lists of their tools."""

from collections.abc import Callable, Mapping
from functools import partial
from uuid import UUID

from functions.tools.errors import NameTaken, TooManyMcpServers
from functions.tools.services import ToolsServices
from functions.tools.tools import count_call
from parley.auth.client_origin import ClientOrigin
from parley.auth.principal import Principal
from parley.db import mcp_servers, tool_settings
from parley.db.accounts import audit
from parley.db.engine import Connection
from parley.db.mcp_servers import McpServer
from parley.db.transactions import lock_until_end, principal_scope
from parley.errors import NotFound, untrusted
from parley.http.idempotency import IdempotentRequest, IdempotentResult
from parley.ids import new_id
from parley.tools.mcp_discovery import DiscoveryTarget, discover, due_deployment_servers, is_stale
from parley.tools.mcp_registry import McpRegistry, encrypt_credentials, split_query

LISTING_TIMEOUT_S = 5.0
MAX_SERVERS = 20


def add_server(
    services: ToolsServices,
    principal: Principal,
    request: IdempotentRequest[McpServer],
    origin: ClientOrigin,
    *,
    name: str,
    url: str,
    headers: Mapping[str, str],
) -> IdempotentResult[McpServer]:
    """Store a server, then fetch its tool list. Raises NameTaken, TooManyMcpServers and IdempotencyKeyReused."""
    server_id, user_id = new_id(), principal.user_id
    # Encrypt before the transaction: the encryption key may have to be fetched.
    address, query = split_query(url)
    encrypted = encrypt_credentials(services.mcp_registry.cipher, headers, server_id, user_id=user_id, query=query)

    with principal_scope(services.engine, principal) as connection:

        def insert() -> McpServer:
            _check_new_server(connection, services.mcp_registry, name, user_id=user_id)
            server = mcp_servers.add(connection, server_id, user_id=user_id, name=name, url=address, headers=encrypted)
            if server is None:
                raise NameTaken(untrusted(name))
            audit.record_own(connection, user_id, "mcp_server_added", origin, server_id=str(server_id))
            return server

        result = request.run_once(connection, user_id, insert)
    if result.value:
        refresh_listings(services, principal, only=server_id)
    return result


def remove_server(connection: Connection, server_id: UUID, origin: ClientOrigin, *, user_id: UUID) -> None:
    """Delete a server and the settings of its tools, or raise NotFound."""
    name = mcp_servers.remove(connection, server_id, user_id=user_id)
    tool_settings.remove_server(connection, name, user_id=user_id)
    audit.record_own(connection, user_id, "mcp_server_removed", origin, server_id=str(server_id))


def refresh_server(services: ToolsServices, principal: Principal, server_id: UUID) -> McpServer:
    """Fetch a server's tool list and return the server with the result. Raises NotFound and RateLimited."""
    with principal_scope(services.engine, principal) as connection:
        _find_server(connection, server_id, user_id=principal.user_id)
    count_call(services, principal)
    refresh_listings(services, principal, only=server_id)
    with principal_scope(services.engine, principal) as connection:
        return _find_server(connection, server_id, user_id=principal.user_id)


def refresh_listings(services: ToolsServices, principal: Principal, *, only: UUID | None = None) -> None:
    """Fetch and store the tool list of every server whose list is stale, or of the user's server `only`.

    A server that does not respond keeps its stored list, and is not asked again until its next refresh is due.
    """
    scope = partial(principal_scope, services.engine, principal)
    with scope() as connection:
        targets = _discovery_targets(connection, services.mcp_registry, principal.user_id, only)
    discover(services.mcp_registry.client, scope, targets, timeout_s=LISTING_TIMEOUT_S)


def _find_server(connection: Connection, server_id: UUID, *, user_id: UUID) -> McpServer:
    for server in mcp_servers.list_all(connection, user_id=user_id):
        if server.id == server_id:
            return server
    raise NotFound("MCP server", server_id)


def _discovery_targets(connection: Connection, registry: McpRegistry, user_id: UUID, only: UUID | None) -> list[DiscoveryTarget]:
    servers = mcp_servers.list_all(connection, user_id=user_id)
    due = [server for server in servers if (server.id == only if only else is_stale(server.listed_at))]
    targets = [
        DiscoveryTarget(partial(registry.load_endpoint, server, user_id=user_id), _store_listing(server.id, user_id)) for server in due
    ]
    return targets if only else targets + due_deployment_servers(connection, registry, lambda listing: is_stale(listing.listed_at))


def _store_listing(server_id: UUID, user_id: UUID) -> Callable[..., None]:
    return lambda connection, **result: mcp_servers.store_listing(connection, server_id, user_id=user_id, **result)


def _check_new_server(connection: Connection, registry: McpRegistry, name: str, *, user_id: UUID) -> None:
    lock_until_end(connection, f"mcp_servers of {user_id}")
    if mcp_servers.count(connection, user_id=user_id) >= MAX_SERVERS:
        raise TooManyMcpServers(MAX_SERVERS)
    if name in {server.name for server in registry.deployment}:
        raise NameTaken(untrusted(name))
