"""A poison message among nine good ones: the nine are done once, and it becomes a dead letter after five tries."""

import json
import secrets
from uuid import UUID

import boto3
import pytest

from local.template.load import load
from parley.db import outbox
from parley.db.transactions import user_scope
from parley.jobs import OutboxJob
from tests.conftest import ROOT
from tests.support.queues import message_body


@pytest.fixture(scope="module")
def template():
    return load(ROOT / "template.yaml", overrides={})


@pytest.fixture
def queues(template):
    """The memory queue of the template and its dead-letter queue; failed messages return at once."""
    sqs, name = boto3.client("sqs"), secrets.token_hex(4)
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.loads(template.queues["MemoryQueue"].attributes["RedrivePolicy"]) | {"deadLetterTargetArn": arn}
    live = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "0", "RedrivePolicy": json.dumps(redrive)})
    return live["QueueUrl"], dead


def poll(summarize, url):
    """Deliver one message as Lambda does, and delete it if it succeeds. Return False if the queue is empty."""
    sqs = boto3.client("sqs")
    (message,) = sqs.receive_message(QueueUrl=url).get("Messages") or [None]
    if message and not summarize.batch(message["Body"]):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return bool(message)


def bodies(url):
    messages = boto3.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [message["Body"] for message in messages]


@pytest.mark.parametrize("poison", ["not JSON", '{"type": "dance"}'])
def test_one_poison_message_of_ten_reaches_the_dead_letters_and_nine_are_done_once(summarize, engine, queues, say, rows, alice, poison):
    live, dead = queues
    ids = [UUID(say(alice, f"hello {number}")) for number in range(3)]
    with user_scope(engine, alice.id) as connection:
        jobs = [OutboxJob.of(outbox.request_summary(connection, id, user_id=alice.id, is_due=True)[0]) for id in ids]
    for body in [*map(message_body, jobs), poison, *map(message_body, jobs), *map(message_body, jobs)]:
        boto3.client("sqs").send_message(QueueUrl=live, MessageBody=body)
    received = 0
    while poll(summarize, live):
        received += 1

    assert received == 9 + 5
    assert bodies(dead) == [poison]
    assert rows("SELECT count(*) FROM summaries WHERE user_id = :id", id=alice.id) == [(3,)]
    assert rows("SELECT count(*) FROM usage WHERE user_id = :id AND purpose = 'summary'", id=alice.id) == [(3,)]


def test_a_message_is_invisible_longer_than_the_function_runs(template):
    (source,) = [source for source in template.event_sources if source.queue == "MemoryQueue"]
    timeout_s = template.functions["SummarizeFunction"].timeout_s

    assert int(template.queues["MemoryQueue"].attributes["VisibilityTimeout"]) >= 6 * timeout_s
    assert source.reports_failures
