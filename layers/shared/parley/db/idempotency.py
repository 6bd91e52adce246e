"""Responses stored under their `Idempotency-Key`, so that a repeated request runs once."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, and_, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from parley.db.tables import idempotency_keys


@dataclass(frozen=True, slots=True)
class IdempotentResponse:
    """The fingerprint and the response of the first request with a key. `response` is None until it is stored."""

    fingerprint: bytes
    response: dict[str, Any] | None


def claim(
    connection: Connection, key: str, *, user_id: UUID, route: str, fingerprint: bytes, running_s: float | None = None
) -> IdempotentResponse | None:
    """Claim the key for this request, or return the first request's stored response.

    None means that this request is the first: it must call `store_response` in the same transaction. A repeat that
    arrives while the first request is still running waits for its commit.

    With `running_s`, the transaction commits before the work begins. Until the response is stored, a repeat gets an
    `IdempotentResponse` whose `response` is None. If the work has not ended after `running_s` seconds, its worker has died and the
    key can be claimed again.
    """
    _drop_expired(connection, key, user_id=user_id, route=route)
    values = {"user_id": user_id, "route": route, "key": key, "fingerprint": fingerprint}
    running_until = func.now() + timedelta(seconds=running_s) if running_s is not None else None
    statement = upsert(idempotency_keys).values(values | {"running_until": running_until})
    while True:
        if connection.execute(statement.on_conflict_do_nothing().returning(idempotency_keys.c.key)).one_or_none():
            return None
        # The first request may have failed and released the key since: then this one is the first.
        if first := _stored(connection, key, user_id=user_id, route=route):
            return first


def store_response(connection: Connection, key: str, *, user_id: UUID, route: str, response: dict[str, Any]) -> None:
    """Store the response of the request that claimed the key."""
    connection.execute(update(idempotency_keys).where(*_matches_key(key, user_id, route)).values(answer=response))


def release(connection: Connection, key: str, *, user_id: UUID, route: str) -> None:
    """Delete the claim of a request that failed, so that a repeat runs."""
    is_running = idempotency_keys.c.answer.is_(None)
    connection.execute(delete(idempotency_keys).where(*_matches_key(key, user_id, route), is_running))


def sweep(connection: Connection) -> int:
    """Delete keys older than 24 hours and return their number. Requires the background role."""
    return connection.execute(text("DELETE FROM idempotency_keys WHERE created_at < now() - interval '24 hours'")).rowcount


def _stored(connection: Connection, key: str, *, user_id: UUID, route: str) -> IdempotentResponse | None:
    columns = idempotency_keys.c
    statement = select(columns.fingerprint, columns.answer.label("response")).where(*_matches_key(key, user_id, route))
    row = connection.execute(statement).one_or_none()
    return IdempotentResponse(**row._mapping) if row else None


def _drop_expired(connection: Connection, key: str, *, user_id: UUID, route: str) -> None:
    is_old = idempotency_keys.c.created_at < text("now() - interval '24 hours'")
    is_abandoned = and_(idempotency_keys.c.answer.is_(None), idempotency_keys.c.running_until < func.now())
    connection.execute(delete(idempotency_keys).where(*_matches_key(key, user_id, route), or_(is_old, is_abandoned)))


def _matches_key(key: str, user_id: UUID, route: str) -> tuple[Any, ...]:
    columns = idempotency_keys.c
    return columns.user_id == user_id, columns.route == route, columns.key == key
