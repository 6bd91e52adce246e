"""Background jobs: the messages, and the SQS queues that carry them.

A job is a JSON object whose `type` names its kind. A job may arrive twice, and jobs may arrive in any order. No job contains a
secret: a code is generated when its email is sent. The queue of documents and imports carries other messages (`ingest_queue.py`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from parley.aws.sqs import BatchFailures, SqsMessage, SqsQueue, process_messages
from parley.clock import utc_now
from parley.db.outbox import OutboxEntry
from parley.errors import ParleyError, Unavailable
from parley.observability import add_log_context, logger

type AccountNoticeKind = Literal[
    "password_changed",
    "password_changed_keys_revoked",
    "password_reset",
    "email_changed",
    "new_api_key",
    "new_passkey",
    "second_factor_on",
    "second_factor_off",
]
type ScheduleNoticeKind = Literal["ended", "paused"]

# The longest delay of a message in SQS.
MAX_DELAY_S = 900
# A code that a user waits for must not wait for the queue's visibility timeout because SES refused it once.
RETRY_DELAYS_S = (10.0, 60.0, 300.0)
# The delay lets one job read a whole burst of turns, and leaves it five seconds to find facts within 30 s. The first turn of a conversation
# needs a title at once, and the same job reads its facts. Search needs no job: a turn stores its own passages. Summaries can wait.
TOPIC_DELAYS_S: dict[str, float] = {"remember": 25, "summary": 120}


@dataclass(frozen=True, slots=True)
class SignUp:
    """A sign-up was stored: email a code, or a notice if the address already has an account."""

    signup_id: UUID
    type: Literal["sign_up"] = "sign_up"


@dataclass(frozen=True, slots=True)
class ResetPassword:
    """A password reset was requested for this address: email a code if it has an account."""

    email: str
    type: Literal["reset_password"] = "reset_password"


@dataclass(frozen=True, slots=True)
class ChangeEmail:
    """A user requested a new address: email a code to it."""

    user_id: UUID
    new_email: str
    type: Literal["change_email"] = "change_email"


@dataclass(frozen=True, slots=True)
class AccountNotice:
    """An account had a security-relevant change: notify its address, or its previous address if the address changed."""

    notice: AccountNoticeKind
    to: str
    type: Literal["note"] = "note"


@dataclass(frozen=True, slots=True)
class GroupInvitation:
    """An address was invited to a group: tell it by email."""

    to: str
    type: Literal["invitation"] = "invitation"


@dataclass(frozen=True, slots=True)
class CheckTurn:
    """A turn is running: check that its heartbeat continues."""

    user_id: UUID
    turn_id: UUID
    type: Literal["watch"] = "watch"


@dataclass(frozen=True, slots=True)
class OutboxJob:
    """The work that an outbox entry describes."""

    user_id: UUID
    entry_id: UUID
    topic: str
    subject_id: UUID | None
    type: Literal["work"] = "work"

    @classmethod
    def of(cls, entry: OutboxEntry) -> Self:
        """Return the job for an outbox entry."""
        return cls(entry.user_id, entry.id, entry.topic, entry.subject_id)


@dataclass(frozen=True, slots=True)
class DeliverEvent:
    """An event waits for its delivery to a web hook, at `due_at` if given."""

    user_id: UUID
    delivery_id: UUID
    due_at: datetime | None = None
    type: Literal["deliver"] = "deliver"


@dataclass(frozen=True, slots=True)
class RingAlarm:
    """A scheduled prompt is due at `due_at`. `is_set` means that the database knows this message as the alarm that waits."""

    due_at: datetime
    is_set: bool = False
    type: Literal["alarm"] = "alarm"


@dataclass(frozen=True, slots=True)
class ScheduleNotice:
    """A scheduled prompt has an answer, or was paused because its runs failed: tell its user by email."""

    user_id: UUID
    notice: ScheduleNoticeKind
    conversation_id: UUID | None
    type: Literal["schedule"] = "schedule"


type Job = Annotated[
    SignUp
    | ResetPassword
    | ChangeEmail
    | AccountNotice
    | GroupInvitation
    | CheckTurn
    | OutboxJob
    | DeliverEvent
    | RingAlarm
    | ScheduleNotice,
    Field(discriminator="type"),
]

# Errors are logged, so they must not repeat the input, which contains email addresses.
_JOB_JSON: TypeAdapter[Job] = TypeAdapter(Job, config=ConfigDict(hide_input_in_errors=True, defer_build=True))


class UnknownJob(ParleyError):
    """The message is not a valid job."""


def parse_job(body: str) -> Job:
    """Parse a message of `UpkeepQueue.send`. Raises UnknownJob, whose text does not repeat the body."""
    try:
        return _JOB_JSON.validate_json(body)
    except ValidationError as exc:
        raise UnknownJob(str(exc)) from exc


def _job_json(job: Job) -> str:
    return _JOB_JSON.dump_json(job).decode()


class UpkeepQueue(SqsQueue):
    """The SQS queue of the `upkeep` function."""

    def send(self, job: Job, *, delay_s: float = 0) -> None:
        """Send a job, visible after `delay_s` (15 minutes at most). Raises Unavailable if it was not sent."""
        self.put(_job_json(job), delay_s=delay_s)

    def send_at(self, job: Job, due_at: datetime) -> None:
        """Send a job, visible at `due_at`, or after 15 minutes if that is earlier: its handler then calls this method again."""
        self.send(job, delay_s=min(max((due_at - utc_now()).total_seconds(), 0), MAX_DELAY_S))

    def send_later(self, job: Job, *, delay_s: float = 0) -> None:
        """Send a job after a commit, when the request must no longer fail: an error is logged instead of raised.

        The sweep sends lost outbox entries again. A lost account notice is not sent again.
        """
        try:
            self.send(job, delay_s=delay_s)
        except Unavailable:
            logger.exception("job_not_sent", message_type=job.type)

    def retry_soon(self, records: Iterable[dict[str, Any]], failures: BatchFailures) -> None:
        """Deliver failed messages again after `RETRY_DELAYS_S`, by the number of their deliveries so far.

        Later deliveries wait for the queue's visibility timeout, as do all if SQS does not respond.
        """
        failed = {failure["itemIdentifier"] for failure in failures["batchItemFailures"]}
        for record in records:
            count = int(record.get("attributes", {}).get("ApproximateReceiveCount", 0))
            if record["messageId"] in failed and 0 < count <= len(RETRY_DELAYS_S):
                try:
                    self.show_again(record["receiptHandle"], delay_s=RETRY_DELAYS_S[count - 1])
                except Unavailable:
                    logger.warning("job_retry_not_hastened", message_id=record["messageId"])


class MemoryQueue(UpkeepQueue):
    """The SQS queue of the `summarize` function."""

    def send_entry(self, entry: OutboxEntry, *, at_once: bool = False) -> None:
        """Send an outbox entry as a job. An error is only logged, because the sweep sends the entry again.

        The entry is delayed by its topic's `TOPIC_DELAYS_S` unless `at_once`.
        """
        self.send_later(OutboxJob.of(entry), delay_s=0 if at_once else TOPIC_DELAYS_S.get(entry.topic, 0))

    def send_entries(self, entries: Iterable[OutboxEntry]) -> None:
        """Send outbox entries in one call of SQS, each as `send_entry` does.

        The entries of one conversation are one message, with the shortest of their delays, because a job runs all of them.
        """
        by_delay = sorted(entries, key=lambda entry: TOPIC_DELAYS_S.get(entry.topic, 0), reverse=True)
        chosen = {entry.subject_id: entry for entry in by_delay}.values()
        messages = [SqsMessage(_job_json(OutboxJob.of(entry)), TOPIC_DELAYS_S.get(entry.topic, 0)) for entry in chosen]
        try:
            self.put_all(messages)
        except Unavailable:
            logger.exception("job_not_sent", message_type="work")


def process_jobs(records: Iterable[dict[str, Any]], *, handle: Callable[[Job], None]) -> BatchFailures:
    """Parse and handle each record's job, and return the failed messages in the form that Lambda's SQS event source reads."""

    def handle_body(body: str) -> None:
        job = parse_job(body)
        if not isinstance(job, SignUp | ResetPassword | AccountNotice | GroupInvitation | RingAlarm):
            add_log_context(user_id=job.user_id, turn_id=job.turn_id if isinstance(job, CheckTurn) else None)
        handle(job)

    return process_messages(records, handle=handle_body)
