"""The work that requests leave to the upkeep function, and the queue that carries it.

Messages are JSON objects whose `type` says what they are. Each may arrive twice and in any order. None carries a
secret: a code is made where it is mailed.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from parley.db.outbox import Entry
from parley.errors import ParleyError, Unavailable
from parley.observability import logger
from parley.queue import Queue

type Notice = Literal["password_changed", "email_changed", "new_api_key"]


@dataclass(frozen=True, slots=True)
class SignUp:
    """Somebody has signed up: mail a code, or a word to who has an account already."""

    signup_id: UUID
    type: Literal["sign_up"] = "sign_up"


@dataclass(frozen=True, slots=True)
class ResetPassword:
    """Somebody has forgotten the password of the account with this address, if there is one."""

    email: str
    type: Literal["reset_password"] = "reset_password"


@dataclass(frozen=True, slots=True)
class ChangeEmail:
    """A user wants another address: mail a code there."""

    user_id: UUID
    new_email: str
    type: Literal["change_email"] = "change_email"


@dataclass(frozen=True, slots=True)
class Note:
    """Something has happened to the account whose address this is, or was until then."""

    notice: Notice
    to: str
    type: Literal["note"] = "note"


@dataclass(frozen=True, slots=True)
class Watch:
    """A turn is running: see whether its heart still beats."""

    user_id: UUID
    turn_id: UUID
    type: Literal["watch"] = "watch"


@dataclass(frozen=True, slots=True)
class Work:
    """An entry of the outbox."""

    user_id: UUID
    entry_id: UUID
    topic: str
    subject_id: UUID | None
    type: Literal["work"] = "work"

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """Make the message that sends an entry off."""
        return cls(entry.user_id, entry.id, entry.topic, entry.subject_id)


type Message = SignUp | ResetPassword | ChangeEmail | Note | Watch | Work


class UnknownMessage(ParleyError):
    """A message that none of ours would send."""


class UpkeepQueue(Queue):
    """The way to the upkeep function: the SQS queue with this address."""

    def send(self, message: Message, *, delay_s: float = 0) -> None:
        """Put a message on the queue, to be seen after `delay_s`, 15 minutes at most.

        Raises Unavailable if that fails: then nobody will ever see it.
        """
        self.put(_JSON.dump_json(message).decode(), delay_s=delay_s)

    def send_later(self, message: Message, *, delay_s: float = 0) -> None:
        """Put a message on the queue, or log that it failed: for what has been committed, and must not look undone.

        Entries of the outbox are sent again by the sweep; a note is lost.
        """
        try:
            self.send(message, delay_s=delay_s)
        except Unavailable:
            logger.exception("upkeep cannot be told", message_type=message.type)


def parse(body: str) -> Message:
    """Read what `send` wrote, or raise UnknownMessage, which does not repeat the body."""
    try:
        return _JSON.validate_json(body)
    except ValidationError as exc:
        raise UnknownMessage(str(exc)) from exc


# Inputs stay out of the errors: they hold addresses, and errors are logged.
_JSON: TypeAdapter[Message] = TypeAdapter(
    Annotated[SignUp | ResetPassword | ChangeEmail | Note | Watch | Work, Field(discriminator="type")],
    config=ConfigDict(hide_input_in_errors=True),
)
