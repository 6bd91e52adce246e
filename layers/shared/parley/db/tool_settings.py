"""Each user's tool settings, by tool name. A null column means the tool's default."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.postgresql import insert as upsert

from parley.db.tables import tool_settings


@dataclass(frozen=True, slots=True)
class ToolSetting:
    """A user's settings of one tool; None means the tool's default."""

    name: str
    is_enabled: bool | None = None
    requires_approval: bool | None = None


_COLUMNS = [tool_settings.c.name, tool_settings.c.is_enabled, tool_settings.c.requires_approval]


def list_all(connection: Connection, *, user_id: UUID) -> dict[str, ToolSetting]:
    """Return the user's settings by name."""
    rows = connection.execute(select(*_COLUMNS).where(tool_settings.c.user_id == user_id))
    return {row.name: ToolSetting(**row._mapping) for row in rows}


def change(connection: Connection, name: str, *, user_id: UUID, changes: dict[str, bool | None]) -> ToolSetting:
    """Set the given columns of the user's setting and return the setting."""
    statement = upsert(tool_settings).values({"user_id": user_id, "name": name} | changes)
    # Without changes the name is set to itself, because only an updated row is returned.
    merged = statement.on_conflict_do_update(index_elements=["user_id", "name"], set_=changes or {"name": name})
    return ToolSetting(**connection.execute(merged.returning(*_COLUMNS)).one()._mapping)


def remove_server(connection: Connection, server: str, *, user_id: UUID) -> None:
    """Delete the settings of an MCP server's tools, so that a later server of the same name does not inherit them."""
    is_of_server = tool_settings.c.name.startswith(f"{server}.", autoescape=True)
    connection.execute(delete(tool_settings).where(tool_settings.c.user_id == user_id, is_of_server))
