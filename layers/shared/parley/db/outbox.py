"""The outbox: follow-up work, noted in the transaction that calls for it, so that it is never lost and never premature.

A row holds ids and times, no content. It is sent to the queue after the commit and deleted when the work is done; one
that is due and still there was lost on the way, and is sent again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Literal, Self
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, update

from parley.db.tables import outbox
from parley.ids import new_id

type Topic = Literal["export", "erase", "erase_document", "erase_image", "title", "remember"]

AGAIN = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Entry:
    """Work to do for a user; `subject_id` says on what, where the user alone does not.

    `attempts` is how often it has been sent again.
    """

    user_id: UUID
    id: UUID
    topic: str
    subject_id: UUID | None
    attempts: int = 0

    @classmethod
    def read(cls, found: Sequence[Mapping[str, Any]] | None) -> list[Self]:
        """Read entries that a statement gave as JSON."""
        ids = ("user_id", "id", "subject_id")
        return [cls(**one | {name: UUID(one[name]) for name in ids}) for one in map(dict[str, Any], found or ())]


def add(connection: Connection, topic: Topic, *, user_id: UUID, subject_id: UUID | None = None) -> Entry:
    """Note work. Send the entry when the transaction has committed."""
    entry = Entry(user_id, new_id(), topic, subject_id)
    values = {"user_id": user_id, "id": entry.id, "topic": topic, "subject_id": subject_id, "due_at": func.now() + AGAIN}
    connection.execute(insert(outbox).values(values))
    return entry


def done(connection: Connection, entry_id: UUID, *, user_id: UUID) -> None:
    """Delete what is done."""
    connection.execute(delete(outbox).where(outbox.c.user_id == user_id, outbox.c.id == entry_id))


def take_due(connection: Connection, *, limit: int) -> list[Entry]:
    """Return work that was lost on the way, each for one taker only, and due again later. Needs the background role."""
    due = select(outbox.c.user_id, outbox.c.id).where(outbox.c.due_at <= func.now()).order_by(outbox.c.due_at).limit(limit)
    chosen = due.with_for_update(skip_locked=True).cte("due")
    which = (outbox.c.user_id == chosen.c.user_id, outbox.c.id == chosen.c.id)
    # What has been tried and failed is let be for longer each time.
    pause = AGAIN * func.power(2, func.least(outbox.c.tries, 9))
    again = update(outbox).where(*which).values(due_at=func.now() + pause, attempts=outbox.c.attempts + 1)
    return [Entry(**row._mapping) for row in connection.execute(again.returning(*(outbox.c[field.name] for field in fields(Entry))))]
