"""A document is ingested although the notification of its file, or the worker that received it, was lost."""

from datetime import timedelta
from uuid import UUID

import boto3
import pytest

from functions.documents.library import CHECK_FORM_AFTER_S, CHECK_UPLOAD_AFTER_S
from parley.errors import Unavailable
from parley.ingest_queue import IngestQueue
from tests.support.builders import upload_document

FORM = {"filename": "notes.txt", "content_type": "text/plain", "bytes": 5}


@pytest.fixture
def sent(monkeypatch):
    """Record the messages of the ingest queue with their delays, instead of sending them."""
    queued = []
    monkeypatch.setattr(IngestQueue, "put", lambda self, body, *, delay_s=0: queued.append((body, delay_s)))
    return queued


def status(documents, person, document_id):
    return documents.get(f"/documents/{document_id}", as_=person).json["status"]


def test_an_uploaded_document_is_ingested_without_its_notification(documents, ingest, sent, alice):
    document_id = upload_document(documents, alice).json["id"]
    ((body, delay_s),) = sent
    ingest.deliver(body)

    assert delay_s == CHECK_UPLOAD_AFTER_S
    assert status(documents, alice, document_id) == "ready"


def test_a_file_uploaded_with_a_form_is_ingested_without_its_notification(documents, ingest, environment, sent, alice):
    document_id = documents.post("/documents/uploads", FORM, as_=alice).json["id"]
    ((body, delay_s),) = sent
    boto3.client("s3").put_object(Bucket=environment["PARLEY_FILES_BUCKET"], Key=f"documents/{alice.id}/{document_id}", Body=b"Words")
    ingest.deliver(body)

    assert delay_s == CHECK_FORM_AFTER_S
    assert status(documents, alice, document_id) == "ready"


@pytest.mark.parametrize(
    ("age", "looks_again"), [(timedelta(minutes=16), True), (timedelta(minutes=61), True), (timedelta(minutes=76), False)]
)
def test_a_file_is_looked_for_as_long_as_it_can_arrive(documents, ingest, sent, postgres, alice, age, looks_again):
    document_id = UUID(documents.post("/documents/uploads", FORM, as_=alice).json["id"])
    postgres.execute(f"UPDATE documents SET created_at = now() - interval '{age.total_seconds()} s' WHERE id = '{document_id}'")
    (message,) = sent
    sent.clear()
    ingest.deliver(message[0])

    assert sent == [message] * looks_again
    assert status(documents, alice, document_id) == "queued"


def test_an_upload_succeeds_while_the_queue_is_away(documents, alice, monkeypatch, caplog):
    def put(*_, **__):
        raise Unavailable("queue")

    monkeypatch.setattr(IngestQueue, "put", put)

    assert upload_document(documents, alice).status == 202
    assert "job_not_sent" in caplog.text
