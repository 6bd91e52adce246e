"""MCP servers of users and of the deployment, with the tools found at their last discovery."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from parley.db.tables import mcp_listings, mcp_servers
from parley.errors import NotFound


@dataclass(frozen=True, slots=True)
class McpListing:
    """The result of a server's last discovery. `tools` has the format that `parley.tools.mcp` writes.

    If `error` is set, the last discovery failed and `tools` is the result of an earlier discovery.
    """

    name: str
    tools: list[dict[str, Any]]
    listed_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class McpServer(McpListing):
    """A user's server. `headers` contains the server's headers and the URL's query string, encrypted; `url` has no query string."""

    id: UUID
    url: str
    headers: bytes | None
    created_at: datetime


_COLUMNS = [mcp_servers.c[field.name] for field in fields(McpServer)]
# Only the names: the descriptions and schemas of all servers can take megabytes.
_TOOL_NAMES = literal_column(
    "(SELECT coalesce(jsonb_agg(jsonb_build_object('name', tool -> 'name')), '[]') FROM jsonb_array_elements(mcp_servers.tools) AS tool)",
    type_=mcp_servers.c.tools.type,
).label("tools")
_LISTING_COLUMNS = [mcp_listings.c[field.name] for field in fields(McpListing)]


def add(connection: Connection, server_id: UUID, *, user_id: UUID, name: str, url: str, headers: bytes | None) -> McpServer | None:
    """Store a new server, or return None if the user already has a server of this name."""
    values = {"user_id": user_id, "id": server_id, "name": name, "url": url, "headers": headers}
    row = connection.execute(upsert(mcp_servers).values(values).on_conflict_do_nothing().returning(*_COLUMNS)).one_or_none()
    return McpServer(**row._mapping) if row else None


def list_all(connection: Connection, *, user_id: UUID) -> list[McpServer]:
    """Return all servers of the user, ordered by name."""
    statement = select(*_COLUMNS).where(mcp_servers.c.user_id == user_id).order_by(mcp_servers.c.name)
    return [McpServer(**row._mapping) for row in connection.execute(statement)]


def page(connection: Connection, *, user_id: UUID, limit: int, after: UUID | None) -> list[McpServer]:
    """Return up to `limit` servers that follow the server `after`, newest first, with only the names of their tools."""
    statement = select(*(_TOOL_NAMES if column.name == "tools" else column for column in _COLUMNS)).where(mcp_servers.c.user_id == user_id)
    statement = statement.where(mcp_servers.c.id < after) if after else statement
    return [McpServer(**row._mapping) for row in connection.execute(statement.order_by(mcp_servers.c.id.desc()).limit(limit))]


def count(connection: Connection, *, user_id: UUID) -> int:
    """Return the number of the user's servers."""
    return connection.execute(select(func.count()).where(mcp_servers.c.user_id == user_id)).scalar_one()


def remove(connection: Connection, server_id: UUID, *, user_id: UUID) -> str:
    """Delete the server and return its name, or raise NotFound."""
    which = (mcp_servers.c.user_id == user_id, mcp_servers.c.id == server_id)
    name = connection.execute(delete(mcp_servers).where(*which).returning(mcp_servers.c.name)).scalar_one_or_none()
    if name is None:
        raise NotFound("MCP server", server_id)
    return str(name)


def lock_with_query(connection: Connection) -> list[tuple[UUID, McpServer]]:
    """Lock the servers of all users whose stored URL has a query, and return them with their user's id. For the owner's role."""
    statement = select(mcp_servers.c.user_id, *_COLUMNS).where(mcp_servers.c.url.contains("?")).with_for_update()
    rows = [dict(row._mapping) for row in connection.execute(statement)]
    return [(row.pop("user_id"), McpServer(**row)) for row in rows]


def replace_credentials(connection: Connection, server_id: UUID, *, user_id: UUID, url: str, headers: bytes | None) -> None:
    """Store a server's URL without its query, and its credentials encrypted."""
    which = (mcp_servers.c.user_id == user_id, mcp_servers.c.id == server_id)
    connection.execute(update(mcp_servers).where(*which).values(url=url, headers=headers))


def store_listing(
    connection: Connection, server_id: UUID, *, user_id: UUID, tools: Sequence[dict[str, Any]] | None, error: str | None
) -> None:
    """Store the result of a discovery: the tools, or None and the error. Has no effect if the server was deleted meanwhile."""
    which = (mcp_servers.c.user_id == user_id, mcp_servers.c.id == server_id)
    connection.execute(update(mcp_servers).where(*which).values(_listing_values(tools, error)))


def deployment_listings(connection: Connection, names: Sequence[str]) -> dict[str, McpListing]:
    """Return the listings of the deployment's servers by name. Servers that were never discovered are left out."""
    rows = connection.execute(select(*_LISTING_COLUMNS).where(mcp_listings.c.name.in_(names)))
    return {row.name: McpListing(**row._mapping) for row in rows}


def store_deployment_listing(connection: Connection, name: str, *, tools: Sequence[dict[str, Any]] | None, error: str | None) -> None:
    """Store the result of a discovery of one of the deployment's servers, as `store_listing` does for a user's server."""
    values = _listing_values(tools, error)
    statement = upsert(mcp_listings).values({"name": name} | values)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


def _listing_values(tools: Sequence[dict[str, Any]] | None, error: str | None) -> dict[str, Any]:
    return {"listed_at": func.now(), "error": error} | ({"tools": list(tools)} if tools is not None else {})
