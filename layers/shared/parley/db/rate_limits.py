"""Requests a minute: a bucket for each user and each API key that fills with a request and leaks with time.

The generic cell rate algorithm (GCRA, ITU-T I.371), as in `guesses.py`: a row keeps the moment from which its bucket is
empty again. The burst is one minute's allowance, so no window of a minute lets through more than twice of it. The parts
of SQL here are put together in `admissions.py`: one statement takes from all buckets, or from none.
"""

from uuid import UUID

from sqlalchemy import Connection, text


def step(number: int, *, condition: str) -> str:
    """Write the CTE `taken{number}`: it has a row if bucket `number` had room. `allowed` must stand before it."""
    every = f"make_interval(secs => 60.0 / rate{number})"
    chosen = f"(SELECT {every} FROM allowed)"  # noqa: S608 - our own text
    return f"""
        taken{number} AS (
            INSERT INTO rate_limits AS r (user_id, subject_id, free_at)
            SELECT :user_id, :subject{number}, now() + {every} FROM allowed {condition}
            ON CONFLICT (user_id, subject_id) DO UPDATE SET free_at = greatest(r.free_at, now()) + {chosen}
             WHERE r.free_at <= now() + interval '1 minute' - {chosen}
            RETURNING r.subject_id
        )"""  # noqa: S608 - numbers and our own texts


def wait_s(connection: Connection, subjects: dict[UUID, int], *, user_id: UUID) -> float:
    """Return after how many seconds each of the subjects, with its requests a minute, has room again.

    A statement of its own: the one that was refused saw the rows as they had been before it waited for their locks.
    """
    found = connection.execute(_FREE_AT, {"user_id": user_id, "subjects": list(subjects)}).all()
    return max((float(row.seconds) - 60 + 60 / subjects[row.subject_id] for row in found), default=0.0)


def sweep(connection: Connection) -> int:
    """Delete the buckets that are empty; return how many. Needs the background role."""
    return connection.execute(text("DELETE FROM rate_limits WHERE free_at < now() - interval '1 hour'")).rowcount


_FREE_AT = text(
    """
    SELECT subject_id, extract(epoch FROM free_at - clock_timestamp()) AS seconds
      FROM rate_limits WHERE user_id = :user_id AND subject_id = ANY(:subjects)
    """
)
