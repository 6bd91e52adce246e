"""Background jobs: the messages, the SQS queues that carry them, and batch processing.

A job is a JSON object whose `type` names it. Each job may arrive twice and in any order. No job carries a secret: a code
is generated when its email is sent. The ingest queue carries S3's own event notifications, and `IngestQueue` writes the
same form. A failed message is reported by its id and only that message is retried:
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchitemfailures
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import starmap
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from parley.aws.sqs import SqsQueue
from parley.db.outbox import OutboxEntry
from parley.errors import NotFound, ParleyError, Unavailable
from parley.observability import logger

type AccountNoticeKind = Literal["password_changed", "email_changed", "new_api_key"]


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
class AccountNotice:
    """Something has happened to the account whose address this is, or was until then."""

    notice: AccountNoticeKind
    to: str
    type: Literal["note"] = "note"


@dataclass(frozen=True, slots=True)
class CheckTurn:
    """A turn is running: see whether its heart still beats."""

    user_id: UUID
    turn_id: UUID
    type: Literal["watch"] = "watch"


@dataclass(frozen=True, slots=True)
class OutboxJob:
    """An entry of the outbox."""

    user_id: UUID
    entry_id: UUID
    topic: str
    subject_id: UUID | None
    type: Literal["work"] = "work"

    @classmethod
    def of(cls, entry: OutboxEntry) -> Self:
        """Make the message that sends an entry off."""
        return cls(entry.user_id, entry.id, entry.topic, entry.subject_id)


type Job = SignUp | ResetPassword | ChangeEmail | AccountNotice | CheckTurn | OutboxJob


class UnknownJob(ParleyError):
    """A message that none of ours would send."""


class UpkeepQueue(SqsQueue):
    """The way to the upkeep function: the SQS queue with this address."""

    def send(self, message: Job, *, delay_s: float = 0) -> None:
        """Put a message on the queue, to be seen after `delay_s`, 15 minutes at most.

        Raises Unavailable if that fails: then nobody will ever see it.
        """
        self.put(_JOB_JSON.dump_json(message).decode(), delay_s=delay_s)

    def send_later(self, message: Job, *, delay_s: float = 0) -> None:
        """Put a message on the queue, or log that it failed: for what has been committed, and must not look undone.

        Entries of the outbox are sent again by the sweep; a note is lost.
        """
        try:
            self.send(message, delay_s=delay_s)
        except Unavailable:
            logger.exception("upkeep cannot be told", message_type=message.type)


def parse_job(body: str) -> Job:
    """Read what `send` wrote, or raise UnknownMessage, which does not repeat the body."""
    try:
        return _JOB_JSON.validate_json(body)
    except ValidationError as exc:
        raise UnknownJob(str(exc)) from exc


# Inputs stay out of the errors: they hold addresses, and errors are logged.
_JOB_JSON: TypeAdapter[Job] = TypeAdapter(
    Annotated[SignUp | ResetPassword | ChangeEmail | AccountNotice | CheckTurn | OutboxJob, Field(discriminator="type")],
    config=ConfigDict(hide_input_in_errors=True),
)


# A burst of turns is remembered together. Within the quarter of an hour after which an entry counts as lost.
TOPIC_DELAYS_S: dict[str, float] = {"remember": 120}


class MemoryQueue(UpkeepQueue):
    """The way to the summarize function: the SQS queue with this address."""

    def send_entry(self, entry: OutboxEntry, *, at_once: bool = False) -> None:
        """Put an entry of the outbox on the queue, or log that it failed: the sweep sends it again.

        What is to be remembered is seen two minutes later, unless `at_once`.
        """
        self.send_later(OutboxJob.of(entry), delay_s=0 if at_once else TOPIC_DELAYS_S.get(entry.topic, 0))


DOCUMENTS_PREFIX = "documents"


def document_key(user_id: UUID, document_id: UUID) -> str:
    """Return where a document's file lies in the bucket."""
    return f"{DOCUMENTS_PREFIX}/{user_id}/{document_id}"


class IngestQueue(SqsQueue):
    """The way to the ingest function: the SQS queue with this address."""

    def send(self, document_id: UUID, *, user_id: UUID, delay_s: float = 0) -> None:
        """Have a document taken up, after `delay_s`, 15 minutes at most. Raises Unavailable."""
        self.put(_s3_event(user_id, document_id), delay_s=delay_s)

    def send_all(self, found: Iterable[tuple[UUID, UUID]]) -> int:
        """Have many taken up, each named by its user and itself, and return how many. Raises Unavailable if one may be lost."""
        return self.put_all(starmap(_s3_event, found))


def _s3_event(user_id: UUID, document_id: UUID) -> str:
    return json.dumps({"Records": [{"s3": {"object": {"key": document_key(user_id, document_id)}}}]})


type BatchFailures = dict[str, list[dict[str, str]]]


def process_jobs(records: Iterable[dict[str, Any]], *, handle: Callable[[Job], None]) -> BatchFailures:
    """Do every message of the upkeep's kind and return the ids of those that failed, in the form that SQS's event source reads."""
    return process_messages(records, handle=lambda body: handle(parse_job(body)))


def process_messages(records: Iterable[dict[str, Any]], *, handle: Callable[[str], None]) -> BatchFailures:
    """Do the same for messages of any kind, which are handed over as they are."""
    failed = [record["messageId"] for record in records if not _is_processed(record, handle)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _is_processed(record: dict[str, Any], handle: Callable[[str], None]) -> bool:
    message_id = record["messageId"]
    try:
        handle(record["body"])
    except NotFound as gone:
        logger.info("work came too late", message_id=message_id, reason=str(gone))
    except Exception:
        # Never with the body: it may hold an address.
        logger.exception("work failed", message_id=message_id)
        return False
    else:
        logger.info("work done", message_id=message_id)
    return True
