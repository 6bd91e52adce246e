"""Metadata of API keys. The key itself is a signed token and is not stored."""

from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, insert, select, text, update

from parley.db.tables import api_keys
from parley.errors import NotFound


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key. `last_used_at` is accurate to the hour. If a limit is None, the user's limit applies."""

    id: UUID
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    rate_per_minute: int | None
    monthly_budget_usd: Decimal | None


_COLUMNS = [api_keys.c[field.name] for field in fields(ApiKey)]


def add(connection: Connection, key_id: UUID, *, user_id: UUID, **fields: Any) -> ApiKey:
    """Store a new key; `fields` are name, scopes, expires_at, rate_per_minute and monthly_budget_usd."""
    values = {"user_id": user_id, "id": key_id} | fields
    return ApiKey(**connection.execute(insert(api_keys).values(values).returning(*_COLUMNS)).one()._mapping)


def page(connection: Connection, *, user_id: UUID, limit: int, after: UUID | None) -> list[ApiKey]:
    """Return up to `limit` keys that are not revoked and follow the key `after`, newest first."""
    statement = select(*_COLUMNS).where(api_keys.c.user_id == user_id, api_keys.c.revoked_at.is_(None))
    statement = statement.where(api_keys.c.id < after) if after else statement
    return [ApiKey(**row._mapping) for row in connection.execute(statement.order_by(api_keys.c.id.desc()).limit(limit))]


def count(connection: Connection, *, user_id: UUID) -> int:
    """Return the number of the user's keys that are neither revoked nor expired."""
    live = (api_keys.c.user_id == user_id, api_keys.c.revoked_at.is_(None), api_keys.c.expires_at > func.now())
    return connection.execute(select(func.count()).where(*live)).scalar_one()


def revoke(connection: Connection, key_id: UUID, *, user_id: UUID) -> None:
    """Revoke the key with immediate effect, or raise NotFound."""
    which = (api_keys.c.user_id == user_id, api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
    if connection.execute(update(api_keys).where(*which).values(revoked_at=func.now())).rowcount == 0:
        raise NotFound("API key", key_id)


def revoke_all(connection: Connection, *, user_id: UUID) -> int:
    """Revoke all of the user's keys with immediate effect, and return their number."""
    which = (api_keys.c.user_id == user_id, api_keys.c.revoked_at.is_(None))
    return connection.execute(update(api_keys).where(*which).values(revoked_at=func.now())).rowcount


def sweep(connection: Connection) -> int:
    """Delete keys that expired or were revoked over 30 days ago and return their number. Requires the background role."""
    return connection.execute(text("DELETE FROM api_keys WHERE least(expires_at, revoked_at) < now() - interval '30 days'")).rowcount
