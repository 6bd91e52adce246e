"""Messages of a conversation, numbered without gaps from 1."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Text, cast, func, insert, literal, select, text, tuple_
from sqlalchemy.sql.dml import ReturningInsert

from parley.db import conversations
from parley.db.row_page import RowPage, read_page
from parley.db.tables import messages
from parley.db.turn.message_parts import utterances
from parley.errors import NotFound
from parley.memory.passages import Utterance

type MessageRole = Literal["user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A stored message. `parts` are JSON objects with a `type`; `model` and `status` apply to answers.

    Variants have the same `seq`: they answer the same question. One of them is active and belongs to the history.
    """

    id: UUID
    conversation_id: UUID
    seq: int
    role: MessageRole
    parts: Sequence[Mapping[str, Any]]
    model: str | None
    tokens: int
    status: str
    created_at: datetime
    variant: int
    is_active: bool

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part["text"] for part in self.parts if part["type"] == "text")

    @property
    def utterances(self) -> list[Utterance]:
        """The texts by speaker: an answer contains what the user said while it was written."""
        return utterances(self.role, self.parts)


@dataclass(frozen=True, slots=True)
class MessageCursor:
    """The sort key of the last message of a page."""

    seq: int
    variant: int


@dataclass(frozen=True, slots=True)
class HistoryMessage:
    """The fields of a stored message that a prompt needs."""

    id: UUID
    role: MessageRole
    parts: Sequence[Mapping[str, Any]]
    tokens: int

    @property
    def images(self) -> list[Mapping[str, Any]]:
        """The image parts."""
        return [part for part in self.parts if part["type"] == "image"]

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part["text"] for part in self.parts if part["type"] == "text")


@dataclass(frozen=True, slots=True)
class Window:
    """The conversation's newest messages, oldest first, and its summary, if any."""

    history: Sequence[HistoryMessage]
    summary: str | None


_COLUMNS = tuple(messages.c[name] for name in StoredMessage.__dataclass_fields__)
_SORT_KEY = (messages.c.seq, messages.c.variant)


def add(
    connection: Connection,
    message_id: UUID,
    *,
    user_id: UUID,
    conversation_id: UUID,
    role: MessageRole,
    parts: Sequence[Mapping[str, Any]],
    **fields: Any,
) -> StoredMessage:
    """Append a message to the conversation; `fields` are model, tokens and status. Raises NotFound if the conversation does not exist."""
    statement = add_statement(message_id, user_id=user_id, conversation_id=conversation_id, role=role, parts=parts, **fields)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound("conversation", conversation_id)
    return StoredMessage(**row._mapping)


def add_statement(
    message_id: UUID,
    *,
    user_id: UUID,
    conversation_id: UUID,
    role: MessageRole,
    parts: Sequence[Mapping[str, Any]],
    where: Sequence[ColumnElement[bool]] = (),
    **fields: Any,
) -> ReturningInsert[Any]:
    """Return the statement that takes the next number and stores the message, if `where` holds.

    The statement returns the columns of StoredMessage.
    """
    numbered = conversations.next_seq_cte(conversation_id, user_id=user_id, where=where)
    values = {"user_id": user_id, "id": message_id, "conversation_id": conversation_id, "role": role, "parts": list(parts)} | fields
    columns = [literal(value, messages.c[name].type) for name, value in values.items()]
    return insert(messages).from_select([*values, "seq"], select(*columns, numbered.c.last_seq)).returning(*_COLUMNS)


def get(connection: Connection, message_id: UUID, *, user_id: UUID) -> StoredMessage:
    """Return the user's message, or raise NotFound."""
    which = (messages.c.user_id == user_id, messages.c.id == message_id)
    row = connection.execute(select(*_COLUMNS).where(*which)).one_or_none()
    if row is None:
        raise NotFound("message", message_id)
    return StoredMessage(**row._mapping)


def text_at(connection: Connection, conversation_id: UUID, *, user_id: UUID, seq: int) -> str:
    """Return the text of the active message number `seq`, empty if there is no such message."""
    rows = connection.execute(_select_active(conversation_id, user_id).where(messages.c.seq == seq))
    return "".join(StoredMessage(**row._mapping).text for row in rows)


