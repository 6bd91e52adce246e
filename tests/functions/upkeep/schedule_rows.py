"""Scheduled prompts and their runs, stored without their routes."""

from typing import Any
from uuid import UUID

from sqlalchemy import Engine, insert

from parley.clock import utc_now
from parley.db.schedules import scheduled_prompts
from parley.db.tables import schedule_runs
from parley.db.transactions import user_scope
from parley.ids import new_id
from tests.support.api_gateway import Person


def add_schedule(engine: Engine, owner: Person, **columns: Any) -> UUID:
    """Store a prompt of the owner that is due now, and return its id."""
    values = {"prompt": "What is new?", "cron": "0 8 * * *", "every_minutes": None, "time_zone": "UTC", "next_at": utc_now()} | columns
    with user_scope(engine, owner.id) as connection:
        return scheduled_prompts.add(connection, new_id(), user_id=owner.id, **values).id


def add_run(engine: Engine, owner: Person, schedule_id: UUID | str, *, background: Engine | None = None) -> UUID:
    """Store a queued run of a prompt, and return its id. Only the background role may do this."""
    from functions.upkeep.app import services

    run_id = new_id()
    with (background or services.background).begin() as connection:
        values = {"user_id": owner.id, "id": run_id, "schedule_id": schedule_id, "due_at": utc_now()}
        connection.execute(insert(schedule_runs).values(values))
    return run_id
