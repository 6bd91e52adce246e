"""Bursts and poison messages on the ingest queue."""

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from queue import SimpleQueue
from uuid import UUID

import boto3
import pytest
from sqlalchemy import event

from functions.ingest import parser_process
from functions.ingest.messages import DocumentMessage
from functions.ingest.pipeline import ingest as ingest_document
from local.template.load import load
from parley.db.engine import make_engine
from parley.deadline import Deadline
from tests.conftest import ROOT
from tests.support.builders import upload_document
from tests.support.queues import s3_notification

BURST = 50


@pytest.fixture(scope="module")
def template():
    return load(ROOT / "template.yaml", overrides={})


@pytest.fixture
def queues(template):
    """The ingest queue of the template and its dead-letter queue; failed messages return at once."""
    sqs, name = boto3.client("sqs"), secrets.token_hex(4)
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.loads(template.queues["IngestQueue"].attributes["RedrivePolicy"]) | {"deadLetterTargetArn": arn}
    live = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "0", "RedrivePolicy": json.dumps(redrive)})
    return live["QueueUrl"], dead


def poll(ingest, url):
    """Deliver one message as Lambda does, and delete it if it succeeds. Return False if the queue is empty."""
    sqs = boto3.client("sqs")
    (message,) = sqs.receive_message(QueueUrl=url).get("Messages") or [None]
    if message and not ingest.deliver(message["Body"]):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return bool(message)


@pytest.fixture
def without_child(monkeypatch):
    """Parse in the same process, which is faster than starting a child for each file."""
    monkeypatch.setattr("functions.ingest.pipeline.read_blocks", lambda path, name, **_: parser_process.parse_file(path, name))


@pytest.mark.parametrize("poison", ["not JSON", '{"Records": [{"s3": {"object": {"key": "exports/a/b"}}}]}'])
def test_one_poison_message_of_ten_becomes_a_dead_letter_and_nine_are_ingested_once(
    documents, ingest, queues, without_child, alice, poison
):
    (live, dead), sqs = queues, boto3.client("sqs")
    bodies = [s3_notification(alice, upload_document(documents, alice).json["id"]) for _ in range(9)]
    for body in [*bodies[:4], poison, *bodies[4:]]:
        sqs.send_message(QueueUrl=live, MessageBody=body)
    received = 0
    while poll(ingest, live):
        received += 1

    assert received == 9 + 5
    assert [message["Body"] for message in sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10)["Messages"]] == [poison]
    assert {item["status"] for item in documents.get("/documents", as_=alice).json["items"]} == {"ready"}


def test_a_burst_is_ingested_by_few_workers_with_one_connection_each(documents, ingest, template, database, without_child, alice):
    from functions.ingest.app import services

    uploaded = [upload_document(documents, alice).json["id"] for _ in range(BURST)]
    ids, connected = SimpleQueue[str](), []
    for id in uploaded:
        ids.put(id)

    def work(number):
        engine = make_engine(database)
        event.listen(engine, "connect", lambda *_: connected.append(number))
        own = replace(services, engine=engine, embedding=replace(services.embedding, engine=engine), max_per_user=source.concurrency)
        while not ids.empty():
            ingest_document(own, DocumentMessage(alice.id, UUID(ids.get())), deadline=Deadline.after(300))
        engine.dispose()

    (source,) = [source for source in template.event_sources if source.queue == "IngestQueue"]
    with ThreadPoolExecutor(source.concurrency) as pool:
        list(pool.map(work, range(source.concurrency)))

    assert sorted(connected) == list(range(5))
    statuses = {item["id"]: item["status"] for item in documents.get("/documents?limit=100", as_=alice).json["items"]}
    assert [statuses[id] for id in uploaded] == ["ready"] * BURST
