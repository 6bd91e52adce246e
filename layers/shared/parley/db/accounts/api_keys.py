"""API keys: their metadata. The key itself is a signed token and is not stored."""

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
    """A key that a program calls with. `last_used_at` is true to the hour; without limits of its own it has its user's."""

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
    """Return up to `limit` keys that are not revoked, newest first, from the one after `after` on."""
    statement = select(*_COLUMNS).where(api_keys.c.user_id == user_id, api_keys.c.revoked_at.is_(None))
    statement = statement.where(api_keys.c.id < after) if after else statement
    return [ApiKey(**row._mapping) for row in connection.execute(statement.order_by(api_keys.c.id.desc()).limit(limit))]


def count(connection: Connection, *, user_id: UUID) -> int:
    """Return how many keys of the user work today."""
    live = (api_keys.c.user_id == user_id, api_keys.c.revoked_at.is_(None), api_keys.c.expires_at > func.now())
    return connection.execute(select(func.count()).where(*live)).scalar_one()


def revoke(connection: Connection, key_id: UUID, *, user_id: UUID) -> None:
    """Make the key useless at once, or raise NotFound."""
    which = (api_keys.c.user_id == user_id, api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
    if connection.execute(update(api_keys).where(*which).values(revoked_at=func.now())).rowcount == 0:
        raise NotFound("API key", key_id)


def sweep(connection: Connection) -> int:
    """Delete the keys that ended or were revoked a month ago; return how many. Needs the background role."""
    return connection.execute(text("DELETE FROM api_keys WHERE least(expires_at, revoked_at) < now() - interval '30 days'")).rowcount
