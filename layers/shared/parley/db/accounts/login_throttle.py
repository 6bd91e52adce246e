"""The login throttle: buckets that fill with each password attempt and leak with time, one row each.

The generic cell rate algorithm (GCRA, ITU-T I.371): a row stores the time from which its bucket is empty again. An
attempt advances that time by one interval and is refused once the burst is used up. One statement takes from all buckets,
each only if the bucket before it had room, so parallel attempts can never exceed the limit. A bucket's key is a hash: the
table reveals no email address.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from sqlalchemy import Connection, delete, text

from parley.db.tables import guesses

_WAIT = """
    SELECT max(extract(epoch FROM g.free_at - clock_timestamp()) - b.room)
      FROM guesses g JOIN (VALUES {rooms}) AS b (key, room) ON g.key = b.key
"""
# NIST SP 800-63B-4, 3.2.2: at most 100 wrong guesses in a row.
SLOW_AFTER_ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class ThrottleBucket:
    """Room for `burst` guesses; each is given back after `every_s` seconds, or `slow_s` once there were 100 in a row."""

    key: bytes
    burst: int
    every_s: float
    slow_s: float

    @classmethod
    def of(cls, kind: str, subject: str, *, burst: int, window_s: float, slow_s: float | None = None) -> Self:
        """Make the bucket of a `kind` for a `subject` that lets `burst` through in `window_s` seconds."""
        every_s = window_s / burst
        return cls(hashlib.sha256(f"{kind}:{subject}".encode()).digest(), burst, every_s, slow_s or every_s)


def take(connection: Connection, buckets: Sequence[ThrottleBucket]) -> float | None:
    """Count a guess in each bucket, in order; return None, or after how many seconds it may be tried again.

    A bucket is only touched if those before it had room.
    """
    is_let_in = (
        connection.execute(text(take_statement([f":key{number}" for number in range(len(buckets))])), take_parameters(buckets))
        .one()
        .is_let_in
    )
    return None if is_let_in else wait_s(connection, buckets)


def wait_s(connection: Connection, buckets: Sequence[ThrottleBucket]) -> float:
    """Return after how many seconds every bucket has room.

    A statement of its own: the one that was refused cannot see what others took while it waited for them.
    """
    rooms = ", ".join(f"(:key{number}, :room{number})" for number in range(len(buckets)))
    found = connection.execute(text(_WAIT.format(rooms=rooms)), take_parameters(buckets)).scalar_one()
    return max(float(found or 0), 1.0)


def reset(connection: Connection, keys: Sequence[bytes]) -> None:
    """Empty the buckets."""
    connection.execute(delete(guesses).where(guesses.c.key.in_(keys)))


def sweep(connection: Connection) -> int:
    """Delete the buckets that have been empty for a month; return how many."""
    return connection.execute(text("DELETE FROM guesses WHERE free_at < now() - interval '30 days'")).rowcount


def take_statement(keys: Sequence[str], *, ctes: str = "", columns: str = "") -> str:
    """Write the SQL that takes from buckets whose keys are these expressions.

    `who` are CTEs to stand before, `chosen` more columns and a FROM.
    """
    steps = ", ".join(_take_cte(number, key) for number, key in enumerate(keys))
    return f"WITH {ctes} {steps} SELECT EXISTS (SELECT FROM taken{len(keys) - 1}) AS is_let_in {columns}"  # noqa: S608 - our own texts


def take_parameters(buckets: Sequence[ThrottleBucket]) -> dict[str, bytes | float]:
    """Return the values that `statement` asks for."""
    values: dict[str, bytes | float] = {"in_a_row": SLOW_AFTER_ATTEMPTS}
    for number, bucket in enumerate(buckets):
        values |= {f"key{number}": bucket.key, f"room{number}": (bucket.burst - 1) * bucket.every_s}
        values |= {f"every{number}": bucket.every_s, f"slow{number}": bucket.slow_s}
    return values


def _take_cte(number: int, key: str) -> str:
    # The clock, not now(): a guess that waited for others is judged by the moment that it is counted at.
    condition = f"WHERE EXISTS (SELECT FROM taken{number - 1})" if number else ""
    return f"""
        taken{number} AS (
            INSERT INTO guesses AS g (key, free_at)
            SELECT {key}, clock_timestamp() + make_interval(secs => :every{number}) {condition}
            ON CONFLICT (key) DO UPDATE
               SET free_at = greatest(g.free_at, clock_timestamp())
                             + make_interval(secs => CASE WHEN g.in_a_row >= :in_a_row THEN :slow{number} ELSE :every{number} END),
                   in_a_row = g.in_a_row + 1
             WHERE g.free_at <= clock_timestamp() + make_interval(secs => :room{number})
            RETURNING g.key
        )"""  # noqa: S608 - numbers and our own texts
