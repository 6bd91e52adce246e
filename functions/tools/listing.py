"""What MCP servers offer to whoever looks at their tools: those that have not been asked for a while are asked then."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from functions.tools.desk import Desk
from parley.auth.principal import Principal
from parley.db import mcp_servers
from parley.db.scope import principal_scope
from parley.tools.hearing import Due, deployments_due, hear, is_old

TIMEOUT_S = 5.0


def refresh(desk: Desk, principal: Principal, *, only: UUID | None = None) -> None:
    """Ask the servers that are due, or the one of the user's that `only` names, and keep what they say.

    One that does not answer keeps the tools it had, and is not asked again before the next time.
    """
    scope = partial(principal_scope, desk.engine, principal)
    with scope() as connection:
        due = _due(desk, connection, principal.user_id, only)
    hear(desk.remotes.calls, scope, due, timeout_s=TIMEOUT_S)


def _due(desk: Desk, connection: Connection, user_id: UUID, only: UUID | None) -> list[Due]:
    remotes = desk.remotes
    mine = [one for one in mcp_servers.all_of(connection, user_id=user_id) if one.id == only or (only is None and is_old(one.listed_at))]
    due = [Due(partial(remotes.reach, one, user_id=user_id), _keeping(one.id, user_id)) for one in mine]
    return due if only else due + deployments_due(connection, remotes, lambda listing: is_old(listing.listed_at))


def _keeping(server_id: UUID, user_id: UUID) -> Callable[..., None]:
    return lambda connection, **said: mcp_servers.listed(connection, server_id, user_id=user_id, **said)
