"""Assistants that a user may use, and the kind `ASSISTANTS`, by which `parley.db.assistants.versions` stores them.

The function `parley_assistants` of the database returns the newest versions of the assistants that the transaction's user may use, and
nothing else of other users' assistants.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, Uuid, bindparam, text

from parley.db.assistants.versions import Version, Versioned
from parley.db.tables import assistant_versions, assistants
from parley.errors import NotFound

type MemoryScope = Literal["all", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantVersion(Version):
    """A version of an assistant. `tools` and `documents` are True for all that the caller has, False for none, or their names and ids."""

    name: str
    picture: str | None
    description: str | None
    instructions: str
    model: str | None
    tools: bool | Sequence[str]
    documents: bool | Sequence[str]
    memory: MemoryScope
    starters: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assistant(AssistantVersion):
    """An assistant with its newest version. `is_shared` means shared with everybody; `created_at` is the time of the version."""

    user_id: UUID
    id: UUID
    is_shared: bool


ASSISTANTS = Versioned("assistant", assistants, assistant_versions, AssistantVersion)
_NAMES = ", ".join(field.name for field in fields(Assistant))
_FIND = text(f"SELECT {_NAMES} FROM parley_assistants(:id)").bindparams(bindparam("id", type_=Uuid))  # noqa: S608 - column names
_PAGE = text(
    f"""
    SELECT {_NAMES} FROM parley_assistants(NULL)
     WHERE CAST(:after AS uuid) IS NULL OR id < CAST(:after AS uuid) ORDER BY id DESC LIMIT :limit
    """  # noqa: S608 - column names
)


def find(connection: Connection, assistant_id: UUID) -> Assistant | None:
    """Return an assistant that the transaction's user may use: an own one, or a shared one. None if there is none."""
    row = connection.execute(_FIND, {"id": assistant_id}).one_or_none()
    return Assistant(**row._mapping) if row else None


def get(connection: Connection, assistant_id: UUID) -> Assistant:
    """Return an assistant that the transaction's user may use. Raises NotFound."""
    if (found := find(connection, assistant_id)) is None:
        raise NotFound("assistant", assistant_id)
    return found


def page(connection: Connection, *, limit: int, after: UUID | None) -> list[Assistant]:
    """Return up to `limit` assistants that the transaction's user may use and that follow the assistant `after`, newest first."""
    return [Assistant(**row._mapping) for row in connection.execute(_PAGE, {"limit": limit, "after": after})]
