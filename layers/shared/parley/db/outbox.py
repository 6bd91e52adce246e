"""The outbox: background jobs, stored in the transaction that requests them, so that none is lost or sent too early.

An entry holds ids and times, no content. It is sent to the queue after the commit and deleted when the work is done; a
due entry that is still stored was lost on the way and is sent again.

A conversation has at most one entry for each follow-up topic (title, memory); its `generation` counts the turns that have
ended since it was stored. A worker claims an entry for a limited time instead of locking it, so no transaction is open
while a model works. Each claim postpones the next attempt exponentially, so that an entry whose work fails, or kills its
function, blocks no other entry.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Literal, Self
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, text, update

from parley.db.tables import outbox
from parley.ids import new_id

type Topic = Literal["export", "erase", "erase_document", "erase_image", "title", "remember"]


RESEND_AFTER = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class OutboxEntry:
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


def add(connection: Connection, topic: Topic, *, user_id: UUID, subject_id: UUID | None = None) -> OutboxEntry:
    """Note work. Send the entry when the transaction has committed."""
    entry = OutboxEntry(user_id, new_id(), topic, subject_id)
    values = {"user_id": user_id, "id": entry.id, "topic": topic, "subject_id": subject_id, "due_at": func.now() + RESEND_AFTER}
    connection.execute(insert(outbox).values(values))
    return entry


def delete_done(connection: Connection, entry_id: UUID, *, user_id: UUID) -> None:
    """Delete what is done."""
    connection.execute(delete(outbox).where(outbox.c.user_id == user_id, outbox.c.id == entry_id))


def take_due(connection: Connection, *, limit: int) -> list[OutboxEntry]:
    """Return work that was lost on the way, each for one taker only, and due again later. Needs the background role."""
    due = select(outbox.c.user_id, outbox.c.id).where(outbox.c.due_at <= func.now()).order_by(outbox.c.due_at).limit(limit)
    chosen = due.with_for_update(skip_locked=True).cte("due")
    which = (outbox.c.user_id == chosen.c.user_id, outbox.c.id == chosen.c.id)
    # What has been tried and failed is let be for longer each time.
    pause = RESEND_AFTER * func.power(2, func.least(outbox.c.tries, 9))
    again = update(outbox).where(*which).values(due_at=func.now() + pause, attempts=outbox.c.attempts + 1)
    return [
        OutboxEntry(**row._mapping) for row in connection.execute(again.returning(*(outbox.c[field.name] for field in fields(OutboxEntry))))
    ]


FOLLOW_UP_TOPICS = ("title", "remember")


@dataclass(frozen=True, slots=True)
class ClaimedEntry:
    """Work that is ours for a while; `tries` counts this one."""

    user_id: UUID
    id: UUID
    topic: str
    subject_id: UUID
    generation: int
    tries: int

    @property
    def entry(self) -> OutboxEntry:
        """Return the entry, to be sent."""
        return OutboxEntry(self.user_id, self.id, self.topic, self.subject_id)


def request_memory_update(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> OutboxEntry:
    """Note that a conversation is to be remembered, whatever is noted already. Send the entry when the transaction has committed."""
    values = {"user_id": user_id, "id": new_id(), "conversation_id": conversation_id}
    return OutboxEntry(user_id, connection.execute(_REQUEST_MEMORY_UPDATE, values).scalar_one(), "remember", conversation_id)


def claim(connection: Connection, entry_id: UUID, *, user_id: UUID, lease_s: float) -> ClaimedEntry | None:
    """Take an entry for `lease_s` seconds; None if it is done, or somebody else's."""
    row = connection.execute(_CLAIM, {"user_id": user_id, "id": entry_id, "lease_s": lease_s}).one_or_none()
    return ClaimedEntry(**row._mapping) if row else None


def claim_next(connection: Connection, *, lease_s: float) -> ClaimedEntry | None:
    """Take the oldest entry that nobody works on, however recent; None if there is none. Needs the background role.

    One that has failed is left alone until it is due.
    """
    row = connection.execute(_CLAIM_NEXT, {"lease_s": lease_s}).one_or_none()
    return ClaimedEntry(**row._mapping) if row else None


def finish_claim(connection: Connection, claimed: ClaimedEntry) -> bool:
    """Delete what is done; False if a turn has ended meanwhile: then the entry stays, free and as new."""
    values = {"user_id": claimed.user_id, "id": claimed.id, "generation": claimed.generation}
    return not connection.execute(_FINISH, values).scalar_one()


def release_claim(connection: Connection, claimed: ClaimedEntry) -> None:
    """Let others try, when it is due."""
    connection.execute(_RELEASE, {"user_id": claimed.user_id, "id": claimed.id})


def drop_claim(connection: Connection, claimed: ClaimedEntry) -> None:
    """Delete an entry, whatever has come since."""
    connection.execute(_DROP, {"user_id": claimed.user_id, "id": claimed.id})


