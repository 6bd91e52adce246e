"""Assistants and their versions. A version never changes: each change, and each rollback, stores a new version.

The rows belong to the assistant's owner, and no policy shows them to other users. The function `parley_assistants` of the database
returns the newest versions of the assistants that the transaction's user may use, and nothing else of other users' assistants.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Uuid, bindparam, delete, func, insert, select, text, update

from parley.db.tables import assistant_versions, assistants
from parley.errors import NotFound

type MemoryScope = Literal["all", "none"]

# Older versions are deleted when a new one is stored.
MAX_VERSIONS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantVersion:
    """A version of an assistant. `tools` and `documents` are True for all that the caller has, False for none, or their names and ids."""

    version: int
    name: str
    picture: str | None
    description: str | None
    instructions: str
    model: str | None
    tools: bool | Sequence[str]
    documents: bool | Sequence[str]
    memory: MemoryScope
    starters: Sequence[str]
    created_at: datetime

    def settings(self) -> dict[str, Any]:
        """Return the settings, which a new version copies."""
        return {name: getattr(self, name) for name in SETTINGS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Assistant(AssistantVersion):
    """An assistant with its newest version. `is_shared` means shared with everybody; `created_at` is the time of the version."""

    user_id: UUID
    id: UUID
    is_shared: bool


_NOT_SETTINGS = {"version", "created_at"}
SETTINGS = tuple(field.name for field in fields(AssistantVersion) if field.name not in _NOT_SETTINGS)
_VERSION_COLUMNS = [assistant_versions.c[field.name] for field in fields(AssistantVersion)]
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


def count(connection: Connection, *, user_id: UUID) -> int:
    """Return the number of the user's own assistants."""
    return connection.execute(select(func.count()).where(assistants.c.user_id == user_id)).scalar_one()


def add(connection: Connection, assistant_id: UUID, *, user_id: UUID, settings: Mapping[str, Any]) -> None:
    """Store an assistant with its first version."""
    connection.execute(insert(assistants).values(user_id=user_id, id=assistant_id))
    _add_version(connection, assistant_id, 1, user_id=user_id, settings=settings)


def change(connection: Connection, assistant_id: UUID, *, user_id: UUID, changes: Mapping[str, Any]) -> None:
    """Store a new version of the user's own assistant, if a setting changes. Raises NotFound."""
    number = _lock(connection, assistant_id, user_id=user_id)
    newest = version(connection, assistant_id, number, user_id=user_id).settings()
    if newest | dict(changes) != newest:
        _append(connection, assistant_id, number, user_id=user_id, settings=newest | dict(changes))


def roll_back(connection: Connection, assistant_id: UUID, number: int, *, user_id: UUID) -> None:
    """Store a new version with the settings of version `number`, if they differ from the newest. Raises NotFound."""
    _lock(connection, assistant_id, user_id=user_id)
    change(connection, assistant_id, user_id=user_id, changes=version(connection, assistant_id, number, user_id=user_id).settings())


def version(connection: Connection, assistant_id: UUID, number: int, *, user_id: UUID) -> AssistantVersion:
    """Return a version of the user's own assistant. Raises NotFound."""
    which = (*_of_assistant(assistant_id, user_id), assistant_versions.c.version == number)
    row = connection.execute(select(*_VERSION_COLUMNS).where(*which)).one_or_none()
    if row is None:
        raise NotFound("version", number)
    return AssistantVersion(**row._mapping)


def versions(connection: Connection, assistant_id: UUID, *, user_id: UUID, limit: int, before: int | None) -> list[AssistantVersion]:
    """Return up to `limit` versions of the user's own assistant that are older than version `before`, newest first."""
    statement = select(*_VERSION_COLUMNS).where(*_of_assistant(assistant_id, user_id))
    statement = statement.where(assistant_versions.c.version < before) if before else statement
    rows = connection.execute(statement.order_by(assistant_versions.c.version.desc()).limit(limit))
    return [AssistantVersion(**row._mapping) for row in rows]


def set_shared(connection: Connection, assistant_id: UUID, *, user_id: UUID, is_shared: bool) -> None:
    """Share the user's own assistant with everybody, or end that. Raises NotFound."""
    statement = update(assistants).where(assistants.c.user_id == user_id, assistants.c.id == assistant_id)
    if connection.execute(statement.values(is_shared=is_shared)).rowcount == 0:
        raise NotFound("assistant", assistant_id)


def remove(connection: Connection, assistant_id: UUID, *, user_id: UUID) -> None:
    """Delete the user's own assistant with its versions and shares. Raises NotFound."""
    which = (assistants.c.user_id == user_id, assistants.c.id == assistant_id)
    if connection.execute(delete(assistants).where(*which)).rowcount == 0:
        raise NotFound("assistant", assistant_id)


def check_owned(connection: Connection, assistant_id: UUID, *, user_id: UUID) -> None:
    """Raise NotFound unless the user owns the assistant."""
    statement = select(assistants.c.id).where(assistants.c.user_id == user_id, assistants.c.id == assistant_id)
    if connection.execute(statement).one_or_none() is None:
        raise NotFound("assistant", assistant_id)


def _lock(connection: Connection, assistant_id: UUID, *, user_id: UUID) -> int:
    """Lock the user's own assistant until the transaction ends, and return the number of its newest version. Raises NotFound."""
    statement = select(assistants.c.version).where(assistants.c.user_id == user_id, assistants.c.id == assistant_id)
    number: int | None = connection.execute(statement.with_for_update()).scalar_one_or_none()
    if number is None:
        raise NotFound("assistant", assistant_id)
    return number


def _append(connection: Connection, assistant_id: UUID, newest: int, *, user_id: UUID, settings: Mapping[str, Any]) -> None:
    """Store the version after `newest`, and delete versions beyond `MAX_VERSIONS`. The caller holds the assistant's lock."""
    number = newest + 1
    _add_version(connection, assistant_id, number, user_id=user_id, settings=settings)
    which = (assistants.c.user_id == user_id, assistants.c.id == assistant_id)
    connection.execute(update(assistants).where(*which).values(version=number))
    outdated = assistant_versions.c.version <= number - MAX_VERSIONS
    connection.execute(delete(assistant_versions).where(*_of_assistant(assistant_id, user_id), outdated))


def _add_version(connection: Connection, assistant_id: UUID, number: int, *, user_id: UUID, settings: Mapping[str, Any]) -> None:
    values = {"user_id": user_id, "assistant_id": assistant_id, "version": number}
    connection.execute(insert(assistant_versions).values(values | dict(settings)))


def _of_assistant(assistant_id: UUID, user_id: UUID) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return assistant_versions.c.user_id == user_id, assistant_versions.c.assistant_id == assistant_id
