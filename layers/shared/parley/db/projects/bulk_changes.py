"""One change of many conversations in one transaction. Each conversation is changed whole or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, func, select, update

from parley.db.conversations import MAX_TAGS, remove_many
from parley.db.projects import projects
from parley.db.tables import conversations

type BulkAction = Literal["move", "archive", "unarchive", "delete", "tag", "untag"]
type BulkOutcome = Literal["done", "not_found", "too_many_tags"]


@dataclass(frozen=True, slots=True)
class BulkResult:
    """The outcome for a conversation: `done` also if nothing had to change, and `not_found` if it is deleted or another user's."""

    id: UUID
    outcome: BulkOutcome


def change_many(
    connection: Connection,
    conversation_ids: Sequence[UUID],
    *,
    user_id: UUID,
    action: BulkAction,
    tag: str = "",
    project_id: UUID | None = None,
) -> list[BulkResult]:
    """Change those of the conversations that are the user's, and return the outcome for each id, in the order of the ids.

    `tag` and `project_id` are for the actions that need them; without a project, `move` takes conversations out of theirs. A repeated
    call changes nothing more. Raises NotFound for an unknown project.
    """
    if project_id:
        projects.require(connection, project_id, user_id=user_id)
    tags_by_id = _lock(connection, conversation_ids, user_id)
    ids = list(tags_by_id)
    outcomes: dict[UUID, BulkOutcome] = dict.fromkeys(ids, "done")
    match action:
        case "archive" | "unarchive":
            _set(connection, ids, user_id, is_archived=action == "archive")
        case "move":
            _set(connection, ids, user_id, project_id=project_id)
        case "delete":
            remove_many(connection, ids, user_id=user_id)
        case "untag":
            _set(connection, ids, user_id, tags=func.array_remove(conversations.c.tags, tag))
        case "tag":
            lacking = {id: len(tags) for id, tags in tags_by_id.items() if tag not in tags}
            outcomes |= dict.fromkeys([id for id, count in lacking.items() if count >= MAX_TAGS], "too_many_tags")
            ids = [id for id, count in lacking.items() if count < MAX_TAGS]
            _set(connection, ids, user_id, tags=func.array_append(conversations.c.tags, tag))
    return [BulkResult(id, outcomes.get(id, "not_found")) for id in dict.fromkeys(conversation_ids)]


def remove_project(connection: Connection, project_id: UUID, *, user_id: UUID, with_conversations: bool) -> None:
    """Delete a project, and its conversations or only their place in it. Raises NotFound."""
    projects.lock(connection, project_id, user_id=user_id)
    is_inside = (conversations.c.user_id == user_id, conversations.c.project_id == project_id)
    if with_conversations:
        ids = connection.execute(select(conversations.c.id).where(*is_inside).order_by(conversations.c.id).with_for_update())
        remove_many(connection, list(ids.scalars()), user_id=user_id)
    else:
        connection.execute(update(conversations).where(*is_inside).values(project_id=None))
    projects.remove_empty(connection, project_id, user_id=user_id)


def _lock(connection: Connection, conversation_ids: Sequence[UUID], user_id: UUID) -> dict[UUID, Sequence[str]]:
    """Lock the conversations until the transaction ends, and return their tags.

    The order of the ids keeps two requests that name the same conversations from a deadlock.
    """
    statement = select(conversations.c.id, conversations.c.tags).where(*_among(conversation_ids, user_id))
    return {row.id: row.tags for row in connection.execute(statement.order_by(conversations.c.id).with_for_update())}


def _set(connection: Connection, conversation_ids: Sequence[UUID], user_id: UUID, **values: Any) -> None:
    connection.execute(update(conversations).where(*_among(conversation_ids, user_id)).values(values))


def _among(conversation_ids: Sequence[UUID], user_id: UUID) -> tuple[Any, Any]:
    return conversations.c.user_id == user_id, conversations.c.id.in_(conversation_ids)