def unclaimed(connection: Connection, *, limit: int) -> list[OutboxEntry]:
    """Return work that nobody has begun, the oldest first. Needs the background role."""
    return [OutboxEntry(**row._mapping) for row in connection.execute(_UNCLAIMED, {"limit": limit})]


_TOPIC_IN = f"topic IN {FOLLOW_UP_TOPICS!r}"


_INTERVAL = f"interval '{RESEND_AFTER.total_seconds():.0f} seconds'"


_COLUMNS = "user_id, id, topic, subject_id, generation, tries"


_SET_CLAIMED = f"""
    SET claimed_until = now() + make_interval(secs => :lease_s), tries = o.tries + 1, due_at = now() + {_INTERVAL} * 2 ^ least(o.tries, 9)
"""


_IS_FREE = "(o.claimed_until IS NULL OR o.claimed_until <= now())"


# The end of a turn notes this where `answered` has a row and says something; `place` tells whether it has a title of its own.
# With `:sent_later` nobody sends it now, so that whoever looks for lost work does.
FOLLOW_UP_CTES = f"""
         wanted AS (
            SELECT CAST(:remember_id AS uuid) AS id, 'remember' AS topic FROM answered WHERE :says_something
            UNION ALL
            SELECT CAST(:title_id AS uuid), 'title' FROM place, answered
             WHERE :says_something AND place.is_untitled AND CAST(:status AS text) IN ('completed', 'stopped')
         ),
         noted AS (
            INSERT INTO outbox (user_id, id, topic, subject_id, due_at)
            SELECT CAST(:user_id AS uuid), wanted.id, wanted.topic, CAST(:conversation_id AS uuid),
                   now() + CASE WHEN :sent_later THEN interval '0' ELSE {_INTERVAL} END
              FROM wanted
            ON CONFLICT (user_id, topic, subject_id) WHERE {_TOPIC_IN} DO UPDATE
               SET generation = outbox.generation + 1, due_at = CASE WHEN outbox.due_at <= now() THEN excluded.due_at ELSE outbox.due_at END
            RETURNING user_id, id, topic, subject_id, due_at = now() + {_INTERVAL} AS is_to_send
         )"""  # noqa: S608 - our own words


ENTRIES_TO_SEND = """(SELECT jsonb_agg(jsonb_build_object('user_id', user_id, 'id', id, 'topic', topic, 'subject_id', subject_id))
                FROM noted WHERE is_to_send)"""


_REQUEST_MEMORY_UPDATE = text(
    f"""
    INSERT INTO outbox (user_id, id, topic, subject_id, due_at) VALUES (:user_id, :id, 'remember', :conversation_id, now() + {_INTERVAL})
    ON CONFLICT (user_id, topic, subject_id) WHERE {_TOPIC_IN} DO UPDATE SET generation = outbox.generation + 1
    RETURNING id
    """  # noqa: S608 - our own words
)


_CLAIM = text(
    f"""
    UPDATE outbox o {_SET_CLAIMED} WHERE o.user_id = :user_id AND o.id = :id AND o.{_TOPIC_IN} AND {_IS_FREE} RETURNING {_COLUMNS}
    """
)


_CLAIM_NEXT = text(
    f"""
    WITH next AS (
            SELECT o.user_id, o.id FROM outbox o
             WHERE o.{_TOPIC_IN} AND {_IS_FREE} AND (o.tries = 0 OR o.due_at <= now())
             ORDER BY o.created_at LIMIT 1 FOR UPDATE SKIP LOCKED
         )
    UPDATE outbox o {_SET_CLAIMED} FROM next WHERE o.user_id = next.user_id AND o.id = next.id
    RETURNING {", ".join(f"o.{name}" for name in _COLUMNS.split(", "))}
    """  # noqa: S608 - our own words
)


# Locked first: whoever ends a turn at this very moment comes before, and is seen, or after, and notes it anew.
_FINISH = text(
    f"""
    WITH locked AS (SELECT user_id, id, generation FROM outbox WHERE user_id = :user_id AND id = :id FOR UPDATE),
         gone AS (
            DELETE FROM outbox o USING locked l WHERE o.user_id = l.user_id AND o.id = l.id AND l.generation = :generation
         ),
         kept AS (
            UPDATE outbox o SET claimed_until = NULL, tries = 0, due_at = now() + {_INTERVAL}
              FROM locked l WHERE o.user_id = l.user_id AND o.id = l.id AND l.generation <> :generation
            RETURNING o.id
         )
    SELECT EXISTS (SELECT FROM kept)
    """  # noqa: S608 - our own words
)


_RELEASE = text("UPDATE outbox SET claimed_until = NULL WHERE user_id = :user_id AND id = :id")


_DROP = text("DELETE FROM outbox WHERE user_id = :user_id AND id = :id")


_UNCLAIMED = text(
    f"SELECT user_id, id, topic, subject_id FROM outbox o WHERE {_TOPIC_IN} AND {_IS_FREE} AND tries = 0 ORDER BY created_at LIMIT :limit"  # noqa: S608
)
