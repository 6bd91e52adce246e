"""Follow-up work of turns: what the end of a turn notes in the outbox, and who works on it.

One entry of a topic waits for a conversation at most; `generation` counts the turns that have ended since it was noted.
Work is claimed for a while, not locked: no transaction is open while a model works. Who claims an entry puts off its
next try, so that work which fails, or kills its function, is tried ever more seldom and stands in nobody's way.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

from parley.db.outbox import AGAIN, Entry
from parley.ids import new_id

TOPICS = ("title", "remember")


@dataclass(frozen=True, slots=True)
class Claim:
    """Work that is ours for a while; `tries` counts this one."""

    user_id: UUID
    id: UUID
    topic: str
    subject_id: UUID
    generation: int
    tries: int

    @property
    def entry(self) -> Entry:
        """Return the entry, to be sent."""
        return Entry(self.user_id, self.id, self.topic, self.subject_id)


def ask(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> Entry:
    """Note that a conversation is to be remembered, whatever is noted already. Send the entry when the transaction has committed."""
    values = {"user_id": user_id, "id": new_id(), "conversation_id": conversation_id}
    return Entry(user_id, connection.execute(_ASK, values).scalar_one(), "remember", conversation_id)


def claim(connection: Connection, entry_id: UUID, *, user_id: UUID, lease_s: float) -> Claim | None:
    """Take an entry for `lease_s` seconds; None if it is done, or somebody else's."""
    row = connection.execute(_CLAIM, {"user_id": user_id, "id": entry_id, "lease_s": lease_s}).one_or_none()
    return Claim(**row._mapping) if row else None


def claim_next(connection: Connection, *, lease_s: float) -> Claim | None:
    """Take the oldest entry that nobody works on, however recent; None if there is none. Needs the background role.

    One that has failed is left alone until it is due.
    """
    row = connection.execute(_CLAIM_NEXT, {"lease_s": lease_s}).one_or_none()
    return Claim(**row._mapping) if row else None


def finish(connection: Connection, claimed: Claim) -> bool:
    """Delete what is done; False if a turn has ended meanwhile: then the entry stays, free and as new."""
    values = {"user_id": claimed.user_id, "id": claimed.id, "generation": claimed.generation}
    return not connection.execute(_FINISH, values).scalar_one()


def release(connection: Connection, claimed: Claim) -> None:
    """Let others try, when it is due."""
    connection.execute(_RELEASE, {"user_id": claimed.user_id, "id": claimed.id})


def drop(connection: Connection, claimed: Claim) -> None:
    """Delete an entry, whatever has come since."""
    connection.execute(_DROP, {"user_id": claimed.user_id, "id": claimed.id})


def untouched(connection: Connection, *, limit: int) -> list[Entry]:
    """Return work that nobody has begun, the oldest first. Needs the background role."""
    return [Entry(**row._mapping) for row in connection.execute(_UNTOUCHED, {"limit": limit})]


_TOPICS = f"topic IN {TOPICS!r}"
_AGAIN = f"interval '{AGAIN.total_seconds():.0f} seconds'"
_CLAIMED = "user_id, id, topic, subject_id, generation, tries"
_TAKEN = f"""
    SET claimed_until = now() + make_interval(secs => :lease_s), tries = o.tries + 1, due_at = now() + {_AGAIN} * 2 ^ least(o.tries, 9)
"""
_IS_FREE = "(o.claimed_until IS NULL OR o.claimed_until <= now())"
# The end of a turn notes this where `answered` has a row and says something; `place` tells whether it has a title of its own.
# With `:sent_later` nobody sends it now, so that whoever looks for lost work does.
NOTING = f"""
         wanted AS (
            SELECT CAST(:remember_id AS uuid) AS id, 'remember' AS topic FROM answered WHERE :says_something
            UNION ALL
            SELECT CAST(:title_id AS uuid), 'title' FROM place, answered
             WHERE :says_something AND place.is_untitled AND CAST(:status AS text) IN ('completed', 'stopped')
         ),
         noted AS (
            INSERT INTO outbox (user_id, id, topic, subject_id, due_at)
            SELECT CAST(:user_id AS uuid), wanted.id, wanted.topic, CAST(:conversation_id AS uuid),
                   now() + CASE WHEN :sent_later THEN interval '0' ELSE {_AGAIN} END
              FROM wanted
            ON CONFLICT (user_id, topic, subject_id) WHERE {_TOPICS} DO UPDATE
               SET generation = outbox.generation + 1, due_at = CASE WHEN outbox.due_at <= now() THEN excluded.due_at ELSE outbox.due_at END
            RETURNING user_id, id, topic, subject_id, due_at = now() + {_AGAIN} AS is_to_send
         )"""  # noqa: S608 - our own words
TO_SEND = """(SELECT jsonb_agg(jsonb_build_object('user_id', user_id, 'id', id, 'topic', topic, 'subject_id', subject_id))
                FROM noted WHERE is_to_send)"""
_ASK = text(
    f"""
    INSERT INTO outbox (user_id, id, topic, subject_id, due_at) VALUES (:user_id, :id, 'remember', :conversation_id, now() + {_AGAIN})
    ON CONFLICT (user_id, topic, subject_id) WHERE {_TOPICS} DO UPDATE SET generation = outbox.generation + 1
    RETURNING id
    """  # noqa: S608 - our own words
)
_CLAIM = text(
    f"""
    UPDATE outbox o {_TAKEN} WHERE o.user_id = :user_id AND o.id = :id AND o.{_TOPICS} AND {_IS_FREE} RETURNING {_CLAIMED}
    """
)
_CLAIM_NEXT = text(
    f"""
    WITH next AS (
            SELECT o.user_id, o.id FROM outbox o
             WHERE o.{_TOPICS} AND {_IS_FREE} AND (o.tries = 0 OR o.due_at <= now())
             ORDER BY o.created_at LIMIT 1 FOR UPDATE SKIP LOCKED
         )
    UPDATE outbox o {_TAKEN} FROM next WHERE o.user_id = next.user_id AND o.id = next.id
    RETURNING {", ".join(f"o.{name}" for name in _CLAIMED.split(", "))}
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
            UPDATE outbox o SET claimed_until = NULL, tries = 0, due_at = now() + {_AGAIN}
              FROM locked l WHERE o.user_id = l.user_id AND o.id = l.id AND l.generation <> :generation
            RETURNING o.id
         )
    SELECT EXISTS (SELECT FROM kept)
    """  # noqa: S608 - our own words
)
_RELEASE = text("UPDATE outbox SET claimed_until = NULL WHERE user_id = :user_id AND id = :id")
_DROP = text("DELETE FROM outbox WHERE user_id = :user_id AND id = :id")
_UNTOUCHED = text(
    f"SELECT user_id, id, topic, subject_id FROM outbox o WHERE {_TOPICS} AND {_IS_FREE} AND tries = 0 ORDER BY created_at LIMIT :limit"  # noqa: S608
)
