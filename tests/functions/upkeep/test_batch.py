"""Batches: messages succeed or fail on their own, and the log contains no address."""

import secrets
import time
from dataclasses import replace

import boto3
import pytest
import time_machine
from botocore.exceptions import ClientError

from functions.upkeep.email_templates import RenderedEmail
from functions.upkeep.mailer import Mailer, MailFailed
from parley.db.outbox import OutboxEntry
from parley.errors import Unavailable
from parley.ids import new_id
from parley.jobs import AccountNotice, ChangeEmail, OutboxJob, ResetPassword, UnknownJob, UpkeepQueue
from tests.support.api_gateway import Function
from tests.support.queues import emails_to, message_body

EMAIL = RenderedEmail("Hello", "Hello")


def address():
    return f"{secrets.token_hex(6)}@example.com"


def logged(caplog):
    """Return everything that a log line could show, including extra fields."""
    return caplog.text + "".join(str(vars(record)) for record in caplog.records)


@pytest.mark.parametrize(
    "poison",
    [
        "not JSON",
        '{"type": "dance"}',
        '{"type": "note", "notice": "x", "to": "a@example.com"}',
        message_body(OutboxJob(new_id(), new_id(), "dance", None)),
        message_body(OutboxJob(new_id(), new_id(), "export", None)),
    ],
)
def test_one_poison_message_of_ten_fails_and_nine_are_done_once(upkeep, poison):
    readers = [address() for _ in range(9)]
    bodies = [message_body(AccountNotice("new_api_key", to=reader)) for reader in readers]

    assert upkeep.batch(*bodies[:4], poison, *bodies[4:]) == ["4"]
    assert [len(emails_to(reader)) for reader in readers] == [1] * 9


def test_an_unknown_event_is_refused(upkeep):
    with pytest.raises(UnknownJob):
        upkeep.handler({}, Function.CONTEXT)


def test_the_log_contains_no_code_and_no_address(upkeep, caplog, alice):
    new = address()
    upkeep.deliver(ResetPassword(alice.email), ChangeEmail(alice.id, new), ResetPassword(address()), f'{{"type":"note","to":"{new}"}}')
    code = str(emails_to(alice.email)[0].code)

    assert "job_completed" in logged(caplog)
    assert [text for text in (alice.email, new, code, "@example.com") if text in logged(caplog)] == []


def test_a_missing_sender_is_logged(caplog):
    with pytest.raises(MailFailed):
        Mailer("").send(EMAIL, to=address())

    assert "email_sender_missing" in caplog.text


def test_the_error_omits_sess_message_which_contains_the_address():
    to = address()
    with pytest.raises(MailFailed) as failed:
        Mailer("nobody@unverified.example").send(EMAIL, to=to)

    assert (failed.value.__cause__, failed.value.__suppress_context__) == (None, True)
    assert "unverified" not in str(failed.value)


def test_a_job_reaches_the_worker_unchanged(upkeep):
    url, to = boto3.client("sqs").create_queue(QueueName=secrets.token_hex(4))["QueueUrl"], address()
    queue = UpkeepQueue(url)
    queue.send(AccountNotice("new_api_key", to=to))
    queue.send(OutboxJob.of(OutboxEntry(new_id(), new_id(), "erase", None)))

    assert len(upkeep.drain(url)) == 2
    assert len(emails_to(to)) == 1


def test_a_failing_queue_raises_unavailable():
    with pytest.raises(Unavailable) as refused:
        UpkeepQueue("https://sqs.eu-west-1.amazonaws.com/123456789012/nowhere").send(AccountNotice("new_api_key", to=address()))

    assert isinstance(refused.value.__cause__, ClientError)


def test_send_later_logs_a_failure_and_leaves_the_job_to_the_sweep(caplog):
    UpkeepQueue("https://sqs.eu-west-1.amazonaws.com/123456789012/nowhere").send_later(OutboxJob(new_id(), new_id(), "erase", None))

    assert "job_not_sent" in caplog.text


@pytest.mark.parametrize(("deliveries", "delay_s"), [(1, 10), (2, 60), (3, 300)])
def test_a_failed_message_is_tried_again_soon(upkeep, deliveries, delay_s, monkeypatch):
    """The user of a code waits for it, and the queue's visibility timeout is ten minutes."""
    from functions.upkeep import app

    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName=f"retries-{deliveries}")["QueueUrl"]
    monkeypatch.setattr(app, "services", replace(app.services, queue=UpkeepQueue(url)))
    sqs.send_message(QueueUrl=url, MessageBody="not a job")
    (message,) = sqs.receive_message(QueueUrl=url, VisibilityTimeout=600)["Messages"]
    record = {"messageId": message["MessageId"], "receiptHandle": message["ReceiptHandle"], "body": message["Body"]}
    record |= {"attributes": {"ApproximateReceiveCount": str(deliveries)}, "eventSource": "aws:sqs"}

    assert upkeep.handler({"Records": [record]}, Function.CONTEXT)["batchItemFailures"] == [{"itemIdentifier": message["MessageId"]}]
    with time_machine.travel(time.time() + delay_s - 2, tick=True):
        assert "Messages" not in sqs.receive_message(QueueUrl=url)
    with time_machine.travel(time.time() + delay_s + 1, tick=True):
        assert sqs.receive_message(QueueUrl=url)["Messages"][0]["MessageId"] == message["MessageId"]
