"""Attempts that make no progress end after three, unless the document is not to blame, and respect the deadline."""

import os
from dataclasses import replace
from uuid import UUID

import boto3
import pytest

from functions.ingest.messages import DocumentMessage
from functions.ingest.pipeline import MAX_FAILURES
from functions.ingest.sandbox import ParserStopped, read_blocks
from parley.db import documents as stored_documents
from parley.db.transactions import user_scope
from parley.deadline import Deadline
from parley.errors import Unavailable
from parley.ingest_queue import IngestQueue
from tests.support.builders import upload_document

# The parser's part of it is over before its process has started.
TOO_SHORT_S = 15.0
ENOUGH_FOR_ONE_BATCH_S = 25.0


@pytest.fixture
def queue(alice):
    return IngestQueue(boto3.client("sqs").create_queue(QueueName=f"retries-{alice.id}")["QueueUrl"])


@pytest.fixture
def uploaded(documents, alice):
    return DocumentMessage(alice.id, UUID(upload_document(documents, alice).json["id"]))


@pytest.fixture
def run(ingest, queue, monkeypatch):
    """Ingest a document; storing its chunks raises `failure`, if there is one."""
    from functions.ingest.app import services
    from functions.ingest.pipeline import ingest as ingest_document

    def run(message, *, failure=None, seconds=300.0):
        with monkeypatch.context() as patch:
            if failure:
                patch.setattr("functions.ingest.pipeline.chunks.add", raising(failure))
            ingest_document(replace(services, queue=queue), message, deadline=Deadline.after(seconds))

    return run


def raising(failure):
    def add(*_, **__):
        raise failure

    return add


def shown(documents, alice, message):
    return documents.get(f"/documents/{message.document_id}", as_=alice).json


def fail(run, message, failure):
    with pytest.raises(type(failure)):
        run(message, failure=failure)


def test_a_document_that_fails_three_times_is_given_up(documents, run, uploaded, alice):
    for _ in range(3):
        fail(run, uploaded, RuntimeError("a bug"))
    run(uploaded)

    assert (shown(documents, alice, uploaded)["status"], shown(documents, alice, uploaded)["error_code"]) == ("failed", "given_up")


def test_a_document_that_fails_twice_is_ingested(documents, run, uploaded, alice):
    for _ in range(2):
        fail(run, uploaded, RuntimeError("a bug"))
    run(uploaded)

    assert shown(documents, alice, uploaded)["status"] == "ready"


def test_an_outage_fails_no_document(documents, run, uploaded, alice):
    for _ in range(3 * MAX_FAILURES):
        fail(run, uploaded, Unavailable("database"))
    run(uploaded)

    assert shown(documents, alice, uploaded)["status"] == "ready"


def test_a_document_that_kills_its_worker_three_times_is_given_up(documents, run, engine, postgres, uploaded, alice):
    for _ in range(MAX_FAILURES):
        with user_scope(engine, alice.id) as connection:
            assert stored_documents.acquire_lease(connection, uploaded.document_id, user_id=alice.id, lease_s=60)
        postgres.execute(f"UPDATE documents SET leased_until = now() - interval '1 s' WHERE id = '{uploaded.document_id}'")
    run(uploaded)

    assert shown(documents, alice, uploaded)["error_code"] == "given_up"


def test_a_parser_that_is_too_slow_for_the_deadline_continues_later_and_is_given_up_after_three_attempts(
    documents, run, queue, uploaded, alice
):
    statuses = []
    for _ in range(MAX_FAILURES + 1):
        run(uploaded, seconds=TOO_SHORT_S)
        statuses.append(shown(documents, alice, uploaded)["status"])
    requeued = boto3.client("sqs").receive_message(QueueUrl=queue._url, MaxNumberOfMessages=10)["Messages"]

    assert statuses == ["processing", "processing", "processing", "failed"]
    assert len(requeued) == MAX_FAILURES
    assert shown(documents, alice, uploaded)["error_code"] == "given_up"


def test_progress_before_the_deadline_is_no_failure(documents, run, alice):
    document_id = upload_document(documents, alice, "\n\n".join(["A word of many. " * 150] * 200)).json["id"]
    for _ in range(MAX_FAILURES + 2):
        run(DocumentMessage(alice.id, UUID(document_id)), seconds=ENOUGH_FOR_ONE_BATCH_S)
    run(DocumentMessage(alice.id, UUID(document_id)))

    assert documents.get(f"/documents/{document_id}", as_=alice).json["status"] == "ready"


def test_the_parser_ends_at_the_deadline(tmp_path):
    # A parser waits for ever for the text of a pipe that nobody writes to.
    os.mkfifo(tmp_path / "file")

    with pytest.raises(ParserStopped):
        list(read_blocks(str(tmp_path / "file"), "notes.txt", deadline=Deadline.after(0)))
