"""Imports of conversations: their progress and reports, and the lease under which one worker at a time runs an import.

A user has at most one open import. `parley.db.imports.imported_conversations` stores what an import reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, func, insert, or_, select, text, update

from parley.db.tables import imports
from parley.errors import NotFound

type ImportStatus = Literal["queued", "processing", "ready", "failed"]
# The `count` and a few conversation `titles` of everything that an import left out, by code.
type LeftOutCounts = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Import:
    """An import. `progress` runs from 0 to 1, and `position` counts the conversations of the file that are done.

    `source` names the program that wrote the file, as soon as it is known. `reads_facts` tells whether a model reads the imported
    conversations for facts about the user. `failures` counts the attempts in a row that ended without progress.
    """

    user_id: UUID
    id: UUID
    filename: str
    bytes: int
    reads_facts: bool
    status: ImportStatus
    source: str | None
    progress: float
    position: int
    conversations_added: int
    conversations_extended: int
    conversations_unchanged: int
    messages_added: int
    left_out: LeftOutCounts
    error_code: str | None
    error: str | None
    failures: int
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class ImportCounts:
    """The results of an import so far."""

    conversations_added: int
    conversations_extended: int
    conversations_unchanged: int
    messages_added: int


_COLUMNS = tuple(imports.c[field.name] for field in fields(Import))
_IS_OPEN = imports.c.status.in_(["queued", "processing"])


def add(connection: Connection, import_id: UUID, *, user_id: UUID, filename: str, bytes: int, reads_facts: bool) -> Import | None:
    """Store an import before its file is uploaded. It replaces an import of the user that has not begun.

    Returns None, and stores nothing, if an import of the user is being processed.
    """
    connection.execute(_REPLACE_QUEUED, {"user_id": user_id})
    is_busy = select(imports.c.id).where(imports.c.user_id == user_id, _IS_OPEN)
    if connection.execute(is_busy).first():
        return None
    values = {"user_id": user_id, "id": import_id, "filename": filename, "bytes": bytes, "reads_facts": reads_facts}
    return Import(**connection.execute(insert(imports).values(values).returning(*_COLUMNS)).one()._mapping)


def get(connection: Connection, import_id: UUID, *, user_id: UUID) -> Import:
    """Return the user's import, or raise NotFound."""
    row = connection.execute(select(*_COLUMNS).where(*_of_import(import_id, user_id))).one_or_none()
    if row is None:
        raise NotFound("import", import_id)
    return Import(**row._mapping)


def exists(connection: Connection, import_id: UUID, *, user_id: UUID) -> bool:
    """Whether the user has the import, open or ended."""
    return connection.execute(select(imports.c.id).where(*_of_import(import_id, user_id))).first() is not None


def page(connection: Connection, *, user_id: UUID, limit: int, after: UUID | None) -> list[Import]:
    """Return up to `limit` imports of the user that follow the import `after`, newest first."""
    statement = select(*_COLUMNS).where(imports.c.user_id == user_id)
    if after:
        statement = statement.where(imports.c.id < after)
    return [Import(**row._mapping) for row in connection.execute(statement.order_by(imports.c.id.desc()).limit(limit))]


def acquire_lease(connection: Connection, import_id: UUID, *, user_id: UUID, lease_s: float) -> Import | None:
    """Take the lease on an import for `lease_s` seconds. Returns None if it has ended or another worker has the lease. Raises NotFound.

    The attempt counts as a failure until the worker reports progress, so that an attempt that kills its worker counts too.
    """
    is_free = or_(imports.c.leased_until.is_(None), imports.c.leased_until < func.clock_timestamp())
    values = {"status": "processing", "leased_until": _from_now(lease_s), "failures": imports.c.failures + 1}
    statement = update(imports).where(*_of_import(import_id, user_id), _IS_OPEN, is_free).values(values).returning(*_COLUMNS)
    row = connection.execute(statement).one_or_none()
    if row is None:
        get(connection, import_id, user_id=user_id)
        return None
    return Import(**row._mapping)


def report_progress(connection: Connection, import_id: UUID, *, user_id: UUID, lease_s: float, **values: Any) -> None:
    """Record progress and extend the lease to `lease_s` seconds. Raises NotFound if the import was deleted or has ended meanwhile."""
    _update(connection, import_id, user_id, leased_until=_from_now(lease_s), failures=0, **values)


def release_lease(connection: Connection, import_id: UUID, *, user_id: UUID, is_excused: bool) -> None:
    """Release the lease, so that another worker can continue. Raises NotFound.

    Set `is_excused` if an outage or the worker's time limit ended the attempt, so that it does not count as a failure of the file.
    """
    failures = func.greatest(imports.c.failures - 1, 0) if is_excused else imports.c.failures
    _update(connection, import_id, user_id, leased_until=None, failures=failures)


def requeue(connection: Connection, import_id: UUID, *, user_id: UUID) -> None:
    """Queue an import again because its file is not uploaded yet, as if it had never been leased. Raises NotFound."""
    _update(connection, import_id, user_id, status="queued", leased_until=None, failures=0)


def finish(connection: Connection, import_id: UUID, *, user_id: UUID, code: str | None = None, reason: str | None = None) -> None:
    """End an import: as failed if it has an error `code`, with the `reason` for its user, else as ready. Raises NotFound."""
    ended: dict[str, Any] = {"status": "failed"} if code else {"status": "ready", "progress": 1}
    values = ended | {"error_code": code, "error": reason, "finished_at": func.clock_timestamp()}
    _update(connection, import_id, user_id, leased_until=None, **values)


def find_stalled(connection: Connection, *, limit: int, older_than_s: float) -> list[tuple[UUID, UUID]]:
    """Return (user id, import id) of open imports that no worker has had for `older_than_s` seconds. Requires the background role."""
    rows = connection.execute(_STALLED, {"limit": limit, "older_than_s": older_than_s})
    return [(row.user_id, row.id) for row in rows]


def sweep(connection: Connection) -> int:
    """Delete the reports of imports that were requested over 90 days ago, and return their number. Requires the background role."""
    return connection.execute(text("DELETE FROM imports WHERE created_at < now() - interval '90 days'")).rowcount


def _update(connection: Connection, import_id: UUID, user_id: UUID, **values: Any) -> None:
    if connection.execute(update(imports).where(*_of_import(import_id, user_id), _IS_OPEN).values(**values)).rowcount == 0:
        raise NotFound("import", import_id)


def _of_import(import_id: UUID, user_id: UUID) -> tuple[Any, Any]:
    return imports.c.user_id == user_id, imports.c.id == import_id


def _from_now(seconds: float) -> Any:
    return func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)


_REPLACE_QUEUED = text(
    """
    UPDATE imports SET status = 'failed', error_code = 'replaced', error = 'A later import replaced this one before it began.',
                       finished_at = clock_timestamp()
     WHERE user_id = :user_id AND status = 'queued'
    """
)
_STALLED = text(
    """
    SELECT user_id, id FROM imports
     WHERE status IN ('queued', 'processing')
       AND coalesce(leased_until, created_at) < now() - make_interval(secs => :older_than_s)
     ORDER BY created_at LIMIT :limit
    """
)
