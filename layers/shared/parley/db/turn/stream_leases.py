"""Leases that limit how many open streams and waiting requests of each kind a user has, across all workers.

A user has a fixed number of slots for each kind, and a lease takes one slot. The primary key ensures that a slot has at most one
lease, so no lock is needed. The lease of a worker that died expires, and the next request can take over its slot.
"""

import time
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import Literal, Self
from uuid import UUID

from sqlalchemy import Connection, Engine, TextClause, text

from parley.auth.principal import Principal
from parley.db.transactions import principal_scope, user_scope
from parley.errors import ParleyError, Unavailable
from parley.ids import new_id

type StreamKind = Literal["answer", "follower", "wait"]

LEASE_S = 30
RENEW_S = 10.0
_MESSAGES: dict[StreamKind, str] = {
    "answer": "You have too many answers in progress. Wait until one ends, or stop one.",
    "follower": "You follow the events of too many turns. Close another stream first.",
    "wait": "Too many of your requests wait for another turn to end. Retry when it has ended.",
}


class TooManyStreams(ParleyError):
    """The user already has the maximum number of open streams of this kind."""

    status, code = 429, "too_many_streams"
    retry_after_s = 5.0
    retryable = True

    def __init__(self, kind: StreamKind, *, limit: int) -> None:
        super().__init__(f"the user has {limit} of the kind {kind!r}")
        self.public_message = _MESSAGES[kind]


class StreamLease:
    """One slot of a user, taken by the first `hold` and released at the end of the `with` block."""

    def __init__(self, engine: Engine, kind: StreamKind, *, user_id: UUID, limit: int, principal: Principal | None = None) -> None:
        """Prepare a lease. If `principal` is given, each renewal raises Unauthorized once its session or API key has ended."""
        self._principal = principal
        self._engine, self._kind, self._user_id, self._limit = engine, kind, user_id, limit
        self._id, self._slot, self._renew_at_s = new_id(), 0, 0.0

    def hold(self) -> None:
        """Take a slot, or renew the lease if it is due. The first call raises TooManyStreams, Unauthorized and Unavailable.

        A later call raises only Unauthorized: a stream that has begun survives a brief outage of the database.
        """
        if not self._slot:
            self._slot = self._take()
        elif time.monotonic() >= self._renew_at_s:
            self._renew()
        else:
            return
        self._renew_at_s = time.monotonic() + RENEW_S

    def release(self) -> None:
        """Free the slot if this lease holds one."""
        if self._slot:
            self._change(_RELEASE)
            self._slot = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()

    def _take(self) -> int:
        # Each attempt may lose a race for its slot to another request of the user.
        for _ in range(self._limit + 1):
            with self._scope() as connection:
                row = connection.execute(_TAKE, self._values() | {"slots": self._limit}).one()
            if row.slot is not None:
                return int(row.slot)
            if not row.has_free:
                break
        raise TooManyStreams(self._kind, limit=self._limit)

    def _scope(self) -> AbstractContextManager[Connection]:
        # `principal_scope` refuses an ended session, and a deleted user, for whom the insert would violate a foreign key.
        return principal_scope(self._engine, self._principal) if self._principal else user_scope(self._engine, self._user_id)

    def _renew(self) -> None:
        if self._principal:
            with suppress(Unavailable), principal_scope(self._engine, self._principal) as connection:
                connection.execute(_RENEW, self._values())
        else:
            self._change(_RENEW)

    def _change(self, statement: TextClause) -> None:
        with suppress(Unavailable), user_scope(self._engine, self._user_id) as connection:
            connection.execute(statement, self._values())

    def _values(self) -> dict[str, object]:
        return {"user_id": self._user_id, "kind": self._kind, "slot": self._slot, "id": self._id, "lease_s": LEASE_S}


_TAKE = text(
    """
    WITH free AS MATERIALIZED (
            SELECT slot FROM generate_series(1, CAST(:slots AS integer)) AS s (slot)
             WHERE NOT EXISTS (SELECT FROM stream_leases l WHERE l.user_id = :user_id AND l.kind = :kind AND l.slot = s.slot
                                                             AND l.expires_at > clock_timestamp())
             ORDER BY random() LIMIT 1
         ),
         taken AS (
            INSERT INTO stream_leases AS l (user_id, kind, slot, id, expires_at)
            SELECT :user_id, :kind, slot, :id, clock_timestamp() + make_interval(secs => :lease_s) FROM free
            ON CONFLICT (user_id, kind, slot) DO UPDATE SET id = EXCLUDED.id, expires_at = EXCLUDED.expires_at
             WHERE l.expires_at <= clock_timestamp()
            RETURNING l.slot
         )
    SELECT (SELECT slot FROM taken) AS slot, EXISTS (SELECT FROM free) AS has_free
    """
)
_RENEW = text(
    """
    UPDATE stream_leases SET expires_at = clock_timestamp() + make_interval(secs => :lease_s)
     WHERE user_id = :user_id AND kind = :kind AND slot = :slot AND id = :id
    """
)
_RELEASE = text("DELETE FROM stream_leases WHERE user_id = :user_id AND kind = :kind AND slot = :slot AND id = :id")
