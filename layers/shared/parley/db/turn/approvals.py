"""Approvals: the tool calls of a turn that wait for the user's decision."""

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
    """A call, and what was decided; None until it was. `asked_by` is the number of the `turn.waiting` that asked."""

    call_id: str
    name: str
    arguments: Mapping[str, Any]
    is_approved: bool | None = None
    asked_by: int = 0


def list_for_turn(connection: Connection, turn_id: UUID, *, user_id: UUID) -> list[Approval]:
    """Return all that a turn ever asked for, in the order of the calls."""
    columns = [approvals.c[name] for name in Approval.__dataclass_fields__]
    statement = (
        select(*columns)
        .where(approvals.c.user_id == user_id, approvals.c.turn_id == turn_id)
        .order_by(approvals.c.asked_by, approvals.c.place)
    )
    return [Approval(**row._mapping) for row in connection.execute(statement)]


def decide(connection: Connection, turn_id: UUID, call_id: str, *, user_id: UUID, is_approved: bool) -> bool:
    """Note the word about a call and return it; where one was given before, return that and change nothing. Raises NotFound.

    The turn must be locked: who decides last is to know it.
    """
    values = {"user_id": user_id, "turn_id": turn_id, "call_id": call_id, "is_approved": is_approved}
    found = connection.execute(_DECIDE, values).scalar_one_or_none()
    if found is None:
        raise NotFound("call", call_id)
    return bool(found)


def approvals_json(asked: Sequence[Approval]) -> str:
    """Write calls as the parameter `:approvals` of the statement that asks for them."""
    return json.dumps([{"call_id": one.call_id, "name": one.name, "arguments": one.arguments} for one in asked])


_DECIDE = text(
    """
    UPDATE approvals SET is_approved = coalesce(is_approved, :is_approved), decided_at = coalesce(decided_at, clock_timestamp())
     WHERE user_id = :user_id AND turn_id = :turn_id AND call_id = :call_id
    RETURNING is_approved
    """
)
REQUESTS_CTE = """
        asked AS (
            INSERT INTO approvals (user_id, turn_id, call_id, asked_by, place, name, arguments)
            SELECT CAST(:user_id AS uuid), CAST(:turn_id AS uuid), one.call_id, CAST(:last_event AS integer), n, one.name, one.arguments
              FROM paused, ROWS FROM (jsonb_to_recordset(CAST(:approvals AS jsonb)) AS (arguments jsonb, call_id text, name text))
                   WITH ORDINALITY AS one (arguments, call_id, name, n)
            ON CONFLICT (user_id, turn_id, call_id) DO NOTHING
        )"""
