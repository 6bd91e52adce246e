"""Deliveries: each is one event for one web hook. The rows are both the queue's truth and the log that the user sees.

An event is noted in the transaction in which it happens, and sent after the commit. A delivery is claimed by moving its due time, so a
message that arrives twice sends the event once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, bindparam, select, text, update
from sqlalchemy.dialects.postgresql import JSONB

from parley.db.tables import webhook_deliveries
from parley.db.webhooks.webhooks import MAX_WEBHOOKS, WebhookEvent
from parley.ids import new_id

type DeliveryStatus = Literal["pending", "delivered", "failed"]

_LEASE = "interval '2 minutes'"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as its owner sees it. `due_at` is the time of the next attempt, if there is one."""

    id: UUID
    webhook_id: UUID
    type: WebhookEvent
    status: DeliveryStatus
    attempts: int
    due_at: datetime
    response_status: int | None
    error: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery that this worker attempts. `attempts` includes this one."""

    id: UUID
    webhook_id: UUID
    type: WebhookEvent
    data: Mapping[str, Any]
    attempts: int
    created_at: datetime


_COLUMNS = [webhook_deliveries.c[field.name] for field in fields(Delivery)]
_NOTE = text(
    """
    INSERT INTO webhook_deliveries (user_id, id, webhook_id, type, key, data)
    SELECT w.user_id, (CAST(:ids AS uuid[]))[row_number() OVER (ORDER BY w.id)], w.id, :type, :key, :data
      FROM webhooks w WHERE w.user_id = :user_id AND w.disabled_at IS NULL AND :type = ANY(w.events)
    ON CONFLICT (user_id, webhook_id, key) DO NOTHING
    RETURNING id
    """
).bindparams(bindparam("data", type_=JSONB))
_CLAIM = text(
    f"""
    UPDATE webhook_deliveries SET attempts = attempts + 1, due_at = now() + {_LEASE}
     WHERE user_id = :user_id AND id = :id AND status = 'pending' AND due_at <= now() + interval '1 second'
    RETURNING id, webhook_id, type, data, attempts, created_at
    """  # noqa: S608 - a constant
)
# A minute later than its message: only a lost message leaves a delivery that long.
_TAKE_LOST = text(
    """
    WITH lost AS (
        SELECT user_id, id FROM webhook_deliveries WHERE status = 'pending' AND due_at < now() - interval '1 minute'
         ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    UPDATE webhook_deliveries d SET due_at = now() FROM lost WHERE d.user_id = lost.user_id AND d.id = lost.id
    RETURNING d.user_id, d.id
    """
)

# A warning's row keeps it from being noted a second time in its month.
_SWEEP = text(
    """
    DELETE FROM webhook_deliveries
     WHERE created_at < now() - CASE WHEN type = 'budget.warning' THEN interval '32 days' ELSE interval '7 days' END
    """
)


def note(connection: Connection, type: WebhookEvent, *, user_id: UUID, key: str, data: Mapping[str, Any]) -> list[UUID]:
    """Store a delivery for each enabled web hook that wants the event, and return their ids. The caller sends them after the commit.

    An event that was noted under this key before is not noted again.
    """
    values: dict[str, Any] = {"user_id": user_id, "type": type, "key": f"{type} {key}", "data": dict(data)}
    values["ids"] = [new_id() for _ in range(MAX_WEBHOOKS)]
    return list(connection.execute(_NOTE, values).scalars())


def claim(connection: Connection, delivery_id: UUID, *, user_id: UUID) -> ClaimedDelivery | None:
    """Claim a due delivery for two minutes. Returns None if it has ended, is not due, or another worker attempts it."""
    row = connection.execute(_CLAIM, {"user_id": user_id, "id": delivery_id}).one_or_none()
    return ClaimedDelivery(**row._mapping) if row else None


def end_attempt(
    connection: Connection,
    delivery_id: UUID,
    *,
    user_id: UUID,
    status: DeliveryStatus,
    due_at: datetime,
    response_status: int | None,
    error: str | None,
) -> None:
    """Store the result of an attempt. A delivery that stays pending is due again at `due_at`."""
    values = {"status": status, "due_at": due_at, "response_status": response_status, "error": error}
    which = (webhook_deliveries.c.user_id == user_id, webhook_deliveries.c.id == delivery_id)
    connection.execute(update(webhook_deliveries).where(*which).values(values))


def page(connection: Connection, webhook_id: UUID, *, user_id: UUID, limit: int, after: UUID | None) -> list[Delivery]:
    """Return up to `limit` deliveries of a web hook that follow the delivery `after`, newest first."""
    columns = webhook_deliveries.c
    statement = select(*_COLUMNS).where(columns.user_id == user_id, columns.webhook_id == webhook_id)
    statement = statement.where(columns.id < after) if after else statement
    return [Delivery(**row._mapping) for row in connection.execute(statement.order_by(columns.id.desc()).limit(limit))]


def take_lost(connection: Connection, *, limit: int) -> list[tuple[UUID, UUID]]:
    """Return up to `limit` deliveries whose message was lost, as (user id, id), to send them again. Requires the background role."""
    return [(row.user_id, row.id) for row in connection.execute(_TAKE_LOST, {"limit": limit})]


def sweep(connection: Connection) -> int:
    """Delete deliveries older than seven days, and warnings older than any month; return their number. Requires the background role."""
    return connection.execute(_SWEEP).rowcount
