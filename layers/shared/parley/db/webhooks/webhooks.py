"""Web hooks: addresses to which a user's events are sent, with the encrypted secrets that sign them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, literal_column, select, update

from parley.db.tables import webhooks
from parley.errors import NotFound

# The most web hooks of a user.
MAX_WEBHOOKS = 10

type WebhookEvent = Literal["turn.waiting_for_approval", "schedule.ended", "budget.warning"]


@dataclass(frozen=True, slots=True)
class Webhook:
    """A web hook without its secret. `failures` counts the deliveries in a row that were given up."""

    id: UUID
    url: str
    events: Sequence[WebhookEvent]
    failures: int
    disabled_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """The address of a web hook and its encrypted secrets. For a day after a rotation, there are two."""

    url: str
    secrets: Sequence[bytes]


_COLUMNS = [webhooks.c[field.name] for field in fields(Webhook)]
_PREVIOUS_SECRET = literal_column(
    "CASE WHEN rotated_at > now() - interval '24 hours' THEN previous_secret END", type_=webhooks.c.previous_secret.type
).label("previous_secret")


def add(connection: Connection, webhook_id: UUID, *, user_id: UUID, url: str, events: Sequence[WebhookEvent], secret: bytes) -> Webhook:
    """Store a web hook."""
    values = {"user_id": user_id, "id": webhook_id, "url": url, "events": list(events), "secret": secret}
    return Webhook(**connection.execute(insert(webhooks).values(values).returning(*_COLUMNS)).one()._mapping)


def count(connection: Connection, *, user_id: UUID) -> int:
    """Return the number of the user's web hooks."""
    return connection.execute(select(func.count()).where(webhooks.c.user_id == user_id)).scalar_one()


def page(connection: Connection, *, user_id: UUID, limit: int, after: UUID | None) -> list[Webhook]:
    """Return up to `limit` of the user's web hooks that follow the web hook `after`, newest first."""
    statement = select(*_COLUMNS).where(webhooks.c.user_id == user_id)
    statement = statement.where(webhooks.c.id < after) if after else statement
    return [Webhook(**row._mapping) for row in connection.execute(statement.order_by(webhooks.c.id.desc()).limit(limit))]


def change(
    connection: Connection, webhook_id: UUID, *, user_id: UUID, events: Sequence[WebhookEvent] | None, is_enabled: bool | None
) -> Webhook:
    """Change the events of a web hook, or enable or disable it; None changes nothing. Raises NotFound."""
    values: dict[str, Any] = {"id": webhook_id}
    if events is not None:
        values["events"] = list(events)
    if is_enabled is not None:
        values |= {"disabled_at": None if is_enabled else func.now(), "failures": 0}
    return _update(connection, webhook_id, values, user_id=user_id)


def rotate_secret(connection: Connection, webhook_id: UUID, *, user_id: UUID, secret: bytes) -> Webhook:
    """Replace the secret of a web hook. The replaced secret also signs for 24 hours. Raises NotFound."""
    values = {"previous_secret": webhooks.c.secret, "secret": secret, "rotated_at": func.now()}
    return _update(connection, webhook_id, values, user_id=user_id)


def remove(connection: Connection, webhook_id: UUID, *, user_id: UUID) -> None:
    """Delete a web hook and the log of its deliveries. Raises NotFound."""
    if connection.execute(delete(webhooks).where(*_is_webhook(webhook_id, user_id))).rowcount == 0:
        raise NotFound("web hook", webhook_id)


def get(connection: Connection, webhook_id: UUID, *, user_id: UUID) -> Webhook:
    """Return the web hook, or raise NotFound."""
    row = connection.execute(select(*_COLUMNS).where(*_is_webhook(webhook_id, user_id))).one_or_none()
    if row is None:
        raise NotFound("web hook", webhook_id)
    return Webhook(**row._mapping)


def target(connection: Connection, webhook_id: UUID, *, user_id: UUID) -> WebhookTarget:
    """Return the address of a web hook with its secrets, newest first. Raises NotFound if it is disabled or was deleted."""
    statement = select(webhooks.c.url, webhooks.c.secret, _PREVIOUS_SECRET)
    row = connection.execute(statement.where(*_is_webhook(webhook_id, user_id), webhooks.c.disabled_at.is_(None))).one_or_none()
    if row is None:
        raise NotFound("web hook", webhook_id)
    return WebhookTarget(row.url, [row.secret, *([row.previous_secret] if row.previous_secret else [])])


def count_failure(connection: Connection, webhook_id: UUID, *, user_id: UUID, most: int) -> bool:
    """Count a delivery that was given up. After `most` in a row, disable the web hook, and return True."""
    failures = webhooks.c.failures + 1
    counted = update(webhooks).where(*_is_webhook(webhook_id, user_id), webhooks.c.disabled_at.is_(None)).values(failures=failures)
    row = connection.execute(counted.returning(webhooks.c.failures)).one_or_none()
    if row is None or row.failures < most:
        return False
    connection.execute(update(webhooks).where(*_is_webhook(webhook_id, user_id)).values(disabled_at=func.now()))
    return True


def reset_failures(connection: Connection, webhook_id: UUID, *, user_id: UUID) -> None:
    """Forget the failures of a web hook, because a delivery succeeded."""
    has_failures = webhooks.c.failures > 0
    connection.execute(update(webhooks).where(*_is_webhook(webhook_id, user_id), has_failures).values(failures=0))


def _update(connection: Connection, webhook_id: UUID, values: dict[str, Any], *, user_id: UUID) -> Webhook:
    statement = update(webhooks).where(*_is_webhook(webhook_id, user_id)).values(values).returning(*_COLUMNS)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound("web hook", webhook_id)
    return Webhook(**row._mapping)


def _is_webhook(webhook_id: UUID, user_id: UUID) -> tuple[Any, ...]:
    return webhooks.c.user_id == user_id, webhooks.c.id == webhook_id
