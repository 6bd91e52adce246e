"""Documents without budget, file or time, and documents deleted during ingestion."""

import json
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import boto3
import pytest

from functions.ingest import pipeline
from functions.ingest.messages import DocumentMessage
from functions.ingest.pipeline import NO_BUDGET, NO_MODEL
from functions.ingest.services import DocumentFileStore
from parley.deadline import Deadline
from parley.ingest_queue import IngestQueue
from parley.llm.errors import ProviderFailed
from parley.metering.limits import BudgetExhausted
from tests.conftest import embedding_catalogue
from tests.functions.ingest.descriptions import DelayRecordingQueue
from tests.support import document_files
from tests.support.builders import upload_document


@dataclass
class FailingEmbedding:
    """An embedding model whose calls run `do`, which raises."""

    do: Any

    def model_name(self):
        return "lexical"

    def vectors(self, *_: object, **__: object):
        return self.do()


def raising(exc):
    def do():
        raise exc

    return do


@pytest.fixture
def read_with(ingest, documents):
    """Upload a text and ingest it while embedding runs `do`; return its id."""
    from functions.ingest.app import services

    def read_with(owner, do, content="Trains are paid for in second class."):
        document_id = upload_document(documents, owner, content).json["id"]
        document_message = DocumentMessage(owner.id, UUID(document_id))
        pipeline.ingest(
            replace(services, embedding=FailingEmbedding(lambda: do(document_id))), document_message, deadline=Deadline.after(300)
        )
        return document_id

    return read_with


def budget_exhausted(alice):
    from datetime import UTC, datetime
    from decimal import Decimal

    return BudgetExhausted(alice.id, amount_usd=Decimal(1), resets_at=datetime.now(UTC))


@pytest.mark.parametrize(("problem", "note"), [(budget_exhausted, NO_BUDGET), (lambda _: ProviderFailed("acme", "down"), NO_MODEL)])
def test_a_document_without_vectors_is_ready_with_a_note_and_found_by_its_words(documents, read_with, alice, problem, note):
    document_id = read_with(alice, lambda _: raising(problem(alice))())
    shown = documents.get(f"/documents/{document_id}", as_=alice).json

    assert (shown["status"], shown["note"]) == ("ready", note)
    assert documents.get("/documents/search?q=second class trains", as_=alice).json["items"] != []


# Later looks at a new document, in case the notification of its upload is lost.
UPLOAD_CHECKS = 2


def delayed_messages(url):
    name = "ApproximateNumberOfMessagesDelayed"
    return int(boto3.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])


@pytest.mark.parametrize(("problem", "repeats"), [(budget_exhausted, 0), (lambda _: ProviderFailed("acme", "down"), 1)])
def test_a_document_whose_model_failed_is_read_again_soon(read_with, environment, alice, problem, repeats):
    before = delayed_messages(environment["PARLEY_INGEST_QUEUE_URL"])
    read_with(alice, lambda _: raising(problem(alice))())

    assert delayed_messages(environment["PARLEY_INGEST_QUEUE_URL"]) == before + UPLOAD_CHECKS + repeats


def test_the_sweep_completes_missing_vectors(documents, read_with, ingest, upkeep, environment, postgres, alice, monkeypatch):
    monkeypatch.setattr("functions.upkeep.app.catalogue", embedding_catalogue)
    document_id = read_with(alice, lambda _: raising(budget_exhausted(alice))())
    sqs, url = boto3.client("sqs"), environment["PARLEY_INGEST_QUEUE_URL"]
    sqs.purge_queue(QueueUrl=url)
    upkeep.sweep()
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        assert ingest.deliver(*(message["Body"] for message in messages)) == []

    assert documents.get(f"/documents/{document_id}", as_=alice).json["note"] is None
    assert postgres.execute(f"SELECT count(*) FROM chunks WHERE embedding IS NULL AND document_id = '{document_id}'") == [(0,)]


def test_vectors_of_another_model_are_replaced_while_the_document_stays_ready(documents, read_with, ingest, postgres, alice):
    document_id = upload_document(documents, alice, "Lights go out at ten.").json["id"]
    ingest.read(alice, document_id)
    postgres.execute(f"UPDATE chunks SET embedding_model = 'old' WHERE document_id = '{document_id}'")
    ingest.read(alice, document_id)

    assert postgres.execute(f"SELECT DISTINCT embedding_model FROM chunks WHERE document_id = '{document_id}'") == [("lexical",)]


def test_a_document_deleted_during_ingestion_leaves_no_row(documents, read_with, postgres, alice):
    from parley.errors import NotFound

    deleted = []

    def delete(document_id):
        deleted.append(document_id)
        assert documents.delete(f"/documents/{document_id}", as_=alice).status == 204
        raise ProviderFailed("acme", "down")

    with pytest.raises(NotFound):
        read_with(alice, delete)

    assert postgres.execute(f"SELECT count(*) FROM chunks WHERE document_id = '{deleted[0]}'") == [(0,)]


