"""Users' ratings of answers."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, delete, func, literal, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from parley.db.tables import feedback, messages
from parley.errors import NotFound

type Rating = Literal["good", "bad"]


@dataclass(frozen=True, slots=True)
class Feedback:
    """A user's rating of an answer, with an optional reason. `model` wrote the answer."""

    user_id: UUID
    message_id: UUID
    rating: Rating
    reason: str | None
    model: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class FeedbackCursor:
    """The sort key of the last rating of a page."""

    created_at: datetime
    message_id: UUID


_COLUMNS = [feedback.c[field.name] for field in fields(Feedback)]


def put(connection: Connection, message_id: UUID, *, user_id: UUID, rating: Rating, reason: str | None) -> Feedback:
    """Store or replace the user's rating of an answer. Raises NotFound if the user has no such answer."""
    answer = select(messages.c.user_id, messages.c.id, literal(rating), literal(reason), messages.c.model).where(
        messages.c.user_id == user_id, messages.c.id == message_id, messages.c.role == "assistant"
    )
    statement = insert(feedback).from_select(["user_id", "message_id", "rating", "reason", "model"], answer)
    statement = statement.on_conflict_do_update(
        index_elements=[feedback.c.user_id, feedback.c.message_id],
        set_={"rating": statement.excluded.rating, "reason": statement.excluded.reason, "created_at": func.now()},
    )
    row = connection.execute(statement.returning(*_COLUMNS)).one_or_none()
    if row is None:
        raise NotFound("answer", message_id)
    return Feedback(**row._mapping)


def remove(connection: Connection, message_id: UUID, *, user_id: UUID) -> None:
    """Delete the user's rating of an answer. Raises NotFound if there is none."""
    which = (feedback.c.user_id == user_id, feedback.c.message_id == message_id)
    if connection.execute(delete(feedback).where(*which)).rowcount == 0:
        raise NotFound("feedback", message_id)


def of_messages(connection: Connection, message_ids: Collection[UUID], *, user_id: UUID) -> Mapping[UUID, Feedback]:
    """Return the user's ratings of these messages by message id."""
    which = (feedback.c.user_id == user_id, feedback.c.message_id.in_(message_ids))
    return {row.message_id: Feedback(**row._mapping) for row in connection.execute(select(*_COLUMNS).where(*which))}


def page(connection: Connection, *, limit: int, after: FeedbackCursor | None, rating: Rating | None) -> list[Feedback]:
    """Return up to `limit` ratings of all users after the cursor, newest first. Requires the background role."""
    key = (feedback.c.created_at, feedback.c.message_id)
    statement = select(*_COLUMNS).order_by(*(column.desc() for column in key)).limit(limit)
    statement = statement.where(tuple_(*key) < (after.created_at, after.message_id)) if after else statement
    statement = statement.where(feedback.c.rating == rating) if rating else statement
    return [Feedback(**row._mapping) for row in connection.execute(statement)]
