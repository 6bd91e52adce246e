"""Approvals: the user's decisions about a turn's tool calls."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select, text

from parley.db.tables import approvals
from parley.errors import NotFound


@dataclass(frozen=True, slots=True)
class Approval:
    """A tool call that needs approval. `is_approved` is None until the user decides.

    `asked_by` is the number of the `turn.waiting` event that requested the approval.
    """

    call_id: str
    name: str
    arguments: Mapping[str, Any]
    is_approved: bool | None = None
    asked_by: int = 0


def list_for_turn(connection: Connection, turn_id: UUID, *, user_id: UUID) -> list[Approval]:
    """Return every approval that the turn has requested, in the order of the calls."""
    columns = [approvals.c[name] for name in Approval.__dataclass_fields__]
    statement = (
        select(*columns)
        .where(approvals.c.user_id == user_id, approvals.c.turn_id == turn_id)
        .order_by(approvals.c.asked_by, approvals.c.place)
    )
    return [Approval(**row._mapping) for row in connection.execute(statement)]


def decide(connection: Connection, turn_id: UUID, call_id: str, *, user_id: UUID, is_approved: bool) -> bool:
    """Store the decision about a tool call, and return it. If the call is already decided, return the earlier decision.

    The caller must hold the turn's lock, so that exactly one request sees that it made the last decision. Raises NotFound.
    """
    values = {"user_id": user_id, "turn_id": turn_id, "call_id": call_id, "is_approved": is_approved}
    decision = connection.execute(_DECIDE, values).scalar_one_or_none()
    if decision is None:
        raise NotFound("call", call_id)
    return bool(decision)


def approvals_json(requested: Sequence[Approval]) -> str:
    """Return the value of the parameter `:approvals` of `REQUESTS_CTE`."""
    return json.dumps([{"call_id": call.call_id, "name": call.name, "arguments": call.arguments} for call in requested])


_DECIDE = text(
    """
    UPDATE approvals SET is_approved = coalesce(is_approved, :is_approved), decided_at = coalesce(decided_at, clock_timestamp())
     WHERE user_id = :user_id AND turn_id = :turn_id AND call_id = :call_id
    RETURNING is_approved
    """
)
REQUESTS_CTE = """
        requested AS (
            INSERT INTO approvals (user_id, turn_id, call_id, asked_by, place, name, arguments)
            SELECT CAST(:user_id AS uuid), CAST(:turn_id AS uuid), one.call_id, CAST(:last_event AS integer), n, one.name, one.arguments
              FROM paused, ROWS FROM (jsonb_to_recordset(CAST(:approvals AS jsonb)) AS (arguments jsonb, call_id text, name text))
                   WITH ORDINALITY AS one (arguments, call_id, name, n)
            ON CONFLICT (user_id, turn_id, call_id) DO NOTHING
        )"""
