"""Approvals: the user's decisions about a turn's tool calls, and their answers to the questions of tools."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select, text

from parley.db.tables import approvals
from parley.errors import NotFound


@dataclass(frozen=True, slots=True)
class Approval:
    """A tool call that needs approval, or a question to the user. `is_approved` and `decided_at` are None until the user decides.

    `asked_by` is the number of the `turn.waiting` event that requested the approval. `question` is None for an approval. For a question,
    it has the `call_id` of the tool call that asks, the `form`, and what an MCP server needs to continue, its `request`. `call_id` is then
    the question's own id, and `answers` are None if the user has not answered.
    """

    call_id: str
    name: str
    arguments: Mapping[str, Any]
    is_approved: bool | None = None
    asked_by: int = 0
    question: Mapping[str, Any] | None = None
    answers: Mapping[str, Any] | None = None
    decided_at: datetime | None = None

    @property
    def form(self) -> Mapping[str, Any] | None:
        """The form of a question, None for an approval."""
        return self.question["form"] if self.question else None


def list_for_turn(connection: Connection, turn_id: UUID, *, user_id: UUID) -> list[Approval]:
    """Return every approval that the turn has requested, in the order of the calls."""
    columns = [approvals.c[name] for name in Approval.__dataclass_fields__]
    statement = (
        select(*columns)
        .where(approvals.c.user_id == user_id, approvals.c.turn_id == turn_id)
        .order_by(approvals.c.asked_by, approvals.c.place)
    )
    return [Approval(**row._mapping) for row in connection.execute(statement)]


def asking_calls(connection: Connection, turn_id: UUID, *, user_id: UUID) -> set[str]:
    """Return the ids of the tool calls whose question to the user is open."""
    listed = list_for_turn(connection, turn_id, user_id=user_id)
    return {approval.question["call_id"] for approval in listed if approval.question and approval.is_approved is None}


def decide(
    connection: Connection, turn_id: UUID, call_id: str, *, user_id: UUID, is_approved: bool, answers: Mapping[str, Any] | None = None
) -> datetime:
    """Store the decision about a tool call, and return its time. An earlier decision, and its time, stay.

    `answers` are those of an approved question.

    The caller must hold the turn's lock, so that exactly one request sees that it made the last decision. Raises NotFound.
    """
    written = None if answers is None else json.dumps(dict(answers))
    values = {"user_id": user_id, "turn_id": turn_id, "call_id": call_id, "is_approved": is_approved, "answers": written}
    decided_at: datetime | None = connection.execute(_DECIDE, values).scalar_one_or_none()
    if decided_at is None:
        raise NotFound("call", call_id)
    return decided_at


def approvals_json(requested: Sequence[Approval]) -> str:
    """Return the value of the parameter `:approvals` of `REQUESTS_CTE`."""
    names = ("call_id", "name", "arguments", "question")
    return json.dumps([{name: getattr(call, name) for name in names} for call in requested])


_DECIDE = text(
    """
    UPDATE approvals SET is_approved = coalesce(is_approved, :is_approved), decided_at = coalesce(decided_at, clock_timestamp()),
           answers = CASE WHEN is_approved IS NULL THEN CAST(:answers AS jsonb) ELSE answers END
     WHERE user_id = :user_id AND turn_id = :turn_id AND call_id = :call_id
    RETURNING decided_at
    """
)
REQUESTS_CTE = """
        requested AS (
            INSERT INTO approvals (user_id, turn_id, call_id, asked_by, place, name, arguments, question)
            SELECT CAST(:user_id AS uuid), CAST(:turn_id AS uuid), one.call_id, CAST(:last_event AS integer), n, one.name, one.arguments,
                   nullif(one.question, 'null')
              FROM paused, ROWS FROM (jsonb_to_recordset(CAST(:approvals AS jsonb))
                                      AS (arguments jsonb, call_id text, name text, question jsonb))
                   WITH ORDINALITY AS one (arguments, call_id, name, question, n)
            ON CONFLICT (user_id, turn_id, call_id) DO NOTHING
        )"""
