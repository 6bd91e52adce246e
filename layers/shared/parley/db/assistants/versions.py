"""Objects in versions: assistants and prompts. A version never changes: each change, and each rollback, stores a new version.

The rows belong to the object's owner, and no policy shows them to other users. Every function acts on objects of the user `user_id`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Table, delete, func, insert, select, update

from parley.errors import NotFound

# Older versions are deleted when a new one is stored.
MAX_VERSIONS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version of an object. The class of a kind of objects adds its settings, which are columns of the table of versions."""

    version: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Versioned[V: Version]:
    """A kind of objects in versions: the table of the objects, the table of their versions, and the class of a version."""

    noun: str
    objects: Table
    versions: Table
    version_type: type[V]

    def settings_of(self, version: V) -> dict[str, Any]:
        """Return the settings of a version, which a new version copies."""
        return {field.name: getattr(version, field.name) for field in fields(self.version_type) if field.name not in _NOT_SETTINGS}

    def is_object(self, object_id: UUID, user_id: UUID) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        """Return the conditions for the user's object."""
        return self.objects.c.user_id == user_id, self.objects.c.id == object_id

    def of_object(self, object_id: UUID, user_id: UUID) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        """Return the conditions for the versions of the user's object."""
        return self.versions.c.user_id == user_id, self.versions.c[f"{self.noun}_id"] == object_id


_NOT_SETTINGS = {field.name for field in fields(Version)}


def count(connection: Connection, versioned: Versioned[Any], *, user_id: UUID) -> int:
    """Return the number of the user's own objects."""
    return connection.execute(select(func.count()).where(versioned.objects.c.user_id == user_id)).scalar_one()


def has(connection: Connection, versioned: Versioned[Any], object_id: UUID, *, user_id: UUID) -> bool:
    """Whether this is an object of the user's."""
    statement = select(versioned.objects.c.id).where(*versioned.is_object(object_id, user_id))
    return connection.execute(statement).one_or_none() is not None


def add(
    connection: Connection, versioned: Versioned[Any], object_id: UUID, *, user_id: UUID, settings: Mapping[str, Any], **columns: object
) -> None:
    """Store an object, with values for further columns of its table, and its first version."""
    connection.execute(insert(versioned.objects).values(user_id=user_id, id=object_id, **columns))
    _add_version(connection, versioned, object_id, 1, user_id=user_id, settings=settings)


def change(connection: Connection, versioned: Versioned[Any], object_id: UUID, *, user_id: UUID, changes: Mapping[str, Any]) -> None:
    """Store a new version of an object, if a setting changes. Raises NotFound."""
    number = _lock(connection, versioned, object_id, user_id=user_id)
    newest = versioned.settings_of(version(connection, versioned, object_id, number, user_id=user_id))
    if newest | dict(changes) != newest:
        _append(connection, versioned, object_id, number, user_id=user_id, settings=newest | dict(changes))


def roll_back(connection: Connection, versioned: Versioned[Any], object_id: UUID, number: int, *, user_id: UUID) -> None:
    """Store a new version with the settings of version `number`, if they differ from the newest. Raises NotFound."""
    _lock(connection, versioned, object_id, user_id=user_id)
    settings = versioned.settings_of(version(connection, versioned, object_id, number, user_id=user_id))
    change(connection, versioned, object_id, user_id=user_id, changes=settings)


def version[V: Version](connection: Connection, versioned: Versioned[V], object_id: UUID, number: int, *, user_id: UUID) -> V:
    """Return a version of an object. Raises NotFound."""
    which = (*versioned.of_object(object_id, user_id), versioned.versions.c.version == number)
    row = connection.execute(select(*_columns(versioned)).where(*which)).one_or_none()
    if row is None:
        raise NotFound("version", number)
    return versioned.version_type(**row._mapping)


def page[V: Version](
    connection: Connection, versioned: Versioned[V], object_id: UUID, *, user_id: UUID, limit: int, before: int | None
) -> list[V]:
    """Return up to `limit` versions of an object that are older than version `before`, newest first."""
    number = versioned.versions.c.version
    statement = select(*_columns(versioned)).where(*versioned.of_object(object_id, user_id))
    statement = statement.where(number < before) if before else statement
    return [versioned.version_type(**row._mapping) for row in connection.execute(statement.order_by(number.desc()).limit(limit))]


def is_shared(connection: Connection, versioned: Versioned[Any], object_id: UUID, *, user_id: UUID) -> bool:
    """Whether the object is shared with everybody. Raises NotFound."""
    statement = select(versioned.objects.c.is_shared).where(*versioned.is_object(object_id, user_id))
    found: bool | None = connection.execute(statement).scalar_one_or_none()
    if found is None:
        raise NotFound(versioned.noun, object_id)
    return found


def set_shared(connection: Connection, versioned: Versioned[Any], object_id: UUID, *, user_id: UUID, is_shared: bool) -> None:
    """Share an object with everybody, or end that. Raises NotFound."""
    statement = update(versioned.objects).where(*versioned.is_object(object_id, user_id))
    if connection.execute(statement.values(is_shared=is_shared)).rowcount == 0:
        raise NotFound(versioned.noun, object_id)


def remove(connection: Connection, versioned: Versioned[Any], object_id: UUID, *, user_id: UUID) -> None:
    """Delete an object with its versions and shares. Raises NotFound."""
    if connection.execute(delete(versioned.objects).where(*versioned.is_object(object_id, user_id))).rowcount == 0:
        raise NotFound(versioned.noun, object_id)


def _columns(versioned: Versioned[Any]) -> list[ColumnElement[Any]]:
    return [versioned.versions.c[field.name] for field in fields(versioned.version_type)]


def _lock(connection: Connection, versioned: Versioned[Any], object_id: UUID, *, user_id: UUID) -> int:
    """Lock an object until the transaction ends, and return the number of its newest version. Raises NotFound."""
    statement = select(versioned.objects.c.version).where(*versioned.is_object(object_id, user_id))
    number: int | None = connection.execute(statement.with_for_update()).scalar_one_or_none()
    if number is None:
        raise NotFound(versioned.noun, object_id)
    return number


def _append(
    connection: Connection, versioned: Versioned[Any], object_id: UUID, newest: int, *, user_id: UUID, settings: Mapping[str, Any]
) -> None:
    """Store the version after `newest`, and delete versions beyond `MAX_VERSIONS`. The caller holds the object's lock."""
    number = newest + 1
    _add_version(connection, versioned, object_id, number, user_id=user_id, settings=settings)
    connection.execute(update(versioned.objects).where(*versioned.is_object(object_id, user_id)).values(version=number))
    outdated = versioned.versions.c.version <= number - MAX_VERSIONS
    connection.execute(delete(versioned.versions).where(*versioned.of_object(object_id, user_id), outdated))


def _add_version(
    connection: Connection, versioned: Versioned[Any], object_id: UUID, number: int, *, user_id: UUID, settings: Mapping[str, Any]
) -> None:
    values = {"user_id": user_id, f"{versioned.noun}_id": object_id, "version": number}
    connection.execute(insert(versioned.versions).values(values | dict(settings)))
