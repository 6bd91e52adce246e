"""Which conversations are to be mined for memory: ids, times and attempts.

What is due follows from the conversations themselves (`mined_upto_seq < last_seq`), so nothing is lost where a message
was. A row here says only who has one in hand, or how long to leave one alone that failed.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, text

# For so long a conversation that was taken is nobody else's; a failed one waits twice as long each time.
LEASE = timedelta(minutes=10)
LONGEST = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Due:
    """A conversation to be mined; `attempts` counts this one."""

    user_id: UUID
    conversation_id: UUID
    attempts: int


def note_unmined(connection: Connection, *, limit: int) -> int:
    """Make rows for conversations with messages that are not mined, the longest quiet first; return how many are new.

    Those of users who have memory off and incognito ones are left out. Needs the background role.
    """
    return connection.execute(_NOTE, {"limit": limit}).rowcount


def take_due(connection: Connection, *, limit: int) -> list[Due]:
    """Take conversations that are due, each for one taker only. Needs the background role."""
    values = {"limit": limit, "lease": LEASE, "longest": LONGEST}
    return [Due(row.user_id, row.conversation_id, row.attempts) for row in connection.execute(_TAKE_DUE, values)]


def take(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> Due | None:
    """Take one conversation, as its user; None if somebody has it in hand or it is being left alone."""
    values = {"user_id": user_id, "conversation_id": conversation_id, "lease": LEASE}
    row = connection.execute(_TAKE, values).one_or_none()
    return Due(user_id, conversation_id, row.attempts) if row else None


def done(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> None:
    """Give a conversation back that was mined. In the transaction that stores what came of it."""
    connection.execute(_DONE, {"user_id": user_id, "conversation_id": conversation_id})


_NOTE = text(
    """
    INSERT INTO memory_work (user_id, conversation_id)
    SELECT c.user_id, c.id FROM conversations c JOIN users u ON u.id = c.user_id
     WHERE c.mined_upto_seq < c.last_seq AND NOT c.is_incognito AND u.memory_enabled AND u.disabled_at IS NULL
       AND NOT EXISTS (SELECT FROM memory_work w WHERE w.user_id = c.user_id AND w.conversation_id = c.id)
     ORDER BY c.updated_at LIMIT :limit
    ON CONFLICT DO NOTHING
    """
)
_TAKE_DUE = text(
    """
    WITH due AS (
        SELECT user_id, conversation_id FROM memory_work WHERE due_at <= now() ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    UPDATE memory_work w
       SET attempts = w.attempts + 1, due_at = now() + least(:lease * power(2, least(w.attempts, 10)), :longest)
      FROM due WHERE w.user_id = due.user_id AND w.conversation_id = due.conversation_id
    RETURNING w.user_id, w.conversation_id, w.attempts
    """
)
_TAKE = text(
    """
    INSERT INTO memory_work AS w (user_id, conversation_id, attempts, due_at)
    VALUES (:user_id, :conversation_id, 1, now() + :lease)
    ON CONFLICT (user_id, conversation_id) DO UPDATE SET attempts = w.attempts + 1, due_at = now() + :lease WHERE w.due_at <= now()
    RETURNING attempts
    """
)
_DONE = text("DELETE FROM memory_work WHERE user_id = :user_id AND conversation_id = :conversation_id")
