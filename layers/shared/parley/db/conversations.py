"""Conversations, their forks, and the retention rule by which inactive conversations expire."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CTE, ColumnElement, Connection, Uuid, bindparam, delete, func, insert, or_, select, text, tuple_, update

from parley.db import images
from parley.db.projects import projects
from parley.db.projects.conversation_filter import NOT_ARCHIVED, ConversationFilter
from parley.db.row_page import RowPage, matches_title_or_id, read_page
from parley.db.tables import conversations
from parley.errors import InvalidInput, NotFound
from parley.ids import new_id


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation. `last_seq` is the number of its newest message, 0 if it is empty.

    Memory is neither extracted from an incognito conversation nor recalled in it. Lists leave out archived conversations.
    `assistant_version` is the version of the assistant that the newest turn used. The assistant may be gone: it can belong to
    another user.
    """

    user_id: UUID
    id: UUID
    title: str | None
    model: str | None
    system_prompt: str | None
    last_seq: int
    created_at: datetime
    updated_at: datetime
    is_incognito: bool
    is_pinned: bool
    assistant_id: UUID | None
    assistant_version: int | None
    tags: Sequence[str]
    is_archived: bool
    project_id: UUID | None


@dataclass(frozen=True, slots=True)
class ExtractionProgress:
    """How far memory has been extracted from a conversation.

    Extraction has reached message `upto_seq`; the last answer is message `answered_seq`, 0 if there is no answer.
    `is_allowed` is false if the user has turned memory off or the conversation is incognito.
    """

    upto_seq: int
    answered_seq: int
    is_allowed: bool


@dataclass(frozen=True, slots=True)
class ConversationCursor:
    """The sort key of the last conversation of a page."""

    updated_at: datetime
    id: UUID


FORK_SUFFIX = " (fork)"
MAX_TITLE_LENGTH = 200
MAX_TAGS, MAX_TAG_LENGTH = 20, 40
_COLUMNS = tuple(conversations.c[field.name] for field in fields(Conversation))
_IS_UNTITLED = or_(conversations.c.is_title_automatic, conversations.c.title.is_(None))


def add(
    connection: Connection,
    conversation_id: UUID,
    *,
    user_id: UUID,
    project_id: UUID | None = None,
    **values: str | bool | int | UUID | Sequence[str] | None,
) -> Conversation:
    """Store a new conversation; `values` are title, model, system_prompt, is_incognito, tags and the assistant.

    Raises NotFound for an unknown project.
    """
    if project_id:
        projects.require(connection, project_id, user_id=user_id)
    row = values | {"user_id": user_id, "id": conversation_id, "project_id": project_id}
    statement = insert(conversations).values(row).returning(*_COLUMNS)
    return Conversation(**connection.execute(statement).one()._mapping)


