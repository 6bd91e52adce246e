"""Scheduled prompts as their owner sees and changes them."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, update

from parley.db.tables import scheduled_prompts
from parley.errors import NotFound


@dataclass(frozen=True, slots=True)
class ScheduledPrompt:
    """A prompt that runs at times. `failures` counts the failed runs in a row; while it is paused, it has no `next_at`."""

    id: UUID
    prompt: str
    cron: str | None
    every_minutes: int | None
    time_zone: str
    model: str | None
    tools: bool
    documents: bool
    email: bool
    next_at: datetime | None
    failures: int
    paused_at: datetime | None
    created_at: datetime


_COLUMNS = [scheduled_prompts.c[field.name] for field in fields(ScheduledPrompt)]


def add(connection: Connection, schedule_id: UUID, *, user_id: UUID, next_at: datetime, **columns: Any) -> ScheduledPrompt:
    """Store a prompt; `columns` are prompt, cron, every_minutes, time_zone, model, tools, documents and email."""
    values = {"user_id": user_id, "id": schedule_id, "next_at": next_at} | columns
    return ScheduledPrompt(**connection.execute(insert(scheduled_prompts).values(values).returning(*_COLUMNS)).one()._mapping)


def count(connection: Connection, *, user_id: UUID) -> int:
    """Return the number of the user's scheduled prompts."""
    return connection.execute(select(func.count()).where(scheduled_prompts.c.user_id == user_id)).scalar_one()


def get(connection: Connection, schedule_id: UUID, *, user_id: UUID) -> ScheduledPrompt:
    """Return a prompt and lock its row until the transaction ends. Raises NotFound."""
    statement = select(*_COLUMNS).where(*_is_prompt(schedule_id, user_id)).with_for_update()
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound("scheduled prompt", schedule_id)
    return ScheduledPrompt(**row._mapping)


def page(connection: Connection, *, user_id: UUID, limit: int, after: UUID | None) -> list[ScheduledPrompt]:
    """Return up to `limit` of the user's prompts that follow the prompt `after`, newest first."""
    statement = select(*_COLUMNS).where(scheduled_prompts.c.user_id == user_id)
    statement = statement.where(scheduled_prompts.c.id < after) if after else statement
    rows = connection.execute(statement.order_by(scheduled_prompts.c.id.desc()).limit(limit))
    return [ScheduledPrompt(**row._mapping) for row in rows]


def change(connection: Connection, schedule_id: UUID, *, user_id: UUID, changes: dict[str, Any]) -> ScheduledPrompt:
    """Change columns of a prompt. Raises NotFound."""
    values = {"id": schedule_id} | changes
    row = connection.execute(update(scheduled_prompts).where(*_is_prompt(schedule_id, user_id)).values(values).returning(*_COLUMNS))
    if (found := row.one_or_none()) is None:
        raise NotFound("scheduled prompt", schedule_id)
    return ScheduledPrompt(**found._mapping)


def remove(connection: Connection, schedule_id: UUID, *, user_id: UUID) -> None:
    """Delete a prompt and the list of its runs. The conversations of the runs stay. Raises NotFound."""
    if connection.execute(delete(scheduled_prompts).where(*_is_prompt(schedule_id, user_id))).rowcount == 0:
        raise NotFound("scheduled prompt", schedule_id)


def _is_prompt(schedule_id: UUID, user_id: UUID) -> tuple[Any, ...]:
    return scheduled_prompts.c.user_id == user_id, scheduled_prompts.c.id == schedule_id
