"""The login throttle: buckets that fill with each password attempt and leak with time. Each bucket is one row.

The algorithm is the generic cell rate algorithm (GCRA, ITU-T I.371): a row stores the time at which its bucket will be empty
again. An attempt advances this time by one interval, and is refused if the bucket is full. One statement counts an attempt in
several buckets in order, and stops at the first full bucket, so concurrent attempts can never exceed the limit. A bucket's key
is a hash, so the table reveals no email address.

All times are the database's, so the clock of a worker changes nothing. If the database's clock is set back, a bucket admits one
attempt and is full after it: it keeps its count, and nobody has to wait until the clock has caught up.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from sqlalchemy import Connection, Engine, delete, text

from parley.db.tables import guesses
from parley.db.transactions import run_global_statement

# How far a clock may go back before it counts as set back.
CLOCK_LEEWAY_S = 60.0
# Whether a bucket is fuller than any attempt can make it: the clock was set back after its last attempt, which took `slow` or `every`.
_IS_OF_LATER_CLOCK = (
    "g.free_at > clock_timestamp() + make_interval("
    "secs => {room} + CASE WHEN g.in_a_row > :in_a_row THEN {slow} ELSE {every} END + :leeway)"
)
_WAIT = f"""
    SELECT max(CASE WHEN {_IS_OF_LATER_CLOCK.format(room="b.room", slow="b.slow", every="b.every")} THEN 0
                    ELSE extract(epoch FROM g.free_at - clock_timestamp()) - b.room END)
      FROM guesses g JOIN (VALUES {{buckets}}) AS b (key, room, every, slow) ON g.key = b.key
"""  # noqa: S608 - constants only
# NIST SP 800-63B-4, 3.2.2: at most 100 failed attempts in a row.
SLOW_AFTER_ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class ThrottleBucket:
    """A bucket with room for `burst` attempts. It leaks one attempt every `every_s` seconds.

    After `SLOW_AFTER_ATTEMPTS` attempts in a row, it leaks only one attempt every `slow_s` seconds.
    """

    key: bytes
    burst: int
    every_s: float
    slow_s: float

    @classmethod
    def of(cls, kind: str, subject: str, *, burst: int, window_s: float, slow_s: float | None = None) -> Self:
        """Return the bucket for a `kind` and a `subject`. It allows `burst` attempts in `window_s` seconds."""
        every_s = window_s / burst
        return cls(hashlib.sha256(f"{kind}:{subject}".encode()).digest(), burst, every_s, slow_s or every_s)


def take(connection: Connection, buckets: Sequence[ThrottleBucket]) -> float | None:
    """Count an attempt in each bucket, in order. Return None if the attempt is allowed, else the seconds to wait before a retry.

    A bucket counts the attempt only if all earlier buckets had room.
    """
    statement = take_statement([f":key{number}" for number in range(len(buckets))])
    is_allowed = connection.execute(text(statement), take_parameters(buckets)).one().is_allowed
    return None if is_allowed else wait_s(connection, buckets)


def give_back(engine: Engine, bucket: ThrottleBucket, *, refunds: ThrottleBucket) -> None:
    """Remove an attempt from `bucket`, and count the removal in the bucket `refunds`. Does nothing if `refunds` is full.

    If the connection breaks, both may happen twice.
    """
    run_global_statement(engine, _GIVE_BACK, **take_parameters([refunds]), bucket=bucket.key, interval=bucket.every_s)


def wait_s(connection: Connection, buckets: Sequence[ThrottleBucket]) -> float:
    """Return the seconds until every bucket has room, at least 1.0.

    This is a separate statement, because the statement that refused cannot see attempts counted while it waited for a lock.
    """
    values = ", ".join(f"(:key{number}, :room{number}, :every{number}, :slow{number})" for number in range(len(buckets)))
    seconds = connection.execute(text(_WAIT.format(buckets=values)), take_parameters(buckets)).scalar_one()
    return max(float(seconds or 0), 1.0)


def reset(connection: Connection, keys: Sequence[bytes]) -> None:
    """Empty the buckets with these keys."""
    connection.execute(delete(guesses).where(guesses.c.key.in_(keys)))


def sweep(connection: Connection) -> int:
    """Delete buckets that have been empty for 30 days and return their number."""
    return connection.execute(text("DELETE FROM guesses WHERE free_at < now() - interval '30 days'")).rowcount


def take_statement(keys: Sequence[str], *, ctes: str = "", columns: str = "") -> str:
    """Return the SQL that counts an attempt in each bucket, in order; `keys` are SQL expressions for the buckets' keys.

    `ctes` precede the generated CTEs; `columns` adds columns and a FROM clause to the final SELECT.
    """
    steps = ", ".join(_take_cte(number, key) for number, key in enumerate(keys))
    return f"WITH {ctes} {steps} SELECT EXISTS (SELECT FROM taken{len(keys) - 1}) AS is_allowed {columns}"  # noqa: S608 - constants only


def take_parameters(buckets: Sequence[ThrottleBucket]) -> dict[str, bytes | float]:
    """Return the parameters of `take_statement` for these buckets."""
    values: dict[str, bytes | float] = {"in_a_row": SLOW_AFTER_ATTEMPTS, "leeway": CLOCK_LEEWAY_S}
    for number, bucket in enumerate(buckets):
        values |= {f"key{number}": bucket.key, f"room{number}": (bucket.burst - 1) * bucket.every_s}
        values |= {f"every{number}": bucket.every_s, f"slow{number}": bucket.slow_s}
    return values


def _take_cte(number: int, key: str) -> str:
    # clock_timestamp(), not now(): an attempt that waited for a lock is judged at the time it is counted.
    condition = f"WHERE EXISTS (SELECT FROM taken{number - 1})" if number else ""
    is_of_later_clock = _IS_OF_LATER_CLOCK.format(room=f":room{number}", slow=f":slow{number}", every=f":every{number}")
    return f"""
        taken{number} AS (
            INSERT INTO guesses AS g (key, free_at)
            SELECT {key}, clock_timestamp() + make_interval(secs => :every{number}) {condition}
            ON CONFLICT (key) DO UPDATE
               SET free_at = least(greatest(g.free_at, clock_timestamp()), clock_timestamp() + make_interval(secs => :room{number}))
                             + make_interval(secs => CASE WHEN g.in_a_row >= :in_a_row THEN :slow{number} ELSE :every{number} END),
                   in_a_row = g.in_a_row + 1
             WHERE g.free_at <= clock_timestamp() + make_interval(secs => :room{number}) OR {is_of_later_clock}
            RETURNING g.key
        )"""  # noqa: S608 - constants only


_GIVE_BACK = text(
    f"""
    WITH {_take_cte(0, ":key0")}, given_back AS (
        UPDATE guesses SET free_at = free_at - make_interval(secs => :interval) WHERE key = :bucket AND EXISTS (SELECT FROM taken0)
    )
    SELECT 1
    """  # noqa: S608 - constants only
)
