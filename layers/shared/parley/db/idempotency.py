"""Answers kept by `Idempotency-Key`, so that a request that is repeated is done once."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from parley.db.tables import idempotency_keys


@dataclass(frozen=True, slots=True)
class IdempotentResponse:
    """What the first request with the key was (its SHA-256), and was answered."""

    fingerprint: bytes
    answer: dict[str, Any] | None


def claim(connection: Connection, key: str, *, user_id: UUID, route: str, fingerprint: bytes) -> IdempotentResponse | None:
    """Return None to the first with the key, who owes an answer, and what is kept to everybody else.

    Whoever comes while the first is still at work waits for its commit.
    """
    _drop_expired(connection, key, user_id=user_id, route=route)
    statement = upsert(idempotency_keys).values(user_id=user_id, route=route, key=key, fingerprint=fingerprint)
    if connection.execute(statement.on_conflict_do_nothing().returning(idempotency_keys.c.key)).one_or_none():
        return None
    columns = idempotency_keys.c
    row = connection.execute(select(columns.fingerprint, columns.answer).where(*_of_key(key, user_id, route))).one()
    return IdempotentResponse(**row._mapping)


def store_response(connection: Connection, key: str, *, user_id: UUID, route: str, answer: dict[str, Any]) -> None:
    """Store the answer, in the transaction of what it tells."""
    connection.execute(update(idempotency_keys).where(*_of_key(key, user_id, route)).values(answer=answer))


def sweep(connection: Connection) -> int:
    """Delete what is older than a day; return how many. Needs the background role."""
    return connection.execute(text("DELETE FROM idempotency_keys WHERE created_at < now() - interval '24 hours'")).rowcount


def _drop_expired(connection: Connection, key: str, *, user_id: UUID, route: str) -> None:
    is_old = idempotency_keys.c.created_at < text("now() - interval '24 hours'")
    connection.execute(delete(idempotency_keys).where(*_of_key(key, user_id, route), is_old))


def _of_key(key: str, user_id: UUID, route: str) -> tuple[Any, ...]:
    columns = idempotency_keys.c
    return columns.user_id == user_id, columns.route == route, columns.key == key
