"""Runs a scheduled prompt as a turn in a new conversation. The upkeep function invokes this without waiting.

The run's id is the turn's idempotency key, and a running run is the turn's credential: a run that is started twice takes one turn, and a
run of a deleted prompt or a disabled account takes none.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from functions.chat.services import ChatServices
from functions.chat.turn.events import NumberedEvent, Ping, TurnCompleted, TurnStopped, TurnWaiting
from functions.chat.turn.question import Question
from functions.chat.turn.run import take_turn
from parley.auth.principal import DEFAULT_API_KEY_SCOPES, Principal
from parley.clock import utc_now
from parley.db.schedules import runs
from parley.db.schedules.runs import ClaimedRun, RunEnd
from parley.db.transactions import user_scope
from parley.db.turn.turn_begin import IdempotencyKey
from parley.db.webhooks import deliveries
from parley.deadline import Deadline
from parley.errors import ParleyError, Unavailable
from parley.jobs import DeliverEvent, ScheduleNotice, ScheduleNoticeKind
from parley.observability import add_log_context, logger

_ENDS: dict[str, RunEnd] = {TurnCompleted.name: "completed", TurnStopped.name: "completed", TurnWaiting.name: "waiting"}


class ScheduledRunEvent(BaseModel):
    """The event with which the upkeep function starts a run."""

    op: str
    user_id: UUID
    run_id: UUID


class _Outcome:
    """The result of a run so far: the ids of its turn, and how the turn ended."""

    def __init__(self) -> None:
        self.conversation_id: UUID | None = None
        self.turn_id: UUID | None = None
        self.status: RunEnd = "failed"
        self.error_code: str | None = None

    def add(self, event: NumberedEvent | Ping) -> None:
        """Note what an event of the turn tells about the result."""
        if isinstance(event, Ping):
            return
        name, data = event.event.name, event.event.data()
        if name == "turn.started":
            self.conversation_id, self.turn_id = UUID(data["conversation_id"]), UUID(data["turn_id"])
        elif name.startswith("turn."):
            self.status = _ENDS.get(name, "failed")
            self.error_code = None if name in _ENDS else str(data.get("code") or data.get("reason") or "failed")


def run_scheduled(services: ChatServices, event: dict[str, Any], deadline: Deadline) -> dict[str, str]:
    """Claim a run, take its turn, and store the result. Returns the run's status, or `skipped` if it is not to be run.

    Raises ValidationError for another event, and Unavailable while the database is away; the run is then started again later.
    """
    request = ScheduledRunEvent.model_validate(event)
    add_log_context(user_id=request.user_id)
    with user_scope(services.engine, request.user_id) as connection:
        claimed = runs.claim(connection, request.run_id, user_id=request.user_id, lease_s=deadline.left_s + 30)
    if claimed is None:
        return {"status": "skipped"}
    outcome = _take_turn(services, request.user_id, claimed, deadline)
    _store(services, request.user_id, claimed, outcome)
    logger.info("scheduled_run_ended", run_id=str(claimed.id), status=outcome.status, problem=outcome.error_code)
    return {"status": outcome.status}


def _take_turn(services: ChatServices, user_id: UUID, claimed: ClaimedRun, deadline: Deadline) -> _Outcome:
    principal = Principal(user_id, None, None, DEFAULT_API_KEY_SCOPES, utc_now() + timedelta(hours=1), run_id=claimed.id)
    question = Question(claimed.prompt, model=claimed.model, tools=claimed.tools, documents=claimed.documents)
    key = IdempotencyKey("schedule", str(claimed.id), claimed.id.bytes)
    outcome = _Outcome()
    try:
        for event in take_turn(services, principal, question, deadline=deadline, idempotency_key=key, joins_after=0):
            outcome.add(event)
    except Unavailable:
        raise
    except ParleyError as exc:
        outcome.error_code = exc.code
    return outcome


def _store(services: ChatServices, user_id: UUID, claimed: ClaimedRun, outcome: _Outcome) -> None:
    ids = {"conversation_id": outcome.conversation_id, "turn_id": outcome.turn_id}
    with user_scope(services.engine, user_id) as connection:
        ended = runs.end(connection, claimed.id, user_id=user_id, status=outcome.status, error_code=outcome.error_code, **ids)
        if ended is None:
            return
        data = {name: id and str(id) for name, id in ids.items()}
        data |= {
            "schedule_id": str(ended.schedule_id),
            "run_id": str(claimed.id),
            "status": outcome.status,
            "error_code": outcome.error_code,
        }
        noted = deliveries.note(connection, "schedule.ended", user_id=user_id, key=str(claimed.id), data=data)
    for delivery_id in noted:
        services.queue.send_later(DeliverEvent(user_id, delivery_id))
    if ended.is_paused or (ended.email and outcome.status != "failed"):
        kind: ScheduleNoticeKind = "paused" if ended.is_paused else "ended"
        services.queue.send_later(ScheduleNotice(user_id, kind, outcome.conversation_id))
