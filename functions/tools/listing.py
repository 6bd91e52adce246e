"""What MCP servers offer to whoever looks at their tools: those that have not been asked for a while are asked then."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from functions.tools.desk import Desk
from parley.auth.principal import Principal
from parley.db import mcp_servers
from parley.db.transactions import principal_scope
from parley.tools.mcp_discovery import DiscoveryTarget, discover, due_deployment_servers, is_stale

TIMEOUT_S = 5.0


def refresh(services: Desk, principal: Principal, *, only: UUID | None = None) -> None:
    """Ask the servers that are due, or the one of the user's that `only` names, and keep what they say.

    One that does not answer keeps the tools it had, and is not asked again before the next time.
    """
    scope = partial(principal_scope, services.engine, principal)
    with scope() as connection:
        due = _due(services, connection, principal.user_id, only)
    discover(services.mcp_registry.client, scope, due, timeout_s=TIMEOUT_S)


def _due(services: Desk, connection: Connection, user_id: UUID, only: UUID | None) -> list[DiscoveryTarget]:
    mcp_registry = services.mcp_registry
    mine = [
        one for one in mcp_servers.list_all(connection, user_id=user_id) if one.id == only or (only is None and is_stale(one.listed_at))
    ]
    due = [DiscoveryTarget(partial(mcp_registry.load_endpoint, one, user_id=user_id), _keeping(one.id, user_id)) for one in mine]
    return due if only else due + due_deployment_servers(connection, mcp_registry, lambda listing: is_stale(listing.listed_at))


def _keeping(server_id: UUID, user_id: UUID) -> Callable[..., None]:
    return lambda connection, **said: mcp_servers.store_listing(connection, server_id, user_id=user_id, **said)
