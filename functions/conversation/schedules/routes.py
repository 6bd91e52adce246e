"""The routes of scheduled prompts. They need a login, so that a leaked API key leaves no prompts that run after its end."""

from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field, model_validator

from functions.conversation.schedules.schedules import TooManySchedules, add_schedule, change_schedule, set_alarm
from functions.conversation.services import ConversationServicesDep
from parley.db.schedules import runs, scheduled_prompts
from parley.db.schedules.runs import RunStatus
from parley.db.transactions import principal_scope
from parley.errors import IdempotencyKeyReused, NotFound
from parley.http.dependencies import CurrentPrincipal, Transaction, requires
from parley.http.idempotency import IdempotencyHeader
from parley.http.lazy_routes import LazyRoute
from parley.http.paging import Listing, Page
from parley.http.problems import error_responses
from parley.http.schemas import Input, Output, Timestamp
from parley.schedule_times import InvalidSchedule

Prompt = Annotated[str, Field(min_length=1, max_length=20_000, pattern=r"\S")]
Cron = Annotated[str, Field(max_length=200, examples=["30 7 * * 1-5"])]
Minutes = Annotated[int, Field(ge=1, le=527_040)]
TimeZone = Annotated[str, Field(min_length=1, max_length=60, examples=["Europe/Berlin"])]
_DAY = 1440
ModelName = Annotated[str, Field(min_length=1, max_length=100)]


class ScheduleIn(Input):
    """POST /schedules. `cron` has five fields in the time zone. Without it and `every_minutes`, the prompt runs once a day."""

    prompt: Prompt
    cron: Cron | None = None
    every_minutes: Minutes | None = None
    time_zone: TimeZone = "UTC"
    model: ModelName | None = None
    tools: bool = False
    documents: bool = False
    email: bool = False

    @model_validator(mode="after")
    def _require_times(self) -> Self:
        if self.cron is not None and self.every_minutes is not None:
            raise ValueError("give either cron or every_minutes")
        return self

    def columns(self) -> dict[str, Any]:
        """Return the columns of the prompt."""
        columns = self.model_dump()
        return columns if self.cron is not None or self.every_minutes is not None else columns | {"every_minutes": _DAY}


class ScheduleChange(Input):
    """PATCH /schedules/{id}. Omitted fields stay unchanged; `cron` replaces `every_minutes`, and the other way round."""

    prompt: Prompt | None = None
    cron: Cron | None = None
    every_minutes: Minutes | None = None
    time_zone: TimeZone | None = None
    email: bool | None = None
    enabled: bool | None = None

    @model_validator(mode="after")
    def _require_one_time(self) -> Self:
        if self.cron is not None and self.every_minutes is not None:
            raise ValueError("give either cron or every_minutes")
        return self


class ScheduleOut(Output):
    """A scheduled prompt. It is paused at `paused_at`, by its owner or because its last runs failed, and then has no `next_at`."""

    id: UUID
    prompt: str
    cron: str | None
    every_minutes: int | None
    time_zone: str
    model: str | None
    tools: bool
    documents: bool
    email: bool
    next_at: Timestamp | None
    failures: int
    paused_at: Timestamp | None
    created_at: Timestamp


class RunOut(Output):
    """A run of a scheduled prompt. Its answer is in the conversation; a run that is `waiting` needs approvals of its turn.

    After the approvals, it is `running`, and ends as its turn does.
    """

    id: UUID
    due_at: Timestamp
    status: RunStatus
    conversation_id: UUID | None
    turn_id: UUID | None
    error_code: str | None
    created_at: Timestamp
    finished_at: Timestamp | None


schedules_router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("account"))])


@schedules_router.post(
    "/schedules",
    status_code=201,
    response_model=ScheduleOut,
    responses=error_responses(TooManySchedules, InvalidSchedule, IdempotencyKeyReused),
)
def add(
    body: ScheduleIn, services: ConversationServicesDep, principal: CurrentPrincipal, idempotency: IdempotencyHeader
) -> BaseModel | dict[str, Any]:
    """Schedule a prompt. Each run is a turn in a new conversation, within the user's budget and limits."""
    user_id, request = principal.user_id, idempotency.request("POST /schedules", body, render=ScheduleOut.model_validate)
    with principal_scope(services.engine, principal) as connection:
        result = request.run_once(connection, user_id, lambda: add_schedule(services, connection, user_id=user_id, columns=body.columns()))
    set_alarm(services, result.value)
    return result.response


@schedules_router.get("/schedules")
def list_schedules(principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[ScheduleOut]:
    """List the user's scheduled prompts, newest first."""
    rows = scheduled_prompts.page(transaction, user_id=principal.user_id, limit=page.limit + 1, after=page.after_id())
    return page.listing(rows, to_item=ScheduleOut.model_validate, key=lambda row: [row.id])


@schedules_router.patch("/schedules/{id}", responses=error_responses(NotFound, InvalidSchedule))
def change_scheduled_prompt(id: UUID, body: ScheduleChange, services: ConversationServicesDep, principal: CurrentPrincipal) -> ScheduleOut:
    """Change a scheduled prompt, or pause it or enable it again. Enabling it forgets its failures."""
    changes = {name: value for name, value in body.model_dump().items() if value is not None}
    with principal_scope(services.engine, principal) as connection:
        changed = change_schedule(services, connection, id, user_id=principal.user_id, changes=changes)
    set_alarm(services, changed)
    return ScheduleOut.model_validate(changed)


@schedules_router.delete("/schedules/{id}", status_code=204, responses=error_responses(NotFound))
def remove_scheduled_prompt(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> None:
    """Delete a scheduled prompt and the list of its runs. The conversations of its runs stay."""
    scheduled_prompts.remove(transaction, id, user_id=principal.user_id)


@schedules_router.get("/schedules/{id}/runs", responses=error_responses(NotFound))
def list_runs(id: UUID, principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[RunOut]:
    """List the runs of a scheduled prompt of the last 30 days, newest first."""
    user_id = principal.user_id
    scheduled_prompts.get(transaction, id, user_id=user_id)
    rows = runs.page(transaction, id, user_id=user_id, limit=page.limit + 1, after=page.after_id())
    return page.listing(rows, to_item=RunOut.model_validate, key=lambda row: [row.id])
