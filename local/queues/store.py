"""Standard SQS queues in one SQLite file. A call that has returned survives the death of the process.

Delivery is at least once and roughly in the order of sending, as in SQS. Times are seconds since 1970. All methods must be
called from one thread, except `Disk.flush`.
"""

import base64
import binascii
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.queues.database import Disk, SqliteTransaction, open_database
from local.queues.errors import HandleInvalid, ParameterInvalid, QueueExists, QueueMissing
from local.template.pseudo import queue_arn

MAX_MESSAGE_BYTES = 1_048_576
MAX_DELAY_S = 900
MAX_VISIBILITY_S = 43_200

# The attributes that a queue is created with, with AWS's defaults.
DEFAULT_ATTRIBUTES = {
    "DelaySeconds": "0",
    "MaximumMessageSize": str(MAX_MESSAGE_BYTES),
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "SqsManagedSseEnabled": "true",
    "VisibilityTimeout": "30",
}
_OPTIONAL_ATTRIBUTES = {"Policy", "RedrivePolicy"}


@dataclass(frozen=True)
class SentMessage:
    """An accepted message. `attributes` are message attributes in the format of SendMessage."""

    id: str
    body: str
    attributes: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class ReceivedMessage(SentMessage):
    """A message in flight. The times are None or seconds since 1970."""

    handle: str
    sent_at: float
    receives: int
    first_received_at: float


@dataclass(frozen=True)
class QueueCounts:
    """How many messages can be received, are being processed, and are delayed."""

    visible: int = 0
    in_flight: int = 0
    delayed: int = 0


@dataclass
class _Queue:
    """A queue's attributes, parsed."""

    attributes: dict[str, str]
    created_at: float
    modified_at: float
    dead_letters: str | None = field(init=False)
    max_receives: int = field(init=False)

    def __post_init__(self) -> None:
        self.dead_letters, self.max_receives = _redrive(self.attributes.get("RedrivePolicy", ""))

    def number(self, name: str) -> int:
        return int(self.attributes[name])


