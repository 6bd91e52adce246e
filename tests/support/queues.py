"""Call functions as SQS and EventBridge Scheduler do, and read the e-mails that SES accepted."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID
from pydantic import TypeAdapter

from local.template.load import load
from parley.auth.one_time_codes import OneTimeCode
from tests.support.api_gateway import Function, Person

_TEMPLATE = Path(__file__).parents[2] / "template.yaml"


@dataclass(frozen=True)
class SentEmail:
    """An e-mail that SES accepted."""

    sender: str
    to: list[str]
    subject: str
    text: str

    @property
    def code(self) -> OneTimeCode:
        """The one-time code, which is on a separate line of the text."""
        return OneTimeCode.parse(re.findall(r"^[\w-]{43}$", self.text, re.MULTILINE)[0])


@dataclass(frozen=True)
class QueueFunction:
    """The handler of a function with a queue and a schedule."""

    handler: Callable[[dict[str, Any], Any], Any]

    def deliver(self, *messages: Any) -> list[str]:
        """Deliver one batch of messages or raw bodies, and return the positions of those that failed."""
        return self.batch(*(message if isinstance(message, str) else message_body(message) for message in messages))

    def batch(self, *bodies: str) -> list[str]:
        """Deliver one batch of raw bodies, and return the positions of those that failed."""
        records = [{"messageId": str(number), "body": body, "eventSource": "aws:sqs"} for number, body in enumerate(bodies)]
        failed = self.handler({"Records": records}, Function.CONTEXT)["batchItemFailures"]
        return [failure["itemIdentifier"] for failure in failed]

    def drain(self, queue_url: str) -> list[str]:
        """Deliver and delete all messages of a queue, and return their bodies. All messages must succeed."""
        sqs, bodies = boto3.client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages", []):
            bodies += [message["Body"] for message in messages]
            assert self.batch(*(message["Body"] for message in messages)) == []
            for message in messages:
                sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def run_schedule(self) -> dict[str, Any]:
        """Invoke the handler as the schedule does."""
        return self.handler({"version": "0", "source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": {}}, Function.CONTEXT)


class UpkeepFunction(QueueFunction):
    """The upkeep function's handler."""

    def sweep(self) -> dict[str, int | None]:
        """Invoke the handler as the schedule does."""
        return self.run_schedule()

    def recover(self) -> dict[str, int | None]:
        """Invoke the handler with the input that the template defines for the recovery schedule."""
        return self.handler(json.loads(_recovery_input()), Function.CONTEXT)


@cache
def _recovery_input() -> str:
    (schedule,) = [schedule for schedule in load(_TEMPLATE, overrides={}).schedules if schedule.name.endswith("Recovery")]
    return schedule.input or ""


def message_body(message: Any) -> str:
    """Return a message as the JSON body that the queue carries."""
    return json.dumps(TypeAdapter(type(message)).dump_python(message, mode="json"))


def sent_emails() -> list[SentEmail]:
    """Return all e-mails of this test run, oldest first."""
    backend = get_backend("ses")[DEFAULT_ACCOUNT_ID]["eu-west-1"]
    return [SentEmail(sent.source, sent.destinations["ToAddresses"], sent.subject, sent.body) for sent in backend.sent_messages]


def emails_to(address: str) -> list[SentEmail]:
    """Return the e-mails to one address, oldest first."""
    return [email for email in sent_emails() if email.to == [address]]


INGEST_CONTEXT = SimpleNamespace(**vars(Function.CONTEXT) | {"get_remaining_time_in_millis": lambda: 300_000})


@dataclass(frozen=True)
class IngestFunction:
    """The ingest function's handler."""

    handler: Callable[[dict[str, Any], Any], Any]

    def deliver(self, *bodies: str) -> list[str]:
        """Deliver messages, and return the positions of those that failed."""
        records = [{"messageId": str(number), "body": body} for number, body in enumerate(bodies)]
        failed = self.handler({"Records": records}, INGEST_CONTEXT)["batchItemFailures"]
        return [failure["itemIdentifier"] for failure in failed]

    def read(self, owner: Person, document_id: str) -> list[str]:
        """Ingest a document by delivering S3's notification about its file."""
        return self.deliver(s3_notification(owner, document_id))


def s3_notification(owner: Person, document_id: str) -> str:
    """Return S3's notification about a document's file."""
    return json.dumps({"Records": [{"s3": {"object": {"key": f"documents/{owner.id}/{document_id}"}}}]})
