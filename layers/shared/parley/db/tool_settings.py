"""What a user lets tools do, by the tools' names. A column that is null leaves it to the tool."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.postgresql import insert as upsert

from parley.db.tables import tool_settings


@dataclass(frozen=True, slots=True)
class ToolSetting:
    """A user's own word on one tool."""

    name: str
    is_enabled: bool | None = None
    requires_approval: bool | None = None


_COLUMNS = [tool_settings.c.name, tool_settings.c.is_enabled, tool_settings.c.requires_approval]


def list_all(connection: Connection, *, user_id: UUID) -> dict[str, ToolSetting]:
    """Return the user's settings by name."""
    found = connection.execute(select(*_COLUMNS).where(tool_settings.c.user_id == user_id))
    return {row.name: ToolSetting(**row._mapping) for row in found}


def change(connection: Connection, name: str, *, user_id: UUID, changes: dict[str, bool | None]) -> ToolSetting:
    """Set the given columns and return what holds now."""
    statement = upsert(tool_settings).values({"user_id": user_id, "name": name} | changes)
    # Without changes the row is written as it was: only so is it returned.
    kept = statement.on_conflict_do_update(index_elements=["user_id", "name"], set_=changes or {"name": name})
    return ToolSetting(**connection.execute(kept.returning(*_COLUMNS)).one()._mapping)


def remove_server(connection: Connection, server: str, *, user_id: UUID) -> None:
    """Delete the settings of a server's tools: another server of that name must not inherit them."""
    is_its_own = tool_settings.c.name.startswith(f"{server}.", autoescape=True)
    connection.execute(delete(tool_settings).where(tool_settings.c.user_id == user_id, is_its_own))