class QueueStore:
    """The queues in the file `path`, which is created if missing."""

    def __init__(self, path: Path, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._database = open_database(path)
        self.disk = Disk(path)
        rows = self._database.execute("SELECT name, attributes, created_at, modified_at FROM queues")
        self._queues = {name: _Queue(json.loads(attributes), *times) for name, attributes, *times in rows}

    def close(self) -> None:
        self._database.close()
        self.disk.close()

    def names(self) -> list[str]:
        """Return the names of all queues, sorted."""
        return sorted(self._queues)

    def create(self, name: str, attributes: Mapping[str, str]) -> None:
        """Create a queue unless it exists. Raises `QueueExists` if it exists and one of `attributes` differs."""
        if known := self._queues.get(name):
            if any(known.attributes.get(key) != value for key, value in attributes.items()):
                raise QueueExists
            return
        now = self._now()
        self._save(name, _Queue(self._checked(DEFAULT_ATTRIBUTES | dict(attributes)), now, now))

    def set_attributes(self, name: str, attributes: Mapping[str, str]) -> None:
        """Change attributes of a queue. An empty policy removes it. Raises `QueueMissing` and `ParameterInvalid`."""
        queue = self._queue(name)
        self._save(name, _Queue(self._checked(queue.attributes | dict(attributes)), queue.created_at, self._now()))

    def attributes(self, name: str) -> dict[str, str]:
        """Return all attributes of a queue, with its message counts. Raises `QueueMissing`."""
        queue, counts = self._queue(name), self.counts(name)
        return queue.attributes | {
            "ApproximateNumberOfMessages": str(counts.visible),
            "ApproximateNumberOfMessagesDelayed": str(counts.delayed),
            "ApproximateNumberOfMessagesNotVisible": str(counts.in_flight),
            "CreatedTimestamp": str(int(queue.created_at)),
            "LastModifiedTimestamp": str(int(queue.modified_at)),
            "QueueArn": queue_arn(name),
        }

    def dead_letters(self, name: str) -> str | None:
        """Return the name of the queue's dead-letter queue, if it has one. Raises `QueueMissing`."""
        return self._queue(name).dead_letters

    def receive_wait_s(self, name: str) -> int:
        """Return how long a call of ReceiveMessage waits by default. Raises `QueueMissing`."""
        return self._queue(name).number("ReceiveMessageWaitTimeSeconds")

    def delete_queue(self, name: str) -> None:
        """Delete a queue and its messages. Raises `QueueMissing`."""
        self._queue(name)
        with SqliteTransaction(self._database):
            self._database.execute("DELETE FROM messages WHERE queue = ?", (name,))
            self._database.execute("DELETE FROM queues WHERE name = ?", (name,))
        del self._queues[name]

    def send(
        self, name: str, body: str, *, delay_s: int | None = None, attributes: Mapping[str, Mapping[str, Any]] | None = None
    ) -> SentMessage:
        """Add a message, visible after `delay_s` (default: the queue's delay). Raises `QueueMissing` and `ParameterInvalid`."""
        queue = self._queue(name)
        limit = queue.number("MaximumMessageSize")
        if len(body.encode()) > limit:
            raise ParameterInvalid(f"One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes.")
        delay_s = queue.number("DelaySeconds") if delay_s is None else delay_s
        if not 0 <= delay_s <= MAX_DELAY_S:
            raise ParameterInvalid(
                f"Value {delay_s} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= {MAX_DELAY_S}."
            )
        message, now = SentMessage(str(uuid.uuid4()), body, attributes or {}), self._now()
        self._database.execute(
            "INSERT INTO messages (queue, id, body, attributes, sent_at, visible_at) VALUES (?, ?, ?, ?, ?, ?)",
            (name, message.id, body, json.dumps(message.attributes), now, now + delay_s),
        )
        return message

    def receive(self, name: str, *, count: int, visibility_s: int | None = None) -> list[ReceivedMessage]:
        """Return up to `count` visible messages and hide them for `visibility_s` (default: the queue's timeout).

        Messages that were received too often move to the dead-letter queue; messages older than the retention period are
        deleted. Raises `QueueMissing`.
        """
        queue, now = self._queue(name), self._now()
        hidden_s = queue.number("VisibilityTimeout") if visibility_s is None else visibility_s
        with SqliteTransaction(self._database):
            self._expire(name, queue, now)
            rows = self._database.execute(
                "SELECT position, id, body, attributes, sent_at, receives, first_received_at FROM messages"
                " WHERE queue = ? AND visible_at <= ? ORDER BY position LIMIT ?",
                (name, now, count),
            ).fetchall()
            self._database.executemany(
                "UPDATE messages SET visible_at = ?, receives = receives + 1, first_received_at = ifnull(first_received_at, ?)"
                " WHERE position = ?",
                [(now + hidden_s, now, row[0]) for row in rows],
            )
        return [
            ReceivedMessage(id_, body, json.loads(attributes), _handle(name, id_, receives + 1), sent_at, receives + 1, first or now)
            for _, id_, body, attributes, sent_at, receives, first in rows
        ]

    def delete(self, name: str, handle: str) -> None:
        """Delete a message. Deleting a message twice is allowed. Raises `QueueMissing` and `HandleInvalid`."""
        self._queue(name)
        self._database.execute("DELETE FROM messages WHERE id = ? AND queue = ?", (_message_id(name, handle), name))

    def change_visibility(self, name: str, handle: str, *, visibility_s: int) -> None:
        """Hide a message for `visibility_s` from now on; 0 makes it visible. Raises `QueueMissing` and `HandleInvalid`."""
        self._queue(name)
        if not 0 <= visibility_s <= MAX_VISIBILITY_S:
            raise ParameterInvalid(f"Invalid request, maximum visibility timeout is {MAX_VISIBILITY_S}")
        changed = self._database.execute(
            "UPDATE messages SET visible_at = ? WHERE id = ? AND queue = ?", (self._now() + visibility_s, _message_id(name, handle), name)
        )
        if not changed.rowcount:
            raise HandleInvalid

    def purge(self, name: str) -> None:
        """Delete all messages of a queue. Raises `QueueMissing`."""
        self._queue(name)
        self._database.execute("DELETE FROM messages WHERE queue = ?", (name,))

    def counts(self, name: str) -> QueueCounts:
        """Return the queue's message counts. Raises `QueueMissing`."""
        self._queue(name)
        row = self._database.execute(
            "SELECT count(*) FILTER (WHERE visible_at <= :now), count(*) FILTER (WHERE visible_at > :now AND receives > 0),"
            " count(*) FILTER (WHERE visible_at > :now AND receives = 0) FROM messages WHERE queue = :name",
            {"now": self._now(), "name": name},
        ).fetchone()
        return QueueCounts(*row)

    def seconds_until_visible(self, name: str) -> float | None:
        """Return how long until the queue has a visible message: at most 0 if it has one, None if it has no message at all."""
        (visible_at,) = self._database.execute("SELECT min(visible_at) FROM messages WHERE queue = ?", (name,)).fetchone()
        return None if visible_at is None else visible_at - self._now()

    def _expire(self, name: str, queue: _Queue, now: float) -> None:
        oldest = now - queue.number("MessageRetentionPeriod")
        self._database.execute("DELETE FROM messages WHERE queue = ? AND sent_at <= ?", (name, oldest))
        if queue.dead_letters in self._queues:
            self._database.execute(
                "UPDATE messages SET queue = ? WHERE queue = ? AND visible_at <= ? AND receives >= ?",
                (queue.dead_letters, name, now, queue.max_receives),
            )

    def _queue(self, name: str) -> _Queue:
        if name not in self._queues:
            raise QueueMissing
        return self._queues[name]

    def _checked(self, attributes: dict[str, str]) -> dict[str, str]:
        """Return the attributes without empty policies. Raises for unknown and malformed attributes."""
        for key, value in attributes.items():
            if key not in DEFAULT_ATTRIBUTES and key not in _OPTIONAL_ATTRIBUTES:
                raise ParameterInvalid(f"Unknown Attribute {key}; the emulator has standard queues only.")
            if DEFAULT_ATTRIBUTES.get(key, "").isdecimal() and not value.isdecimal():
                raise ParameterInvalid(f"Invalid value for the parameter {key}.")
        dead_letters, _ = _redrive(attributes.get("RedrivePolicy", ""))
        if dead_letters is not None and dead_letters not in self._queues:
            raise QueueMissing
        return {key: value for key, value in attributes.items() if value or key not in _OPTIONAL_ATTRIBUTES}

    def _save(self, name: str, queue: _Queue) -> None:
        values = (name, json.dumps(queue.attributes), queue.created_at, queue.modified_at)
        self._database.execute("INSERT OR REPLACE INTO queues VALUES (?, ?, ?, ?)", values)
        self._queues[name] = queue


def _redrive(policy: str) -> tuple[str | None, int]:
    """Return the dead-letter queue and the number of receives that a message may have. Raises `ParameterInvalid`."""
    if not policy:
        return None, 0
    try:
        fields = json.loads(policy)
        return str(fields["deadLetterTargetArn"]).rpartition(":")[2], int(fields["maxReceiveCount"])
    except (ValueError, TypeError, KeyError) as error:
        raise ParameterInvalid("Redrive policy does not name deadLetterTargetArn and maxReceiveCount") from error


def _handle(queue: str, message_id: str, receives: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([queue, message_id, receives]).encode()).decode()


def _message_id(queue: str, handle: str) -> str:
    """Return the id of the message that a handle of this queue names. Raises `HandleInvalid`."""
    try:
        name, message_id, _ = json.loads(base64.urlsafe_b64decode(handle))
    except (ValueError, TypeError, binascii.Error) as error:
        raise HandleInvalid from error
    if name != queue or not isinstance(message_id, str):
        raise HandleInvalid
    return message_id
