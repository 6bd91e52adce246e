"""Turns: one question and how its answer went. A message of a turn is stored by the statement that moves the turn on."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, exists, func, insert, literal, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from parley.db import messages
from parley.db.tables import turns
from parley.errors import NotFound

type TurnStatus = Literal["running", "completed", "interrupted", "failed"]


def start(
    connection: Connection,
    turn_id: UUID,
    *,
    user_id: UUID,
    conversation_id: UUID,
    model: str,
    question_id: UUID,
    parts: Sequence[Mapping[str, Any]],
    tokens: int,
) -> None:
    """Store the question and its running turn. Raises NotFound if there is no such conversation."""
    asking = messages.adding(question_id, user_id=user_id, conversation_id=conversation_id, role="user", parts=parts, tokens=tokens)
    asked = asking.cte("asked")
    values = {"id": turn_id, "user_id": user_id, "conversation_id": conversation_id, "model": model}
    columns = [literal(value, turns.c[name].type) for name, value in values.items()]
    statement = insert(turns).from_select([*values, "user_message_id"], select(*columns, asked.c.id)).returning(turns.c.id)
    if connection.execute(statement).one_or_none() is None:
        raise NotFound("conversation", conversation_id)


def fail(connection: Connection, turn_id: UUID, *, user_id: UUID, error_code: str) -> None:
    """Record that a running turn ended without an answer. Raises NotFound if it is gone, with its conversation."""
    if connection.execute(_ending(turn_id, user_id, "failed", {"error_code": error_code})).one_or_none() is None:
        _check(connection, turn_id, user_id)


def answer(
    connection: Connection,
    turn_id: UUID,
    *,
    user_id: UUID,
    conversation_id: UUID,
    status: TurnStatus,
    message_id: UUID,
    parts: Sequence[Mapping[str, Any]],
    model: str,
    tokens: int,
    **fields: Any,
) -> messages.Message:
    """Store the answer of a running turn and how it ended; `fields` are error_code, input_tokens, output_tokens and cost_usd.

    Where that has been done before, nothing changes. Raises NotFound if the turn is gone, with its conversation.
    """
    ended = _ending(turn_id, user_id, status, fields | {"message_id": message_id, "model": model}).cte("ended")
    statement = messages.adding(
        message_id,
        user_id=user_id,
        conversation_id=conversation_id,
        role="assistant",
        parts=parts,
        where=[exists(select(ended.c.id))],
        model=model,
        tokens=tokens,
        status=status,
    )
    row = connection.execute(statement).one_or_none()
    if row is not None:
        return messages.Message(**row._mapping)
    _check(connection, turn_id, user_id)
    return messages.get(connection, message_id, user_id=user_id)


def _ending(turn_id: UUID, user_id: UUID, status: TurnStatus, fields: Mapping[str, Any]) -> ReturningUpdate[Any]:
    which = (turns.c.user_id == user_id, turns.c.id == turn_id, turns.c.status == "running")
    return update(turns).where(*which).values(status=status, ended_at=func.now(), **fields).returning(turns.c.id)


def _check(connection: Connection, turn_id: UUID, user_id: UUID) -> None:
    if connection.execute(select(turns.c.id).where(turns.c.user_id == user_id, turns.c.id == turn_id)).one_or_none() is None:
        raise NotFound("turn", turn_id)
