"""The outbox: background jobs, stored in the transaction that requests them, so that no job is lost or sent too early.

An entry contains ids and times but no content. It is sent to the queue after the commit and deleted when the job is done. If
an entry is still stored when it is due, its message was lost or its job failed, so it is sent again.

A conversation has at most one entry for each follow-up topic (title, memory); its `generation` counts the turns that have
ended since it was stored. A worker claims an entry for a limited time instead of locking it, so no transaction stays open
during a model call. Each claim doubles the delay before the next attempt, up to a limit, so an entry whose job fails, or kills
its function, does not block the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Literal, Self
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, text, update

from parley.db.tables import outbox
from parley.ids import new_id

type Topic = Literal["export", "erase", "erase_document", "erase_image", "title", "remember", "summary"]

FOLLOW_UP_TOPICS = ("title", "remember", "summary")
RESEND_AFTER = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A job for a user. `subject_id` is the object of the job, None if the job concerns the whole account.

    `attempts` counts how often the entry was sent again.
    """

    user_id: UUID
    id: UUID
    topic: str
    subject_id: UUID | None
    attempts: int = 0

    @classmethod
    def from_json(cls, rows: Sequence[Mapping[str, Any]] | None) -> list[Self]:
        """Read entries from the JSON that `ENTRIES_TO_SEND` selects."""
        ids = ("user_id", "id", "subject_id")
        return [cls(**dict(row) | {name: UUID(row[name]) for name in ids}) for row in rows or ()]


@dataclass(frozen=True, slots=True)
class ClaimedEntry:
    """An entry that this worker has claimed for a limited time. `tries` includes this claim."""

    user_id: UUID
    id: UUID
    topic: str
    subject_id: UUID
    generation: int
    tries: int

    @property
    def entry(self) -> OutboxEntry:
        """The entry to send to the queue."""
        return OutboxEntry(self.user_id, self.id, self.topic, self.subject_id)


def add(connection: Connection, topic: Topic, *, user_id: UUID, subject_id: UUID | None = None) -> OutboxEntry:
    """Store an entry and return it. The caller sends it after the commit."""
    entry = OutboxEntry(user_id, new_id(), topic, subject_id)
    values = {"user_id": user_id, "id": entry.id, "topic": topic, "subject_id": subject_id, "due_at": func.now() + RESEND_AFTER}
    connection.execute(insert(outbox).values(values))
    return entry


def delete_done(connection: Connection, entry_id: UUID, *, user_id: UUID) -> None:
    """Delete the entry of a finished job."""
    connection.execute(delete(outbox).where(outbox.c.user_id == user_id, outbox.c.id == entry_id))


def take_due(connection: Connection, *, limit: int) -> list[OutboxEntry]:
    """Take up to `limit` due entries to send them again. Requires the background role.

    Concurrent callers get different entries. Each entry becomes due again, after a delay that doubles with each claim of the entry.
    """
    due = select(outbox.c.user_id, outbox.c.id).where(outbox.c.due_at <= func.now()).order_by(outbox.c.due_at).limit(limit)
    chosen = due.with_for_update(skip_locked=True).cte("due")
    which = (outbox.c.user_id == chosen.c.user_id, outbox.c.id == chosen.c.id)
    # The pause doubles with every claim of an entry whose job has failed.
    pause = RESEND_AFTER * func.power(2, func.least(outbox.c.tries, 9))
    statement = update(outbox).where(*which).values(due_at=func.now() + pause, attempts=outbox.c.attempts + 1)
    columns = (outbox.c[field.name] for field in fields(OutboxEntry))
    return [OutboxEntry(**row._mapping) for row in connection.execute(statement.returning(*columns))]


