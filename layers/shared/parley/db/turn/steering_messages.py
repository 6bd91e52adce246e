"""Messages that a user sends to a turn while it runs. The model reads them at the next round of its tool loop."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from parley.db.turn.turns import TurnStatus
from parley.errors import NotFound


@dataclass(frozen=True, slots=True)
class SteeringMessage:
    """A message to a running turn. `id` is chosen by the client, so that a repeated request adds no second message."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class LockedSteering:
    """The status of a turn whose row this transaction has locked, and its messages, oldest first."""

    status: TurnStatus
    messages: list[SteeringMessage]


def lock(connection: Connection, turn_id: UUID, *, user_id: UUID) -> LockedSteering:
    """Lock a turn's row, and return its status and messages. Raises NotFound."""
    row = connection.execute(_LOCK, {"user_id": user_id, "turn_id": turn_id}).one_or_none()
    if row is None:
        raise NotFound("turn", turn_id)
    return LockedSteering(row.status, _messages(row.steering))


def add(connection: Connection, turn_id: UUID, message_id: str, text: str, *, user_id: UUID) -> None:
    """Add a message to a turn whose row the transaction has locked."""
    message = json.dumps([{"id": message_id, "text": text}])
    connection.execute(_ADD, {"user_id": user_id, "turn_id": turn_id, "message": message})


def unread(connection: Connection, turn_id: UUID, *, user_id: UUID, read: Collection[str]) -> list[SteeringMessage]:
    """Return the turn's messages whose ids are not in `read`, oldest first."""
    stored = connection.execute(_READ, {"user_id": user_id, "turn_id": turn_id}).scalar_one_or_none()
    return [message for message in _messages(stored or []) if message.id not in read]


def _messages(stored: list[dict[str, Any]]) -> list[SteeringMessage]:
    return [SteeringMessage(message["id"], message["text"]) for message in stored]


_LOCK = text("SELECT status, steering FROM turns WHERE user_id = :user_id AND id = :turn_id FOR UPDATE")
_ADD = text("UPDATE turns SET steering = steering || CAST(:message AS jsonb) WHERE user_id = :user_id AND id = :turn_id")
_READ = text("SELECT steering FROM turns WHERE user_id = :user_id AND id = :turn_id")
