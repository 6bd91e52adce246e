"""Projects: folders of conversations. The turns of their conversations follow the project's instructions and search its documents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Connection, Uuid, delete, func, insert, literal, select, update

from parley.db.row_page import RowPage, read_page
from parley.db.tables import documents as documents_table
from parley.db.tables import project_documents, projects
from parley.db.transactions import lock_until_end
from parley.errors import NotFound, ParleyError

type MemoryScope = Literal["all", "project"]

MAX_PROJECTS = 200


class TooManyProjects(ParleyError):
    """The user has as many projects as are allowed."""

    status, code = 409, "too_many_projects"
    public_message = f"You have {MAX_PROJECTS} projects. Delete one before you make another."


@dataclass(frozen=True, slots=True)
class Project:
    """A project. With the memory scope `project`, its turns recall only what was said in its conversations, and facts that the user wrote.

    `documents` are the ids of the user's documents that its turns search.
    """

    id: UUID
    name: str
    instructions: str | None
    memory_scope: MemoryScope
    documents: Sequence[UUID]
    created_at: datetime

    @property
    def limits_memory(self) -> bool:
        """Whether memory is limited to the project."""
        return self.memory_scope == "project"


_DOCUMENT_IDS = func.array(
    select(project_documents.c.document_id)
    .where(project_documents.c.user_id == projects.c.user_id, project_documents.c.project_id == projects.c.id)
    .order_by(project_documents.c.document_id)
    .scalar_subquery(),
    type_=ARRAY(Uuid),
).label("documents")
_SELECT = select(
    projects.c.id, projects.c.name, projects.c.instructions, projects.c.memory_scope, _DOCUMENT_IDS, projects.c.created_at
).select_from(projects)


def add(
    connection: Connection,
    project_id: UUID,
    *,
    user_id: UUID,
    name: str,
    instructions: str | None,
    memory_scope: MemoryScope,
    documents: Sequence[UUID],
) -> Project:
    """Store a project. Raises TooManyProjects, and NotFound if one of the documents is not the user's."""
    lock_until_end(connection, f"projects of {user_id}")
    count = connection.execute(select(func.count()).where(projects.c.user_id == user_id)).scalar_one()
    if count >= MAX_PROJECTS:
        raise TooManyProjects(f"user {user_id} has {count} projects")
    values = {"user_id": user_id, "id": project_id, "name": name, "instructions": instructions, "memory_scope": memory_scope}
    connection.execute(insert(projects).values(values))
    _set_documents(connection, project_id, documents, user_id=user_id)
    return get(connection, project_id, user_id=user_id)


def get(connection: Connection, project_id: UUID, *, user_id: UUID) -> Project:
    """Return the user's project, or raise NotFound."""
    row = connection.execute(_SELECT.where(*_of_project(project_id, user_id))).one_or_none()
    if row is None:
        raise NotFound("project", project_id)
    return _project(row._mapping)


def page(connection: Connection, *, user_id: UUID, limit: int, max_bytes: int, after: UUID | None) -> RowPage[Project]:
    """Return up to `limit` of the user's projects that follow the project `after`, newest first.

    The page ends before the instructions exceed `max_bytes` in total, but has at least one project.
    """
    statement = _SELECT.where(projects.c.user_id == user_id)
    statement = statement.where(projects.c.id < after) if after else statement
    size = func.coalesce(func.octet_length(projects.c.instructions), 0)
    found = read_page(connection, statement, key=[projects.c.id], descending=True, size=size, limit=limit, max_bytes=max_bytes)
    return RowPage([_project(row._mapping) for row in found.rows], found.has_more)


def change(connection: Connection, project_id: UUID, *, user_id: UUID, changes: Mapping[str, Any]) -> Project:
    """Set the given fields of a project and return it. Raises NotFound, also for a document that is not the user's."""
    require(connection, project_id, user_id=user_id)
    columns = {name: value for name, value in changes.items() if name != "documents"}
    if columns:
        connection.execute(update(projects).where(*_of_project(project_id, user_id)).values(columns))
    if "documents" in changes:
        _set_documents(connection, project_id, changes["documents"], user_id=user_id)
    return get(connection, project_id, user_id=user_id)


def require(connection: Connection, project_id: UUID, *, user_id: UUID) -> None:
    """Raise NotFound unless the user has the project, and keep it from being deleted until the transaction ends."""
    statement = select(projects.c.id).where(*_of_project(project_id, user_id)).with_for_update(key_share=True, read=True)
    if connection.execute(statement).one_or_none() is None:
        raise NotFound("project", project_id)


def lock(connection: Connection, project_id: UUID, *, user_id: UUID) -> None:
    """Lock the project, so that no conversation is moved into it until the transaction ends, or raise NotFound."""
    statement = select(projects.c.id).where(*_of_project(project_id, user_id)).with_for_update()
    if connection.execute(statement).one_or_none() is None:
        raise NotFound("project", project_id)


def remove_empty(connection: Connection, project_id: UUID, *, user_id: UUID) -> None:
    """Delete a project without conversations, or raise NotFound."""
    if connection.execute(delete(projects).where(*_of_project(project_id, user_id))).rowcount == 0:
        raise NotFound("project", project_id)


def _set_documents(connection: Connection, project_id: UUID, documents: Sequence[UUID], *, user_id: UUID) -> None:
    which = (project_documents.c.user_id == user_id, project_documents.c.project_id == project_id)
    connection.execute(delete(project_documents).where(*which))
    own = (documents_table.c.user_id == user_id, documents_table.c.id.in_(documents))
    rows = select(documents_table.c.user_id, literal(project_id, Uuid), documents_table.c.id).where(*own)
    insertion = insert(project_documents).from_select(["user_id", "project_id", "document_id"], rows)
    stored = set(connection.execute(insertion.returning(project_documents.c.document_id)).scalars())
    if missing := set(documents) - stored:
        raise NotFound("document", missing.pop())


def _project(row: Mapping[Any, Any]) -> Project:
    fields = ("id", "name", "instructions", "memory_scope", "documents", "created_at")
    return Project(**{name: row[name] for name in fields})


def _of_project(project_id: UUID, user_id: UUID) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return projects.c.user_id == user_id, projects.c.id == project_id
