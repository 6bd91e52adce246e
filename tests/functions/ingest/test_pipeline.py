"""Documents that are not whole at once: without money, file or time, or deleted while they are read."""

import json
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import boto3
import pytest

from functions.ingest import pipeline
from functions.ingest.messages import DocumentMessage
from functions.ingest.pipeline import NO_BUDGET, NO_MODEL
from parley.deadline import Deadline
from parley.jobs import IngestQueue
from parley.llm.errors import ProviderFailed
from parley.metering.limits import BudgetExhausted
from tests.conftest import embedding_catalogue
from tests.support import document_files
from tests.support.builders import upload_document


@dataclass
class Failing:
    """An embedding model of which no vector comes."""

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
    """Upload a text and have it read while vectors fail like this; return its id."""
    from functions.ingest.app import services

    def read_with(owner, do, content="Trains are paid for in second class."):
        document_id = upload_document(documents, owner, content).json["id"]
        document_message = DocumentMessage(owner.id, UUID(document_id))
        pipeline.ingest(replace(services, embedding=Failing(lambda: do(document_id))), document_message, deadline=Deadline.after(300))
        return document_id

    return read_with


def no_money(alice):
    from datetime import UTC, datetime
    from decimal import Decimal

    return BudgetExhausted(alice.id, amount_usd=Decimal(1), resets_at=datetime.now(UTC))


@pytest.mark.parametrize(("problem", "note"), [(no_money, NO_BUDGET), (lambda _: ProviderFailed("acme", "down"), NO_MODEL)])
def test_without_vectors_a_document_is_ready_by_its_words_and_says_so(documents, read_with, alice, problem, note):
    document_id = read_with(alice, lambda _: raising(problem(alice))())
    shown = documents.get(f"/documents/{document_id}", as_=alice).json

    assert (shown["status"], shown["note"]) == ("ready", note)
    assert documents.get("/documents/search?q=second class trains", as_=alice).json["items"] != []


def test_the_sweep_has_vectors_made_that_are_missing(documents, read_with, ingest, upkeep, environment, postgres, alice, monkeypatch):
    monkeypatch.setattr("functions.upkeep.app.catalogue", embedding_catalogue)
    document_id = read_with(alice, lambda _: raising(no_money(alice))())
    sqs, url = boto3.client("sqs"), environment["PARLEY_INGEST_QUEUE_URL"]
    sqs.purge_queue(QueueUrl=url)
    upkeep.sweep()
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        assert ingest.deliver(*(one["Body"] for one in messages)) == []

    assert documents.get(f"/documents/{document_id}", as_=alice).json["note"] is None
    assert postgres.execute(f"SELECT count(*) FROM chunks WHERE embedding IS NULL AND document_id = '{document_id}'") == [(0,)]


def test_vectors_of_another_model_are_made_anew_while_the_document_stays_ready(documents, read_with, ingest, postgres, alice):
    document_id = upload_document(documents, alice, "Lights go out at ten.").json["id"]
    ingest.read(alice, document_id)
    postgres.execute(f"UPDATE chunks SET embedding_model = 'old' WHERE document_id = '{document_id}'")
    ingest.read(alice, document_id)

    assert postgres.execute(f"SELECT DISTINCT embedding_model FROM chunks WHERE document_id = '{document_id}'") == [("lexical",)]


def test_a_document_deleted_while_it_is_read_leaves_no_row(documents, read_with, postgres, alice):
    from parley.errors import NotFound

    deleted = []

    def delete(document_id):
        deleted.append(document_id)
        assert documents.delete(f"/documents/{document_id}", as_=alice).status == 204
        raise ProviderFailed("acme", "down")

    with pytest.raises(NotFound):
        read_with(alice, delete)

    assert postgres.execute(f"SELECT count(*) FROM chunks WHERE document_id = '{deleted[0]}'") == [(0,)]


def test_a_document_that_takes_longer_than_one_invocation_goes_on_in_the_next(documents, ingest, alice):
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


def test_a_second_delivery_at_the_same_time_leaves_the_work_to_the_first(documents, ingest, postgres, alice):
    document_id = upload_document(documents, alice, "Doors close at nine.").json["id"]
    postgres.execute(f"UPDATE documents SET status = 'processing', leased_until = now() + interval '1 minute' WHERE id = '{document_id}'")

    assert ingest.read(alice, document_id) == []
    assert documents.get(f"/documents/{document_id}", as_=alice).json["status"] == "processing"


def test_a_file_that_is_not_of_the_size_announced_is_refused(documents, ingest, environment, alice):
    body = {"filename": "big.pdf", "content_type": "application/pdf", "bytes": 5_000_000}
    document_id = documents.post("/documents/uploads", body, as_=alice).json["id"]
    key = f"documents/{alice.id}/{document_id}"
    boto3.client("s3").put_object(Bucket=environment["PARLEY_FILES_BUCKET"], Key=key, Body=document_files.pdf(["short"]))
    ingest.read(alice, document_id)

    assert documents.get(f"/documents/{document_id}", as_=alice).json["error_code"] == "size_mismatch"


@pytest.mark.parametrize(("hours", "status"), [(1, "queued"), (25, "failed")])
def test_a_file_that_never_comes_fails_after_a_day(documents, ingest, postgres, alice, hours, status):
    body = {"filename": "big.pdf", "content_type": "application/pdf", "bytes": 5_000_000}
    document_id = documents.post("/documents/uploads", body, as_=alice).json["id"]
    postgres.execute(f"UPDATE documents SET created_at = now() - interval '{hours} hours' WHERE id = '{document_id}'")
    ingest.read(alice, document_id)

    assert documents.get(f"/documents/{document_id}", as_=alice).json["status"] == status


def test_the_forms_policy_names_key_type_and_exact_size(documents, alice):
    import base64

    body = {"filename": "big.pdf", "content_type": "application/pdf", "bytes": 5_000_000}
    answer = documents.post("/documents/uploads", body, as_=alice).json
    conditions = json.loads(base64.b64decode(answer["fields"]["policy"]))["conditions"]

    assert ["content-length-range", 5_000_000, 5_000_000] in conditions
    assert {"Content-Type": "application/pdf"} in conditions
    assert {"key": f"documents/{alice.id}/{answer['id']}"} in conditions