def get(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> Conversation:
    """Return the user's conversation, or raise NotFound."""
    row = connection.execute(select(*_COLUMNS).where(*_of_conversation(conversation_id, user_id))).one_or_none()
    if row is None:
        raise NotFound("conversation", conversation_id)
    return Conversation(**row._mapping)


def page(
    connection: Connection,
    *,
    user_id: UUID,
    limit: int,
    max_bytes: int,
    after: ConversationCursor | None,
    only: ConversationFilter = NOT_ARCHIVED,
    matching: str = "",
) -> RowPage[Conversation]:
    """Return up to `limit` of the conversations that `only` names, after the cursor `after`, most recently active first.

    The text `matching` is a part of their titles, in any case, or the beginning of their ids. The page ends before its system prompts
    exceed `max_bytes` in total, but has at least one conversation.
    """
    statement = select(*_COLUMNS).where(conversations.c.user_id == user_id, matches_title_or_id(conversations, matching))
    statement = statement.where(*only.conditions())
    key = (conversations.c.updated_at, conversations.c.id)
    if after:
        statement = statement.where(tuple_(*key) < (after.updated_at, after.id))
    size = func.coalesce(func.octet_length(conversations.c.system_prompt), 0)
    found = read_page(connection, statement, key=key, descending=True, size=size, limit=limit, max_bytes=max_bytes)
    rows = [Conversation(**{field.name: row._mapping[field.name] for field in fields(Conversation)}) for row in found.rows]
    return RowPage(rows, found.has_more)


def change(connection: Connection, conversation_id: UUID, *, user_id: UUID, changes: dict[str, Any]) -> Conversation:
    """Set the given columns and return the conversation. Does not count as activity. Raises NotFound, also for an unknown project."""
    if not changes:
        return get(connection, conversation_id, user_id=user_id)
    if changes.get("project_id"):
        projects.require(connection, changes["project_id"], user_id=user_id)
    if "title" in changes:
        changes = changes | {"is_title_automatic": False}
    statement = update(conversations).where(*_of_conversation(conversation_id, user_id)).values(changes).returning(*_COLUMNS)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound("conversation", conversation_id)
    return Conversation(**row._mapping)


def is_untitled(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> bool:
    """Whether the conversation has no title or only an automatic title. Raises NotFound."""
    untitled = connection.execute(select(_IS_UNTITLED).where(*_of_conversation(conversation_id, user_id))).scalar_one_or_none()
    if untitled is None:
        raise NotFound("conversation", conversation_id)
    return bool(untitled)


def set_generated_title(connection: Connection, conversation_id: UUID, *, user_id: UUID, title: str) -> bool:
    """Set a generated title. Returns False, and changes nothing, unless the conversation's title is missing or automatic."""
    which = (*_of_conversation(conversation_id, user_id), _IS_UNTITLED)
    statement = update(conversations).where(*which).values(title=title, is_title_automatic=False)
    return connection.execute(statement).rowcount == 1


def extraction_progress(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> ExtractionProgress:
    """Return how far memory has been extracted from the conversation. Raises NotFound."""
    row = connection.execute(_EXTRACTION_PROGRESS, {"user_id": user_id, "conversation_id": conversation_id}).one_or_none()
    if row is None:
        raise NotFound("conversation", conversation_id)
    return ExtractionProgress(**row._mapping)


def mark_extracted(connection: Connection, conversation_id: UUID, *, user_id: UUID, seq: int) -> None:
    """Record that memory has been extracted up to message `seq`. The mark never moves back."""
    values = {"mined_upto_seq": func.greatest(conversations.c.mined_upto_seq, seq)}
    connection.execute(update(conversations).where(*_of_conversation(conversation_id, user_id)).values(values))


def remove(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> None:
    """Delete the conversation, its contents, and the facts extracted only from it, or raise NotFound."""
    if remove_many(connection, [conversation_id], user_id=user_id) == 0:
        raise NotFound("conversation", conversation_id)


def remove_many(connection: Connection, conversation_ids: Sequence[UUID], *, user_id: UUID) -> int:
    """Delete these of the user's conversations, their contents, and the facts extracted only from them, and return their number.

    The files of their images are erased later, through the outbox.
    """
    images.schedule_deletion(connection, conversation_ids, user_id=user_id)
    connection.execute(_DELETE_ORPHANED_FACTS, {"user_id": user_id, "conversation_ids": list(conversation_ids)})
    which = (conversations.c.user_id == user_id, conversations.c.id.in_(conversation_ids))
    return connection.execute(delete(conversations).where(*which)).rowcount


def next_seq_cte(conversation_id: UUID, *, user_id: UUID, where: Sequence[ColumnElement[bool]] = ()) -> CTE:
    """Return the CTE `numbered`: if `where` holds, it increments `last_seq`, which numbers the new message, and records the activity.

    The row stays locked until the transaction ends, and a rollback restores `last_seq`, so numbers have no gaps.
    """
    values = {"last_seq": conversations.c.last_seq + 1, "updated_at": func.clock_timestamp()}
    statement = update(conversations).where(*_of_conversation(conversation_id, user_id), *where).values(values)
    return statement.returning(conversations.c.last_seq).cte("numbered")


def fork(connection: Connection, conversation_id: UUID, *, user_id: UUID, upto_seq: int) -> Conversation:
    """Copy a conversation with its active messages up to `upto_seq`, and return the copy. The copied messages get new ids.

    A copy keeps the tags and the project, and is neither pinned nor archived.

    The copies are marked as extracted: memory has them, or gets them, from the originals, and recall would find everything
    twice. Raises NotFound, and InvalidInput if the conversation has no message `upto_seq`.
    """
    source = get(connection, conversation_id, user_id=user_id)
    if not 1 <= upto_seq <= source.last_seq:
        raise InvalidInput(f"must be a message number from 1 to {source.last_seq}", loc=("body", "upto_seq"))
    values = {
        "user_id": user_id,
        "source_id": conversation_id,
        "id": new_id(),
        "title": _fork_title(source.title),
        "upto_seq": upto_seq,
        "ids": [new_id() for _ in range(upto_seq)],
    }
    row = connection.execute(_FORK, values).one_or_none()
    if row is None:
        raise NotFound("conversation", conversation_id)
    return Conversation(**row._mapping)


def _fork_title(title: str | None) -> str | None:
    """Return the title with exactly one fork suffix, shortened to the maximum length. A missing title stays missing."""
    return title and title.removesuffix(FORK_SUFFIX)[: MAX_TITLE_LENGTH - len(FORK_SUFFIX)] + FORK_SUFFIX


def users_with_expired(connection: Connection, *, default_days: int) -> list[UUID]:
    """Return the users who have expired conversations. A retention of 0 days means forever. Requires the background role."""
    return list(connection.execute(_USERS_WITH_EXPIRED, {"default_days": default_days}).scalars())


def lock_expired(connection: Connection, *, user_id: UUID, default_days: int, limit: int) -> list[UUID]:
    """Lock up to `limit` expired conversations of the user and return their ids, for deletion in the same transaction."""
    return list(connection.execute(_LOCK_EXPIRED, {"user_id": user_id, "default_days": default_days, "limit": limit}).scalars())


def _of_conversation(conversation_id: UUID, user_id: UUID) -> tuple[Any, Any]:
    return conversations.c.user_id == user_id, conversations.c.id == conversation_id


_EXTRACTION_PROGRESS = text(
    """
    SELECT c.mined_upto_seq AS upto_seq, u.memory_enabled AND NOT c.is_incognito AS is_allowed,
           coalesce((SELECT max(m.seq) FROM messages m
                      WHERE m.user_id = c.user_id AND m.conversation_id = c.id AND m.is_active AND m.role = 'assistant'), 0) AS answered_seq
      FROM conversations c JOIN users u ON u.id = c.user_id
     WHERE c.user_id = :user_id AND c.id = :conversation_id
    """
)
_DELETE_ORPHANED_FACTS = text(
    """
    DELETE FROM memories m
     WHERE m.user_id = :user_id AND m.source = 'extracted'
       AND m.id IN (SELECT s.memory_id FROM memory_sources s WHERE s.user_id = :user_id AND s.conversation_id = ANY(:conversation_ids))
       AND NOT EXISTS (SELECT FROM memory_sources o
                        WHERE o.user_id = :user_id AND o.memory_id = m.id AND o.conversation_id <> ALL(:conversation_ids))
    """
).bindparams(bindparam("conversation_ids", type_=ARRAY(Uuid)))
# Active messages are numbered without gaps from 1, so `ids[seq]` is the new id of message `seq`.
_FORK = text(
    """
    WITH forked AS (
            INSERT INTO conversations (user_id, id, title, model, system_prompt, last_seq, is_incognito, mined_upto_seq,
                                       assistant_id, assistant_version, tags, project_id)
            SELECT c.user_id, CAST(:id AS uuid), CAST(:title AS text), c.model, c.system_prompt, CAST(:upto_seq AS integer), c.is_incognito,
                   CAST(:upto_seq AS integer), c.assistant_id, c.assistant_version, c.tags, c.project_id
              FROM conversations c WHERE c.user_id = CAST(:user_id AS uuid) AND c.id = CAST(:source_id AS uuid)
            RETURNING user_id, id, title, model, system_prompt, last_seq, created_at, updated_at, is_incognito, is_pinned,
                      assistant_id, assistant_version, tags, is_archived, project_id
         ),
         copied AS (
            INSERT INTO messages (user_id, id, conversation_id, seq, role, parts, model, tokens, status, created_at, is_forgotten)
            SELECT m.user_id, (CAST(:ids AS uuid[]))[m.seq], forked.id, m.seq, m.role, m.parts, m.model, m.tokens, m.status, m.created_at,
                   m.is_forgotten
              FROM forked JOIN messages m ON m.user_id = forked.user_id
             WHERE m.user_id = CAST(:user_id AS uuid) AND m.conversation_id = CAST(:source_id AS uuid) AND m.is_active
               AND m.seq <= CAST(:upto_seq AS integer)
         )
    SELECT * FROM forked
    """
).bindparams(bindparam("ids", type_=ARRAY(Uuid)))
_RETENTION_DAYS = "coalesce(u.retention_days, CAST(:default_days AS integer))"
_IS_EXPIRED = f"{_RETENTION_DAYS} > 0 AND c.updated_at < now() - make_interval(days => {_RETENTION_DAYS})"
_USERS_WITH_EXPIRED = text(
    f"SELECT u.id FROM users u WHERE EXISTS (SELECT FROM conversations c WHERE c.user_id = u.id AND {_IS_EXPIRED}) ORDER BY u.id"  # noqa: S608
)
_LOCK_EXPIRED = text(
    f"""
    SELECT c.id FROM users u JOIN conversations c ON c.user_id = u.id
     WHERE u.id = :user_id AND c.user_id = :user_id AND {_IS_EXPIRED}
     ORDER BY c.updated_at LIMIT :limit FOR UPDATE OF c SKIP LOCKED
    """  # noqa: S608 - constants only
)