def request_memory_update(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> OutboxEntry:
    """Store the entry that updates a conversation's memory, or increment the generation of the stored entry.

    The caller sends the entry after the commit.
    """
    values = {"user_id": user_id, "id": new_id(), "conversation_id": conversation_id}
    return OutboxEntry(user_id, connection.execute(_REQUEST_MEMORY_UPDATE, values).scalar_one(), "remember", conversation_id)


def request_summary(connection: Connection, conversation_id: UUID, *, user_id: UUID, is_due: bool) -> tuple[OutboxEntry, bool]:
    """Note that a conversation's summary lacks messages. Return the entry, and whether the caller must send it after the commit.

    Unless `is_due`, only the schedule runs the job: nothing needs the summary soon.
    """
    values = {"user_id": user_id, "id": new_id(), "conversation_id": conversation_id, "is_due": is_due}
    row = connection.execute(_REQUEST_SUMMARY, values).one()
    return OutboxEntry(user_id, row.id, "summary", conversation_id), row.is_to_send


def claim(connection: Connection, entry_id: UUID, *, user_id: UUID, lease_s: float) -> ClaimedEntry | None:
    """Claim an entry for `lease_s` seconds. Returns None if its job is done or another worker has claimed the entry."""
    row = connection.execute(_CLAIM, {"user_id": user_id, "id": entry_id, "lease_s": lease_s}).one_or_none()
    return ClaimedEntry(**row._mapping) if row else None


def claim_topic(connection: Connection, topic: Topic, conversation_id: UUID, *, user_id: UUID, lease_s: float) -> ClaimedEntry | None:
    """Claim a conversation's entry of a follow-up topic for `lease_s` seconds. Returns None if there is none or another worker has it."""
    values = {"user_id": user_id, "topic": topic, "conversation_id": conversation_id, "lease_s": lease_s}
    row = connection.execute(_CLAIM_TOPIC, values).one_or_none()
    return ClaimedEntry(**row._mapping) if row else None


def claim_next(connection: Connection, *, lease_s: float) -> ClaimedEntry | None:
    """Claim the oldest unclaimed entry for `lease_s` seconds, or return None. Requires the background role.

    An entry whose job has failed is skipped until it is due. A new entry is claimed even if it is not due yet.
    """
    row = connection.execute(_CLAIM_NEXT, {"lease_s": lease_s}).one_or_none()
    return ClaimedEntry(**row._mapping) if row else None


def is_any_left(connection: Connection) -> bool:
    """Return whether any follow-up job runs or could start now. Requires the background role.

    Unlike `claim_next`, this also sees an entry that another worker is claiming at this moment.
    """
    return bool(connection.execute(_IS_ANY_LEFT).scalar_one())


def finish_claim(connection: Connection, claimed: ClaimedEntry) -> bool:
    """Delete the entry of a finished job. If a turn has ended meanwhile, reset the entry instead and return False."""
    values = {"user_id": claimed.user_id, "id": claimed.id, "generation": claimed.generation}
    return not connection.execute(_FINISH, values).scalar_one()


def release_claim(connection: Connection, claimed: ClaimedEntry) -> None:
    """Release the claim, so that any worker may retry the job when it is due."""
    connection.execute(_RELEASE, {"user_id": claimed.user_id, "id": claimed.id})


def drop_claim(connection: Connection, claimed: ClaimedEntry) -> None:
    """Delete a claimed entry even if turns have ended meanwhile."""
    connection.execute(_DROP, {"user_id": claimed.user_id, "id": claimed.id})


def unclaimed(connection: Connection, *, limit: int) -> list[OutboxEntry]:
    """Return up to `limit` entries that no worker has ever claimed, oldest first. Requires the background role."""
    return [OutboxEntry(**row._mapping) for row in connection.execute(_UNCLAIMED, {"limit": limit})]


_TOPIC_IN = f"topic IN {FOLLOW_UP_TOPICS!r}"
# The condition of the unique index.
_IS_UNIQUE = "topic IN ('title', 'remember')"
_INTERVAL = f"interval '{RESEND_AFTER.total_seconds():.0f} seconds'"
_COLUMNS = "user_id, id, topic, subject_id, generation, tries"
_SET_CLAIMED = f"""
    SET claimed_until = now() + make_interval(secs => :lease_s), tries = o.tries + 1, due_at = now() + {_INTERVAL} * 2 ^ least(o.tries, 9)
"""
_IS_FREE = "(o.claimed_until IS NULL OR o.claimed_until <= now())"
# The statement that ends a turn includes these CTEs. They store entries if `answered` has a row and the answer has text;
# `answer_position` tells whether the conversation needs a title. With `:sent_later` the entries are due now, and the sweep sends them.
FOLLOW_UP_CTES = f"""
         wanted AS (
            SELECT CAST(:remember_id AS uuid) AS id, 'remember' AS topic FROM answered WHERE :says_something
            UNION ALL
            SELECT CAST(:title_id AS uuid), 'title' FROM answer_position, answered
             WHERE :says_something AND answer_position.is_untitled AND CAST(:status AS text) IN ('completed', 'stopped')
         ),
         stored_entries AS (
            INSERT INTO outbox (user_id, id, topic, subject_id, due_at)
            SELECT CAST(:user_id AS uuid), wanted.id, wanted.topic, CAST(:conversation_id AS uuid),
                   now() + CASE WHEN :sent_later THEN interval '0' ELSE {_INTERVAL} END
              FROM wanted
            ON CONFLICT (user_id, topic, subject_id) WHERE {_IS_UNIQUE} DO UPDATE
               SET generation = outbox.generation + 1, due_at = CASE WHEN outbox.due_at <= now() THEN excluded.due_at ELSE outbox.due_at END
            RETURNING user_id, id, topic, subject_id, due_at = now() + {_INTERVAL} AS is_to_send
         )"""  # noqa: S608 - constants only
ENTRIES_TO_SEND = """(SELECT jsonb_agg(jsonb_build_object('user_id', user_id, 'id', id, 'topic', topic, 'subject_id', subject_id))
                FROM stored_entries WHERE is_to_send)"""
_REQUEST_MEMORY_UPDATE = text(
    f"""
    INSERT INTO outbox (user_id, id, topic, subject_id, due_at) VALUES (:user_id, :id, 'remember', :conversation_id, now() + {_INTERVAL})
    ON CONFLICT (user_id, topic, subject_id) WHERE {_IS_UNIQUE} DO UPDATE SET generation = outbox.generation + 1
    RETURNING id
    """  # noqa: S608 - constants only
)
_CLAIM = text(
    f"""
    UPDATE outbox o {_SET_CLAIMED} WHERE o.user_id = :user_id AND o.id = :id AND o.{_TOPIC_IN} AND {_IS_FREE} RETURNING {_COLUMNS}
    """
)
_CLAIM_FIRST_OF = f"""
    WITH next AS (
            SELECT o.user_id, o.id FROM outbox o
             WHERE {{condition}} AND {_IS_FREE}
             ORDER BY o.created_at LIMIT 1 FOR UPDATE SKIP LOCKED
         )
    UPDATE outbox o {_SET_CLAIMED} FROM next WHERE o.user_id = next.user_id AND o.id = next.id
    RETURNING {", ".join(f"o.{name}" for name in _COLUMNS.split(", "))}
    """  # noqa: S608 - constants only
_MAY_RUN = "(o.tries = 0 OR o.due_at <= now())"
_CLAIM_NEXT = text(_CLAIM_FIRST_OF.format(condition=f"o.{_TOPIC_IN} AND {_MAY_RUN}"))
_CLAIM_TOPIC = text(_CLAIM_FIRST_OF.format(condition="o.user_id = :user_id AND o.topic = :topic AND o.subject_id = :conversation_id"))
# An entry that nothing needs soon is due in ten years: the sweep does not send it.
_REQUEST_SUMMARY = text(
    f"""
    WITH due AS (SELECT now() + CASE WHEN CAST(:is_due AS boolean) THEN {_INTERVAL} ELSE interval '10 years' END AS at),
         noted AS (
            UPDATE outbox o
               SET generation = o.generation + 1, due_at = CASE WHEN o.due_at <= now() THEN due.at ELSE least(o.due_at, due.at) END
              FROM due WHERE o.user_id = :user_id AND o.topic = 'summary' AND o.subject_id = :conversation_id
            RETURNING o.id, o.due_at = due.at AS is_new
         ),
         stored AS (
            INSERT INTO outbox (user_id, id, topic, subject_id, due_at)
            SELECT CAST(:user_id AS uuid), CAST(:id AS uuid), 'summary', CAST(:conversation_id AS uuid), due.at
              FROM due WHERE NOT EXISTS (SELECT FROM noted)
            RETURNING id, true AS is_new
         )
    SELECT id, is_new AND CAST(:is_due AS boolean) AS is_to_send FROM (SELECT * FROM noted UNION ALL SELECT * FROM stored) entry LIMIT 1
    """  # noqa: S608 - constants only
)
_IS_ANY_LEFT = text(
    f"SELECT EXISTS (SELECT FROM outbox o WHERE o.{_TOPIC_IN} AND (o.claimed_until > now() OR {_MAY_RUN}))"  # noqa: S608 - constants only
)
# The row is locked first. A turn that ends at the same moment has then either raised the generation already, which this
# statement sees, or will store a new entry afterwards.
_FINISH = text(
    f"""
    WITH locked AS (SELECT user_id, id, generation FROM outbox WHERE user_id = :user_id AND id = :id FOR UPDATE),
         deleted AS (
            DELETE FROM outbox o USING locked l WHERE o.user_id = l.user_id AND o.id = l.id AND l.generation = :generation
         ),
         reset_entry AS (
            UPDATE outbox o SET claimed_until = NULL, tries = 0, due_at = now() + {_INTERVAL}
              FROM locked l WHERE o.user_id = l.user_id AND o.id = l.id AND l.generation <> :generation
            RETURNING o.id
         )
    SELECT EXISTS (SELECT FROM reset_entry)
    """  # noqa: S608 - constants only
)
_RELEASE = text("UPDATE outbox SET claimed_until = NULL WHERE user_id = :user_id AND id = :id")
_DROP = text("DELETE FROM outbox WHERE user_id = :user_id AND id = :id")
_UNCLAIMED = text(
    f"SELECT user_id, id, topic, subject_id FROM outbox o WHERE {_TOPIC_IN} AND {_IS_FREE} AND tries = 0 ORDER BY created_at LIMIT :limit"  # noqa: S608
)
