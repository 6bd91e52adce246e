"""A user's remote MCP servers: added once, however often they are asked for with the same `Idempotency-Key`."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from functions.tools.desk import Desk
from functions.tools.errors import NameTaken, TooManyMcpServers
from functions.tools.listing import refresh
from functions.tools.mcp_server_schemas import MadeMcpServerOut, NewMcpServer
from parley.auth.principal import Principal
from parley.db import mcp_servers, tool_settings
from parley.db.transactions import principal_scope
from parley.http.idempotency import Idempotency
from parley.ids import new_id
from parley.tools.mcp_registry import encrypt_headers

MOST = 20
ROUTE = "POST /tools/mcp-servers"


def add_server(services: Desk, principal: Principal, body: NewMcpServer, once: Idempotency) -> MadeMcpServerOut | dict[str, Any]:
    """Store a server, then ask it for its tools. Raises NameTaken, TooManyMcpServers and KeyReused."""
    server_id, user_id = new_id(), principal.user_id
    # Before the transaction: the key of the seal may have to be fetched.
    headers = encrypt_headers(services.mcp_registry.cipher, body.headers, server_id, user_id=user_id)
    with principal_scope(services.engine, principal) as connection:
        answer = once.once(connection, user_id, ROUTE, body, lambda: _add(services, connection, body, server_id, user_id, headers))
    if isinstance(answer, MadeMcpServerOut):
        refresh(services, principal, only=server_id)
    return answer


def remove_server(connection: Connection, server_id: UUID, *, user_id: UUID) -> None:
    """Delete a server with the settings of its tools, or raise NotFound."""
    name = mcp_servers.remove(connection, server_id, user_id=user_id)
    tool_settings.remove_server(connection, name, user_id=user_id)


def _add(
    services: Desk, connection: Connection, body: NewMcpServer, server_id: UUID, user_id: UUID, headers: bytes | None
) -> MadeMcpServerOut:
    if mcp_servers.count(connection, user_id=user_id) >= MOST:
        raise TooManyMcpServers(MOST)
    is_free = body.name not in {server.name for server in services.mcp_registry.deployment}
    made = mcp_servers.add(connection, server_id, user_id=user_id, name=body.name, url=body.url, headers=headers) if is_free else None
    if made is None:
        raise NameTaken(body.name)
    return MadeMcpServerOut.model_validate(made)