def test_a_document_longer_than_one_invocation_continues_in_the_next(documents, ingest, postgres, alice):
    from functions.ingest.app import services

    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName=f"ingest-{alice.id}")["QueueUrl"]
    short_of_time = replace(services, queue=IngestQueue(url))
    document_id = upload_document(documents, alice, "\n\n".join(["A word of many. " * 150] * 100)).json["id"]
    pipeline.ingest(short_of_time, DocumentMessage(alice.id, UUID(document_id)), deadline=Deadline.after(20))
    halfway = documents.get(f"/documents/{document_id}", as_=alice).json
    (message,) = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    ingest.deliver(message["Body"])

    assert (halfway["status"], 0 < halfway["progress"] < 1) == ("processing", True)
    shown = documents.get(f"/documents/{document_id}", as_=alice).json
    assert (shown["status"], shown["chunks"] > 64) == ("ready", True)
    assert postgres.execute(f"SELECT count(*) FROM chunks WHERE document_id = '{document_id}'") == [(shown["chunks"],)]


def test_a_concurrent_second_delivery_leaves_the_document_to_the_first(documents, ingest, postgres, alice):
    document_id = upload_document(documents, alice, "Doors close at nine.").json["id"]
    postgres.execute(f"UPDATE documents SET status = 'processing', leased_until = now() + interval '1 minute' WHERE id = '{document_id}'")

    assert ingest.read(alice, document_id) == []
    assert documents.get(f"/documents/{document_id}", as_=alice).json["status"] == "processing"


def test_a_file_of_another_size_than_declared_is_refused(documents, ingest, environment, alice):
    body = {"filename": "big.pdf", "content_type": "application/pdf", "bytes": 5_000_000}
    document_id = documents.post("/documents/uploads", body, as_=alice).json["id"]
    key = f"documents/{alice.id}/{document_id}"
    boto3.client("s3").put_object(Bucket=environment["PARLEY_FILES_BUCKET"], Key=key, Body=document_files.pdf(["short"]))
    ingest.read(alice, document_id)

    assert documents.get(f"/documents/{document_id}", as_=alice).json["error_code"] == "size_mismatch"


@pytest.mark.parametrize(
    ("minutes", "status", "delays_s"), [(74, "queued", [900]), (76, "queued", []), (24 * 60 - 1, "queued", []), (24 * 60 + 1, "failed", [])]
)
def test_a_document_whose_file_never_arrives_fails_after_a_day(documents, ingest, postgres, alice, minutes, status, delays_s):
    from functions.ingest.app import services

    body, queue = {"filename": "big.pdf", "content_type": "application/pdf", "bytes": 5_000_000}, DelayRecordingQueue()
    document_id = documents.post("/documents/uploads", body, as_=alice).json["id"]
    postgres.execute(f"UPDATE documents SET created_at = now() - interval '{minutes} minutes' WHERE id = '{document_id}'")
    pipeline.ingest(replace(services, queue=queue), DocumentMessage(alice.id, UUID(document_id)), deadline=Deadline.after(300))

    assert (documents.get(f"/documents/{document_id}", as_=alice).json["status"], queue.delays) == (status, delays_s)


@pytest.mark.parametrize(("attempts", "repeats"), [(18, [900]), (19, [])])
def test_a_model_that_does_not_answer_is_asked_again_twenty_times(documents, ingest, postgres, alice, attempts, repeats):
    from functions.ingest.app import services

    queue, embedding = DelayRecordingQueue(), FailingEmbedding(raising(ProviderFailed("acme", "down")))
    document_id = upload_document(documents, alice, "Trains are paid for in second class.").json["id"]
    postgres.execute(f"UPDATE documents SET attempts = {attempts} WHERE id = '{document_id}'")
    given = replace(services, queue=queue, embedding=embedding)
    pipeline.ingest(given, DocumentMessage(alice.id, UUID(document_id)), deadline=Deadline.after(300))

    assert queue.delays[1:] == repeats


@pytest.mark.parametrize(("spare", "code"), [(0, None), (-1, "too_large")])
def test_a_file_may_be_as_large_as_allowed(documents, ingest, environment, alice, spare, code):
    from functions.ingest.app import services

    document_id = upload_document(documents, alice, "Doors close at nine.").json["id"]
    files = DocumentFileStore(environment["PARLEY_FILES_BUCKET"], max_bytes=len("Doors close at nine.") + spare)
    pipeline.ingest(replace(services, files=files), DocumentMessage(alice.id, UUID(document_id)), deadline=Deadline.after(300))

    assert documents.get(f"/documents/{document_id}", as_=alice).json["error_code"] == code


def test_the_upload_policy_fixes_key_type_and_exact_size(documents, alice):
    import base64

    body = {"filename": "big.pdf", "content_type": "application/pdf", "bytes": 5_000_000}
    answer = documents.post("/documents/uploads", body, as_=alice).json
    conditions = json.loads(base64.b64decode(answer["fields"]["policy"]))["conditions"]

    assert ["content-length-range", 5_000_000, 5_000_000] in conditions
    assert {"Content-Type": "application/pdf"} in conditions
    assert {"key": f"documents/{alice.id}/{answer['id']}"} in conditions