def newest(connection: Connection, conversation_id: UUID, *, user_id: UUID, limit: int) -> list[StoredMessage]:
    """Return the conversation's last `limit` active messages, oldest first."""
    statement = _select_active(conversation_id, user_id).order_by(messages.c.seq.desc()).limit(limit)
    return [StoredMessage(**row._mapping) for row in connection.execute(statement)][::-1]


def window(connection: Connection, conversation_id: UUID, *, user_id: UUID, limit: int) -> Window:
    """Return the conversation's summary and last `limit` active messages, with only the fields that the prompt needs, in one query."""
    row = connection.execute(_WINDOW, {"user_id": user_id, "conversation_id": conversation_id, "limit": limit}).one()
    history = [HistoryMessage(**message | {"id": UUID(message["id"])}) for message in row.history or ()]
    return Window(history, row.summary)


def page(
    connection: Connection,
    conversation_id: UUID,
    *,
    user_id: UUID,
    limit: int,
    order: Literal["asc", "desc"],
    after: MessageCursor | None,
    variants: bool = False,
) -> list[StoredMessage]:
    """Return up to `limit` messages after the cursor `after` in the given order; only active ones unless `variants` is set.

    Raises NotFound if the user has no such conversation.
    """
    conversations.get(connection, conversation_id, user_id=user_id)
    statement = _select_after(conversation_id, user_id, order=order, after=after, variants=variants)
    statement = statement.order_by(*(column.asc() if order == "asc" else column.desc() for column in _SORT_KEY)).limit(limit)
    return [StoredMessage(**row._mapping) for row in connection.execute(statement)]


def page_within(
    connection: Connection,
    conversation_id: UUID,
    *,
    user_id: UUID,
    limit: int,
    max_bytes: int,
    order: Literal["asc", "desc"],
    after: MessageCursor | None,
    variants: bool,
) -> RowPage[StoredMessage]:
    """Do the same as `page`, but end the page before its parts exceed `max_bytes` of JSON; it has at least one message."""
    conversations.get(connection, conversation_id, user_id=user_id)
    found = read_page(
        connection,
        _select_after(conversation_id, user_id, order=order, after=after, variants=variants),
        key=_SORT_KEY,
        descending=order == "desc",
        size=func.octet_length(cast(messages.c.parts, Text)),
        limit=limit,
        max_bytes=max_bytes,
    )
    return RowPage([_to_message(row) for row in found.rows], found.has_more)


def _select_after(conversation_id: UUID, user_id: UUID, *, order: str, after: MessageCursor | None, variants: bool) -> Any:
    statement = _select_all(conversation_id, user_id) if variants else _select_active(conversation_id, user_id)
    if after is None:
        return statement
    key, last = tuple_(*_SORT_KEY), (after.seq, after.variant)
    return statement.where(key > last if order == "asc" else key < last)


def _to_message(row: Row[Any]) -> StoredMessage:
    return StoredMessage(**{name: row._mapping[name] for name in StoredMessage.__dataclass_fields__})


def _select_active(conversation_id: UUID, user_id: UUID) -> Any:
    return _select_all(conversation_id, user_id).where(messages.c.is_active)


def _select_all(conversation_id: UUID, user_id: UUID) -> Any:
    return select(*_COLUMNS).where(messages.c.user_id == user_id, messages.c.conversation_id == conversation_id)


_WINDOW = text(
    """
    SELECT (SELECT jsonb_agg(jsonb_build_object('id', id, 'role', role, 'parts', parts, 'tokens', tokens) ORDER BY seq)
              FROM (SELECT id, seq, role, parts, tokens FROM messages
                     WHERE user_id = :user_id AND conversation_id = :conversation_id AND is_active ORDER BY seq DESC LIMIT :limit) newest
           ) AS history,
           (SELECT text FROM summaries
             WHERE user_id = :user_id AND conversation_id = :conversation_id ORDER BY upto_seq DESC LIMIT 1) AS summary
    """
)
